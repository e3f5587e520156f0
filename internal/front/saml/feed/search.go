package feed

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"html"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/unicode/norm"

	"seimon/internal/store"
)

// catalogue is the names of all services of the feeds, folded for searching. It is read
// at the first search and again when something has changed.
type catalogue struct {
	mu      sync.Mutex
	version string
	lines   []line
}

// line is a service in the catalogue.
type line struct {
	id   string
	hash hash
	text string // id and names, folded
}

// fold makes spellings equal: width, case, and the rest of NFKC.
func fold(text string) string { return strings.ToLower(norm.NFKC.String(text)) }

// shown ends the local names of elements that hold names of a provider.
func shown() [][]byte { return [][]byte{[]byte("DisplayName"), []byte("ServiceName")} }

// searchable is the entityID and the names of a provider in canonical metadata, folded.
// The rest of the metadata is not looked at.
func searchable(id string, text []byte) string {
	names := []string{id}
	for _, local := range shown() {
		for at := 0; len(names) < 20; {
			i := bytes.Index(text[at:], local)
			if i < 0 {
				break
			}
			begin, end := at+i, at+i+len(local)
			at = end
			open := bytes.LastIndexByte(text[:begin], '<')
			if open < 0 || !tagName(text[open+1:begin]) || end == len(text) || text[end] != '>' && text[end] != ' ' {
				continue
			}
			// An attribute may hold this character as it is; then some of that is found, too.
			from := bytes.IndexByte(text[end:], '>')
			to := bytes.IndexByte(text[end:], '<')
			if from >= 0 && to > from+1 && to-from <= 1000 {
				names = append(names, html.UnescapeString(string(text[end+from+1:end+to])))
			}
		}
	}
	return fold(strings.Join(names, "\n"))
}

// tagName tells whether a text can stand between the beginning of a tag and the end of its
// local name: a prefix, and what OrganizationDisplayName has more.
func tagName(text []byte) bool {
	_, local, prefixed := bytes.Cut(text, []byte(":"))
	if !prefixed {
		local = text
	}
	return (len(local) == 0 || string(local) == "Organization") && !bytes.ContainsAny(text, " />\"=")
}

// Search implements rp.Searcher: services whose entityID or names contain every word of
// the text, in the order of their ids.
func (k *Keeper) Search(ctx context.Context, text string, limit int) (ids []string, more bool, err error) {
	words := strings.Fields(fold(text))
	if len(words) == 0 || limit <= 0 {
		return nil, false, nil
	}
	lines, err := k.catalogue(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, l := range lines {
		if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(l.text, w) }) {
			continue
		}
		if len(ids) == limit {
			return ids, true, nil
		}
		ids = append(ids, l.id)
	}
	return ids, false, nil
}

// Any tells whether there is a service in the feeds.
func (k *Keeper) Any(tx *store.Tx) (bool, error) {
	var n int64
	err := tx.QueryRow("SELECT count(*) FROM (SELECT 1 FROM feed_entity WHERE gone = 0 LIMIT 1) AS one").Scan(&n)
	return n > 0, err
}

// catalogue brings the names up to date.
func (k *Keeper) catalogue(ctx context.Context) ([]line, error) {
	k.names.mu.Lock()
	defer k.names.mu.Unlock()
	var version string
	var now []line
	err := k.DB.Read(ctx, func(tx *store.Tx) error {
		now = nil
		var rows, last int64
		if err := tx.QueryRow("SELECT count(*), coalesce(max(changed_at), 0) FROM feed_entity WHERE gone = 0").Scan(&rows, &last); err != nil {
			return err
		}
		var loads int64
		if err := tx.QueryRow("SELECT coalesce(sum(loads), 0) FROM feed_feed").Scan(&loads); err != nil {
			return err
		}
		if version = fmt.Sprint(rows, last, loads); version == k.names.version {
			return nil
		}
		r, err := tx.Query(`SELECT e.entity, e.hash, coalesce(n.names, '') FROM feed_entity e
			LEFT JOIN feed_name n ON n.hash = e.hash WHERE e.gone = 0 ORDER BY e.entity, e.feed`)
		return store.Each(r, err, func(r *sql.Rows) error {
			var l line
			var sum []byte
			if err := r.Scan(&l.id, &sum, &l.text); err != nil {
				return err
			}
			copy(l.hash[:], sum)
			if n := len(now); n == 0 || now[n-1].id != l.id {
				now = append(now, l)
			}
			return nil
		})
	})
	if err != nil || version == k.names.version {
		return k.names.lines, err
	}
	if err := k.name(ctx, now); err != nil {
		return nil, err
	}
	k.names.version, k.names.lines = version, now
	return now, nil
}

// name reads the names of services that were loaded by a version of the program that did
// not keep them, and keeps them.
func (k *Keeper) name(ctx context.Context, lines []line) error {
	var bare []*line
	for i := range lines {
		if lines[i].text == "" {
			bare = append(bare, &lines[i])
		}
	}
	for part := range slices.Chunk(bare, rowsAtOnce) {
		err := k.DB.Read(ctx, func(tx *store.Tx) error {
			for _, l := range part {
				var body []byte
				if err := tx.QueryRow("SELECT body FROM feed_document WHERE hash = $1", l.hash[:]).Scan(&body); err != nil {
					return fmt.Errorf("feed: the metadata of %s is missing: %w", l.id, err)
				}
				text, err := unsqueeze(body)
				if err != nil {
					return err
				}
				l.text = searchable(l.id, text)
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = k.DB.Background(ctx, func(tx *store.Tx) error {
			for _, l := range part {
				if _, err := tx.Exec("INSERT INTO feed_name (hash, names) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING", l.hash[:], l.text); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
