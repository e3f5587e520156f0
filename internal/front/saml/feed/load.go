package feed

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/front/saml/xmlstream"
	"seimon/internal/store"
)

// Report is what a look at a feed brought.
type Report struct {
	Feed       string    `json:"feed"`
	Same       bool      `json:"same,omitempty"` // nothing new since the last look
	Generation int       `json:"generation,omitempty"`
	ValidUntil time.Time `json:"valid_until,omitzero"`
	Entities   int       `json:"entities"`
	Services   int       `json:"services"`
	Added      int       `json:"added"`
	Changed    int       `json:"changed"`
	Gone       int       `json:"gone"`
	Bytes      int64     `json:"bytes,omitempty"`
	// Tried says why newer addresses were passed over.
	Tried []string `json:"tried,omitempty"`
}

// Options of a look.
type Options struct {
	// Progress is told how many bytes of how many have come; total is 0 when unknown.
	Progress func(done, total int64)
	// Older takes a document that is older than the one in force, or of an older
	// generation: only on an operator's word.
	Older bool
	// Fresh asks for the document even if it has not changed.
	Fresh bool
}

// Refresh looks at an aggregate and loads what is new. What goes wrong is kept with
// the feed, and the document in force stays in force.
func (k *Keeper) Refresh(ctx context.Context, id string, o Options) (Report, error) {
	var s State
	err := k.DB.Read(ctx, func(tx *store.Tx) (err error) {
		s, err = k.Get(tx, id)
		return err
	})
	if err == nil && s.Kind != Aggregate {
		err = fmt.Errorf("%s is asked for single entities; there is nothing to load ahead", id)
	}
	if err != nil {
		return Report{}, err
	}
	r, err := k.refresh(ctx, s, o)
	if err == nil || ctx.Err() != nil {
		return r, err
	}
	noted := k.DB.Write(ctx, func(tx *store.Tx) error {
		wait := min(time.Duration(s.Fails+1)*5*time.Minute, time.Hour)
		_, err2 := tx.Exec("UPDATE feed_feed SET fails = fails + 1, fault = $1, checked_at = $2, due_at = $3 WHERE id = $4",
			shorten(err.Error()), store.Millis(tx.Now), store.Millis(tx.Now.Add(wait)), id)
		if err2 == nil {
			err2 = k.note(tx, "feed.failed", id, map[string]string{"reason": shorten(err.Error())})
		}
		return err2
	})
	return r, errors.Join(err, noted)
}

func shorten(text string) string { return text[:min(len(text), 500)] }

func (k *Keeper) note(tx *store.Tx, event, feed string, facts map[string]string) error {
	if k.Note == nil {
		return nil
	}
	return k.Note(tx, event, feed, facts)
}

// refresh tries the addresses, the newest generation first and never one older than
// that in force.
func (k *Keeper) refresh(ctx context.Context, s State, o Options) (Report, error) {
	sources := slices.SortedFunc(slices.Values(s.Sources), func(a, b Source) int { return b.Generation - a.Generation })
	var tried []string
	var failed []error
	for _, source := range sources {
		if source.Generation < s.Loaded.Generation && !o.Older {
			continue
		}
		r, err := k.look(ctx, s, source, o)
		if err == nil {
			r.Tried = tried
			return r, nil
		}
		if ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
		err = fmt.Errorf("generation %d, %s: %w", source.Generation, source.URL, err)
		tried, failed = append(tried, err.Error()), append(failed, err)
	}
	if len(failed) == 0 {
		return Report{}, fmt.Errorf("generation %d is in force, and no address of that generation or a newer one is configured", s.Loaded.Generation)
	}
	return Report{}, errors.Join(failed...)
}

// look fetches one address, verifies what comes and puts it in force.
func (k *Keeper) look(ctx context.Context, s State, source Source, o Options) (Report, error) {
	known := Loaded{}
	if !o.Fresh && source.URL == s.Loaded.URL && source.Generation == s.Loaded.Generation {
		known = s.Loaded
	}
	f, err := k.fetch(ctx, source.URL, known)
	if err != nil {
		return Report{}, err
	}
	if f.same {
		return k.unchanged(ctx, s)
	}
	defer f.Close()
	return k.load(ctx, s, source, f, o)
}

func (k *Keeper) unchanged(ctx context.Context, s State) (Report, error) {
	r := Report{Feed: s.ID, Same: true, Generation: s.Loaded.Generation, ValidUntil: s.Loaded.ValidUntil, Entities: s.Loaded.Entities, Services: s.Loaded.Services}
	return r, k.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE feed_feed SET fails = 0, fault = '', checked_at = $1, due_at = $2 WHERE id = $3",
			store.Millis(tx.Now), store.Millis(s.next(s.Loaded, tx.Now)), s.ID)
		return err
	})
}

// load verifies a document while it comes in and puts it in force.
func (k *Keeper) load(ctx context.Context, s State, source Source, f *fetched, o Options) (Report, error) {
	keys, err := source.keys()
	if err != nil {
		return Report{}, err
	}
	index, err := k.index(ctx, s.ID)
	if err != nil {
		return Report{}, err
	}
	c := k.collector(s, index)
	c.keep = func(list []document) error { return keepDocuments(ctx, k.DB, list) }
	in := &counted{from: f, total: f.total, tell: o.Progress}
	signer, err := xmlstream.Verify(bufio.NewReaderSize(in, 64<<10), keys, xmlstream.Limits{Bytes: s.maxBytes()}, c)
	if err != nil {
		return Report{}, err
	}
	if err := c.flush(); err != nil {
		return Report{}, err
	}
	in.end()
	l := Loaded{
		Generation: source.Generation, URL: source.URL, Signer: Fingerprint(source.Certificates[signer]), Created: c.created, ValidUntil: c.validUntil,
		Cache: c.cache, Bytes: in.done, Entities: len(c.all), Services: len(c.seen), ETag: f.etag, Modified: f.modified,
	}
	if err := s.Loaded.before(l); err != nil && !o.Older {
		return Report{}, err
	}
	l.Own = c.own(s.Loaded, l)
	r := Report{Feed: s.ID, Generation: l.Generation, ValidUntil: l.ValidUntil, Entities: l.Entities, Services: l.Services, Bytes: l.Bytes}
	return k.enforce(ctx, s, l, compare(index, c.seen), r)
}

func (k *Keeper) collector(s State, index map[string]row) *collector {
	c := &collector{now: k.DB.Now(), max: s.maxValidity(), known: map[string]hash{}, seen: map[string]hash{}, all: map[string]bool{}, root: "EntitiesDescriptor"}
	if k.Self != nil {
		c.self = k.Self()
	}
	for id, r := range index {
		if !r.gone { // what only a vanished row leads to may be swept away meanwhile
			c.known[id] = r.hash
		}
	}
	return c
}

// before refuses a document that is older than the one in force: somebody replays it,
// or a mirror is stale.
func (l Loaded) before(fresh Loaded) error {
	stamp := func(t time.Time) string { return t.Format(time.RFC3339) }
	switch {
	case l.At.IsZero():
	case fresh.Generation < l.Generation:
		return fmt.Errorf("generation %d is in force; one of generation %d is not taken any more", l.Generation, fresh.Generation)
	case !l.Created.IsZero() && !fresh.Created.IsZero():
		if fresh.Created.Before(l.Created) {
			return fmt.Errorf("the document was made at %s; the one in force is newer (%s)", stamp(fresh.Created), stamp(l.Created))
		}
	case fresh.ValidUntil.Before(l.ValidUntil):
		return fmt.Errorf("the document is valid until %s; the one in force is newer (%s)", stamp(fresh.ValidUntil), stamp(l.ValidUntil))
	}
	return nil
}

// The bounds of the time between two looks.
const (
	minWait = 5 * time.Minute
	maxWait = 24 * time.Hour
)

// next tells when to look again: as the feed says, and often enough before it dies.
func (s State) next(l Loaded, now time.Time) time.Time {
	wait := s.every()
	if l.Cache > 0 && s.Every == 0 {
		wait = l.Cache
	}
	wait = min(wait, l.ValidUntil.Sub(now)/4)
	return now.Add(max(min(wait, maxWait), minWait))
}

// row is what is known of an entity of a feed.
type row struct {
	hash hash
	gone bool
}

func (k *Keeper) index(ctx context.Context, feed string) (map[string]row, error) {
	out := map[string]row{}
	err := k.DB.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query("SELECT entity, hash, gone FROM feed_entity WHERE feed = $1", feed)
		return store.Each(rows, err, func(rows *sql.Rows) error {
			var id string
			var sum []byte
			var gone int64
			if err := rows.Scan(&id, &sum, &gone); err != nil {
				return err
			}
			r := row{gone: gone > 0}
			copy(r.hash[:], sum)
			out[id] = r
			return nil
		})
	})
	return out, err
}

// difference is what a document changes.
type difference struct {
	seen           map[string]hash
	fresh, gone    []string
	added, changed int
}

func compare(index map[string]row, seen map[string]hash) difference {
	d := difference{seen: seen}
	for id, h := range seen {
		old, known := index[id]
		switch {
		case !known:
			d.added++
		case old.hash != h || old.gone:
			d.changed++
		default:
			continue
		}
		d.fresh = append(d.fresh, id)
	}
	for id, old := range index {
		if _, there := seen[id]; !there && !old.gone {
			d.gone = append(d.gone, id)
		}
	}
	slices.Sort(d.fresh)
	slices.Sort(d.gone)
	return d
}

// enforce makes a verified document the one in force, in one transaction. Only rows
// that differ are written.
func (k *Keeper) enforce(ctx context.Context, s State, l Loaded, d difference, r Report) (Report, error) {
	r.Added, r.Changed, r.Gone = d.added, d.changed, len(d.gone)
	return r, k.DB.Write(ctx, func(tx *store.Tx) error {
		l.At = tx.Now
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		n, err := tx.Exec(`UPDATE feed_feed SET loads = loads + 1, loaded = $1, valid_until = $2, due_at = $3, checked_at = $4, fails = 0, fault = ''
			WHERE id = $5 AND loads = $6`, string(text), store.Millis(l.ValidUntil), store.Millis(s.next(l, tx.Now)), store.Millis(tx.Now), s.ID, s.loads)
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("the feed was loaded by somebody else at the same moment")
		}
		if err := writeRows(tx, s.ID, d.fresh, d.seen); err != nil {
			return err
		}
		if err := markGone(tx, s.ID, d.gone); err != nil {
			return err
		}
		facts := map[string]string{
			"generation": strconv.Itoa(l.Generation), "signer": l.Signer, "until": l.ValidUntil.Format(time.RFC3339), "services": strconv.Itoa(l.Services),
			"added": strconv.Itoa(r.Added), "changed": strconv.Itoa(r.Changed), "gone": strconv.Itoa(r.Gone),
		}
		return k.note(tx, "feed.loaded", s.ID, maps.Clone(facts))
	})
}

const rowsAtOnce = 200

func writeRows(tx *store.Tx, feed string, ids []string, seen map[string]hash) error {
	for part := range slices.Chunk(ids, rowsAtOnce) {
		args := []any{feed, store.Millis(tx.Now)}
		rows := make([]string, 0, len(part))
		for _, id := range part {
			h := seen[id]
			args = append(args, id, h[:])
			rows = append(rows, fmt.Sprintf("($1, $%d, $%d, 0, 0, 0, $2)", len(args)-1, len(args)))
		}
		_, err := tx.Exec("INSERT INTO feed_entity (feed, entity, hash, valid_until, gone, due_at, changed_at) VALUES "+strings.Join(rows, ", ")+
			" ON CONFLICT (feed, entity) DO UPDATE SET hash = excluded.hash, gone = 0, changed_at = excluded.changed_at", args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// markGone ends services that are published no more: it is how a federation says that
// they are not to be believed any longer.
func markGone(tx *store.Tx, feed string, ids []string) error {
	for part := range slices.Chunk(ids, rowsAtOnce) {
		args := []any{feed, store.Millis(tx.Now)}
		marks := make([]string, 0, len(part))
		for _, id := range part {
			args = append(args, id)
			marks = append(marks, fmt.Sprintf("$%d", len(args)))
		}
		_, err := tx.Exec("UPDATE feed_entity SET gone = $2 WHERE feed = $1 AND entity IN ("+strings.Join(marks, ", ")+")", args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// counted tells how much has come.
type counted struct {
	from  io.Reader
	done  int64
	total int64
	tell  func(done, total int64)
	told  int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.done += int64(n)
	if c.tell != nil && c.done-c.told > 256<<10 {
		c.told = c.done
		c.tell(c.done, max(c.total, 0))
	}
	return n, err
}

func (c *counted) end() {
	if c.tell != nil {
		c.tell(c.done, c.done)
	}
}
