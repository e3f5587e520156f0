package audit

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

func plainHash(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

// grow fills the archive with n events, one a second, of n/20 accounts. They carry
// no seals, so they are there to be found, not to be verified.
func grow(t testing.TB, db *store.DB, n int) {
	t.Helper()
	const step = 100_000
	for at := 0; at < n; at += step {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`WITH RECURSIVE c(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM c WHERE i < $2)
				INSERT INTO audit_event (`+rowColumns+`, block, seal)
				SELECT i, $3 + i * 1000, CASE WHEN i % 3 = 0 THEN 'signin.failed' ELSE 'signin.done' END, 'acc_' || (i % $4), '', 'ses_' || (i / 5), 'txn_' || (i / 3),
					'sup_' || (i / 3), 'library', '192.0.2.1', '{"factor":"password","code":"P1"}', i / 200, $5 FROM c`,
				at+1, min(at+step, n), store.Millis(tx.Now), max(1, n/20), make([]byte, 32))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec("ANALYZE audit_event"); return err })
	if err != nil {
		t.Fatal(err)
	}
}

// queries that pages and the desk ask, and the index that each has to use.
func queries(start time.Time, n int) map[string]Query {
	middle := start.Add(time.Duration(n/2) * time.Second)
	return map[string]Query{
		"audit_event_account": {Account: "acc_3", Newest: true, Limit: 50},
		"audit_event_support": {Support: "sup_77"},
		"audit_event_txn":     {Transaction: "txn_77"},
		"audit_event_session": {Session: "ses_77"},
		"audit_event_at":      {Since: middle, Until: middle.Add(time.Minute), TypePrefix: "signin.", Newest: true},
	}
}

// Every question is answered from an index, without reading the whole log.
func TestQuestionsUseTheirIndex(t *testing.T) {
	db, clock := storetest.Open(t, Schema())
	const n = 20_000
	grow(t, db, n)
	for index, q := range queries(clock.Now(), n) {
		// PostgreSQL may prefer to sort a handful of rows.
		if plan := explain(t, db, q); !strings.Contains(plan, index) || strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%+v:\n%s", q, plan)
		}
		q.Before = n / 2
		if plan := explain(t, db, q); strings.Contains(plan, "SCAN audit_event\n") || strings.Contains(plan, "Seq Scan") {
			t.Errorf("next page of %+v:\n%s", q, plan)
		}
	}
}

func explain(t *testing.T, db *store.DB, q Query) string {
	t.Helper()
	var plan strings.Builder
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		where, args, err := q.where(tx)
		if err != nil {
			return err
		}
		prefix := "EXPLAIN "
		if db.Flavour() == store.SQLite {
			prefix += "QUERY PLAN "
		}
		rows, err := tx.Query(prefix+q.text("audit_event", where, len(args)+1), append(args, 50)...)
		return store.Each(rows, err, func(s *sql.Rows) error {
			columns, err := s.Columns()
			if err != nil {
				return err
			}
			cells := make([]any, len(columns))
			for i := range cells {
				cells[i] = new(sql.NullString)
			}
			err = s.Scan(cells...)
			fmt.Fprintln(&plan, cells[len(cells)-1].(*sql.NullString).String)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

func FuzzParseRuns(f *testing.F) {
	for _, s := range []string{"", "1", "1-3", "1-3,5", "3-1", "-", "1-", "-1", "1,1", "0", "9223372036854775807", "1-9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spans, err := parseRuns(text)
		if err != nil {
			return
		}
		last := int64(0)
		for _, s := range spans {
			if s.first <= last || s.last < s.first || s.last-s.first > blockLimit {
				t.Fatalf("%q gives %v", text, spans)
			}
			last = s.last
		}
	})
}

// What runs writes, parseRuns reads.
func TestRunsComeBack(t *testing.T) {
	for _, ids := range [][]int64{{1}, {1, 2, 3}, {1, 3, 5}, {7, 8, 10, 11, 12, 40}} {
		var rows []row
		for _, id := range ids {
			rows = append(rows, row{id: id})
		}
		spans, err := parseRuns(runs(rows))
		var back []int64
		for _, s := range spans {
			for id := s.first; id <= s.last; id++ {
				back = append(back, id)
			}
		}
		if err != nil || fmt.Sprint(back) != fmt.Sprint(ids) {
			t.Errorf("%v became %q and %v, %v", ids, runs(rows), back, err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	db, _ := storetest.Open(b, Schema())
	l := New(db, plainHash)
	b.ResetTimer()
	for i := 0; i < b.N; i += 100 {
		err := db.Write(b.Context(), func(tx *store.Tx) error {
			for range 100 {
				err := l.Append(tx, Event{Type: "signin.done", Account: "acc_1", Session: "s", Transaction: "t", Support: "7KQ2", Facts: map[string]string{"factor": "password"}})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealAndVerify(b *testing.B) {
	const n = 20_000
	db, _ := storetest.Open(b, Schema())
	l := New(db, plainHash)
	err := db.Write(b.Context(), func(tx *store.Tx) error {
		for i := range n {
			if err := l.Append(tx, Event{Type: "signin.done", Account: authn.AccountID(fmt.Sprint("acc_", i%500)), Support: "7KQ2", Facts: map[string]string{"factor": "password"}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := l.Seal(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(n/time.Since(began).Seconds(), "sealed/s")
	for b.Loop() {
		if r, err := l.Verify(b.Context(), nil); err != nil || !r.Sound() || r.Events != n {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "verified/s")
}

// BenchmarkFind asks a log of two million events.
func BenchmarkFind(b *testing.B) {
	const n = 2_000_000
	db, clock := storetest.Open(b, Schema())
	l := New(db, plainHash)
	grow(b, db, n)
	for name, q := range queries(clock.Now(), n) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				err := db.Read(b.Context(), func(tx *store.Tx) error {
					events, err := l.Find(tx, q)
					if len(events) == 0 {
						b.Error("nothing found")
					}
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
