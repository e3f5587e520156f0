package feed

import (
	"context"
	"database/sql"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/unicode/norm"

	"seimon/internal/store"
)

// catalogue is the names of all services of the feeds, folded for searching. It is made
// at the first search and again for what has changed.
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

// shownNames finds the names of a provider in canonical metadata, without reading the rest.
var shownNames = regexp.MustCompile(`<(?:[A-Za-z0-9_.-]+:)?(?:DisplayName|OrganizationDisplayName|ServiceName)(?:\s[^>]*)?>([^<]{1,1000})<`)

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
		r, err := tx.Query("SELECT entity, hash FROM feed_entity WHERE gone = 0 ORDER BY entity, feed")
		return store.Each(r, err, func(r *sql.Rows) error {
			var l line
			var sum []byte
			if err := r.Scan(&l.id, &sum); err != nil {
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
	known := map[hash]string{}
	for _, l := range k.names.lines {
		known[l.hash] = l.text
	}
	if err := k.name(ctx, now, known); err != nil {
		return nil, err
	}
	k.names.version, k.names.lines = version, now
	return now, nil
}

// name fills in the names of lines, reading only documents that are not known.
func (k *Keeper) name(ctx context.Context, lines []line, known map[hash]string) error {
	for part := range slices.Chunk(lines, rowsAtOnce) {
		err := k.DB.Read(ctx, func(tx *store.Tx) error {
			for i := range part {
				l := &part[i]
				if l.text = known[l.hash]; l.text != "" {
					continue
				}
				var body []byte
				if err := tx.QueryRow("SELECT body FROM feed_document WHERE hash = $1", l.hash[:]).Scan(&body); err != nil {
					return fmt.Errorf("feed: the metadata of %s is missing: %w", l.id, err)
				}
				text, err := unsqueeze(body)
				if err != nil {
					return err
				}
				names := []string{l.id}
				for _, m := range shownNames.FindAllSubmatch(text, 20) {
					names = append(names, html.UnescapeString(string(m[1])))
				}
				l.text = fold(strings.Join(names, "\n"))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
