package lang

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// Tag names a language people can choose.
type Tag string

// The languages of the house, complete in every room.
const (
	JA Tag = "ja"
	EN Tag = "en"
)

//go:embed words/*.toml
var own embed.FS

// Source is the words of one room.
type Source struct {
	Room  string // import path below internal, or just its last part: "factor/totp" or "totp"
	Files fs.FS  // holds words/ja.toml and words/en.toml
}

// Words is every sentence of the house in every language. It is safe for
// concurrent use.
type Words struct {
	zone    *time.Location
	changes sync.Mutex // held while laying new words over old ones
	table   atomic.Pointer[table]
	missed  sync.Map // ids already logged as missing
}

// table is one immutable state of the words.
type table struct {
	messages map[Tag]map[string]*message
}

// message is one sentence: plain when nothing has to be filled in.
type message struct {
	source *i18n.Message
	plain  bool
	plural bool
	facts  []string
	voice  *i18n.Localizer
}

// New reads the words of every room. Dates are shown in zone (nil is UTC). The
// error lists every id that is missing in one language, defined twice, outside its
// room, empty, or that uses placeholders which the other language does not use.
func New(zone *time.Location, sources ...Source) (*Words, error) {
	if zone == nil {
		zone = time.UTC
	}
	read := map[Tag]map[string]*i18n.Message{}
	var wrong []error
	for _, tag := range []Tag{JA, EN} {
		read[tag] = map[string]*i18n.Message{}
		for _, s := range append([]Source{{Room: "lang", Files: own}}, sources...) {
			wrong = append(wrong, readSource(read[tag], tag, s)...)
		}
	}
	wrong = append(wrong, compare(read)...)
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	w := &Words{zone: zone}
	t, err := build(read)
	if err != nil {
		return nil, err
	}
	w.table.Store(t)
	return w, nil
}

// readSource adds the messages of one room in one language to into.
func readSource(into map[string]*i18n.Message, tag Tag, s Source) []error {
	file := "words/" + string(tag) + ".toml"
	text, err := fs.ReadFile(s.Files, file)
	if err != nil {
		return []error{fmt.Errorf("words of %s: %w", s.Room, err)}
	}
	messages, err := parse(tag, text)
	if err != nil {
		return []error{fmt.Errorf("words of %s: %s: %w", s.Room, file, err)}
	}
	var wrong []error
	prefix := path.Base(s.Room) + "."
	for _, m := range messages {
		switch {
		case !strings.HasPrefix(m.ID, prefix):
			wrong = append(wrong, fmt.Errorf("words of %s: %s: %q does not begin with %q", s.Room, file, m.ID, prefix))
		case into[m.ID] != nil:
			wrong = append(wrong, fmt.Errorf("words of %s: %s: %q is defined twice", s.Room, file, m.ID))
		}
		into[m.ID] = m
	}
	return wrong
}

// compare finds what one language has and the other has not.
func compare(read map[Tag]map[string]*i18n.Message) []error {
	var wrong []error
	for _, pair := range [][2]Tag{{JA, EN}, {EN, JA}} {
		have, lack := read[pair[0]], read[pair[1]]
		for _, id := range slices.Sorted(maps.Keys(have)) {
			other := lack[id]
			if other == nil {
				wrong = append(wrong, fmt.Errorf("words: %q is missing in %q", id, pair[1]))
				continue
			}
			if pair[0] != JA {
				continue
			}
			if ours, theirs := placeholders(have[id]), placeholders(other); !slices.Equal(ours, theirs) {
				wrong = append(wrong, fmt.Errorf("words: %q uses %v in ja and %v in en", id, ours, theirs))
			}
		}
	}
	return wrong
}

// build makes the table from checked messages.
func build(read map[Tag]map[string]*i18n.Message) (*table, error) {
	bundle := i18n.NewBundle(language.Japanese)
	t := &table{messages: map[Tag]map[string]*message{}}
	for tag, messages := range read {
		if err := bundle.AddMessages(language.Make(string(tag)), slices.Collect(maps.Values(messages))...); err != nil {
			return nil, fmt.Errorf("words in %q: %w", tag, err)
		}
	}
	for tag, messages := range read {
		voice := i18n.NewLocalizer(bundle, string(tag))
		t.messages[tag] = make(map[string]*message, len(messages))
		for id, m := range messages {
			facts := placeholders(m)
			plural := m.Zero+m.One+m.Two+m.Few+m.Many != ""
			t.messages[tag][id] = &message{source: m, plain: len(facts) == 0 && !plural, plural: plural, facts: facts, voice: voice}
		}
	}
	return t, nil
}

// Tags lists the languages in the order in which a switch shows them.
func (w *Words) Tags() []Tag { return []Tag{JA, EN} }

// In gives a printer for a language; an unknown one becomes Japanese.
func (w *Words) In(tag Tag) Printer {
	if tag != EN {
		tag = JA
	}
	return Printer{words: w, tag: tag}
}

// Override lays a university's own words over ours. Only ids that exist can be
// said differently, and only with the facts they already carry; otherwise the
// whole text is refused and nothing changes.
func (w *Words) Override(tag Tag, toml []byte) error {
	messages, err := parse(tag, toml)
	if err != nil {
		return fmt.Errorf("own words: %w", err)
	}
	w.changes.Lock()
	defer w.changes.Unlock()
	read := map[Tag]map[string]*i18n.Message{}
	for t, messages := range w.table.Load().messages {
		read[t] = map[string]*i18n.Message{}
		for id, m := range messages {
			read[t][id] = m.source
		}
	}
	if read[tag] == nil {
		return fmt.Errorf("own words: there is no language %q", tag)
	}
	var wrong []error
	for _, m := range messages {
		old := read[tag][m.ID]
		if old == nil {
			wrong = append(wrong, fmt.Errorf("own words: %q is not a message of this program", m.ID))
			continue
		}
		known := placeholders(old)
		for _, fact := range placeholders(m) {
			if !slices.Contains(known, fact) {
				wrong = append(wrong, fmt.Errorf("own words: %q has no fact %q; it has %v", m.ID, fact, known))
			}
		}
		read[tag][m.ID] = m
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	t, err := build(read)
	if err != nil {
		return err
	}
	w.table.Store(t)
	return nil
}

// find gives a message or nil.
func (w *Words) find(tag Tag, id string) *message { return w.table.Load().messages[tag][id] }

// miss reports a mistake in our own words once: it stops a test and is logged in service.
func (w *Words) miss(what, id string) {
	if inTest() {
		panic("lang: " + what + ": " + id)
	}
	if _, again := w.missed.LoadOrStore(what+id, true); !again {
		slog.Error("words: "+what, "id", id)
	}
}
