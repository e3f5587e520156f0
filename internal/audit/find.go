package audit

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Query selects events. Empty fields select everything.
type Query struct {
	Account     authn.AccountID
	Support     string
	Transaction string
	Session     string
	TypePrefix  string    // "signin." selects signin.failed and its neighbours
	Since       time.Time // inclusive
	Until       time.Time // exclusive
	// Before continues a search: the ID of the last event of the page before. It
	// means "earlier than" when Newest is set and "later than" otherwise.
	Before int64
	Limit  int  // 0 means 100; at most 10,000
	Newest bool // newest first; otherwise oldest first
}

const (
	defaultLimit  = 100
	greatestLimit = 10_000
)

// Find returns the selected events in the order of their time, sealed or not.
func (l *Log) Find(tx *store.Tx, q Query) ([]Event, error) {
	q.Limit = min(q.Limit, greatestLimit)
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	where, args, err := q.where(tx)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, table := range []string{"audit_fresh", "audit_event"} {
		found, err := tx.Query(q.text(table, where, len(args)+1), append(slices.Clone(args), q.Limit)...)
		err = store.Each(found, err, func(s *sql.Rows) error {
			var r row
			err := s.Scan(r.fields()...)
			rows = append(rows, r)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("audit: find: %w", err)
		}
	}
	return q.page(rows)
}

// page merges what the two tables gave.
func (q Query) page(rows []row) ([]Event, error) {
	slices.SortFunc(rows, func(a, b row) int {
		c := compareRow(a, b)
		if q.Newest {
			return -c
		}
		return c
	})
	rows = slices.CompactFunc(rows, func(a, b row) bool { return a.id == b.id })
	events := make([]Event, 0, min(len(rows), q.Limit))
	for _, r := range rows[:min(len(rows), q.Limit)] {
		e, err := r.event()
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

func compareRow(a, b row) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id))
}

func (q Query) text(table, where string, limit int) string {
	order := "at, id"
	if q.Newest {
		order = "at DESC, id DESC"
	}
	return fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s LIMIT $%d", rowColumns, table, where, order, limit)
}

func (q Query) where(tx *store.Tx) (string, []any, error) {
	var terms []string
	var args []any
	add := func(term string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			term = strings.Replace(term, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		terms = append(terms, term)
	}
	equal := func(column, value string) {
		if value != "" {
			// The second half lets the partial index of the column be used.
			add(column+" = ? AND "+column+" <> ''", clean(value))
		}
	}
	equal("account", string(q.Account))
	equal("support", q.Support)
	equal("txn", q.Transaction)
	equal("session", q.Session)
	if q.TypePrefix != "" {
		add("substr(type, 1, ?) = ?", len([]rune(q.TypePrefix)), clean(q.TypePrefix))
	}
	if !q.Since.IsZero() {
		add("at >= ?", store.Millis(q.Since))
	}
	if !q.Until.IsZero() {
		add("at < ?", store.Millis(q.Until))
	}
	if q.Before != 0 {
		at, err := q.cursor(tx)
		if err != nil {
			return "", nil, err
		}
		if q.Newest {
			add("(at, id) < (?, ?)", at, q.Before)
		} else {
			add("(at, id) > (?, ?)", at, q.Before)
		}
	}
	if len(terms) == 0 {
		return "", nil, nil
	}
	return " WHERE " + strings.Join(terms, " AND "), args, nil
}

// cursor finds the time of the event at which the page before ended.
func (q Query) cursor(tx *store.Tx) (int64, error) {
	var at int64
	for _, table := range []string{"audit_event", "audit_fresh"} {
		err := tx.QueryRow("SELECT at FROM "+table+" WHERE id = $1", q.Before).Scan(&at)
		if err == nil {
			return at, nil
		}
		if !errors.Is(err, store.ErrNoRows) {
			return 0, fmt.Errorf("audit: find: %w", err)
		}
	}
	// The event is gone: an empty page is better than the first one again.
	if q.Newest {
		return math.MinInt64, nil
	}
	return math.MaxInt64, nil
}
