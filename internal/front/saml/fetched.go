package saml

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web"
)

// fetchLog gathers who reads our metadata; Refresh writes it down, so that strangers
// cannot make the database work.
type fetchLog struct {
	mu   sync.Mutex
	rows map[fetchRow]time.Time
}

// fetchRow is a reader: party is named by the address that the service was given
// (?for=), and empty otherwise.
type fetchRow struct{ party, address, agent string }

// Bounds of what is kept of readers.
const (
	mostFetches = 1000                // in memory, between two writings
	keptFetches = 5000                // in the database
	fetchLife   = 60 * 24 * time.Hour // after the last reading
)

// note remembers a reading. What a reader says of itself is cut short.
func (l *fetchLog) note(r *http.Request, now time.Time) {
	clean := func(s string, most int) string {
		s = strings.Map(func(c rune) rune {
			if c < ' ' || c > '~' {
				return -1
			}
			return c
		}, s)
		return s[:min(len(s), most)]
	}
	row := fetchRow{clean(r.URL.Query().Get("for"), 1024), web.ClientOf(r).Addr.String(), clean(r.UserAgent(), 100)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rows == nil {
		l.rows = map[fetchRow]time.Time{}
	}
	if _, known := l.rows[row]; known || len(l.rows) < mostFetches {
		l.rows[row] = now
	}
}

// writeFetches writes down who has read our metadata.
func (f *Front) writeFetches(ctx context.Context) error {
	f.fetched.mu.Lock()
	rows := f.fetched.rows
	f.fetched.rows = nil
	f.fetched.mu.Unlock()
	if len(rows) == 0 {
		return nil
	}
	return f.DB.Write(ctx, func(tx *store.Tx) error {
		for row, at := range rows {
			if row.party != "" {
				if p, err := f.Parties.Get(tx, row.party); err == rp.ErrNone || err == nil && p.Protocol != Name { //nolint:errorlint // it comes as it is
					row.party = ""
				} else if err != nil {
					return err
				}
			}
			_, err := tx.Exec(`INSERT INTO saml_fetch (party, address, agent, first_at, last_at) VALUES ($1, $2, $3, $4, $4)
				ON CONFLICT (party, address, agent) DO UPDATE SET last_at = $4`, row.party, row.address, row.agent, store.Millis(at))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// sweepFetches forgets readers that have not come back, and the oldest when there are
// too many.
func sweepFetches(tx *store.Tx) error {
	if _, err := tx.Exec("DELETE FROM saml_fetch WHERE last_at < $1", store.Millis(tx.Now.Add(-fetchLife))); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM saml_fetch WHERE last_at < coalesce((SELECT last_at FROM saml_fetch ORDER BY last_at DESC LIMIT 1 OFFSET $1), 0)", int64(keptFetches))
	return err
}
