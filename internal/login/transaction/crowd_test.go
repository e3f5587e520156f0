package transaction_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/jobs"
	"seimon/internal/keyring"
	"seimon/internal/login/transaction"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// street is the shelf with small bounds and whoever passes by.
type street struct {
	t        *testing.T
	db       *store.DB
	clock    *storetest.Clock
	shelf    *transaction.Shelf
	crowd    *transaction.Crowd
	sessions *session.Keeper
	log      *audit.Log
	bounds   transaction.Bounds
}

func open(t *testing.T) *street {
	t.Helper()
	db, clock := storetest.Open(t, transaction.Schema(), session.Schema(), audit.Schema(), jobs.Schema(), keyring.Schema())
	ring, err := keyring.Open(t.Context(), db, keyring.Config{Master: []byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	s := &street{
		t: t, db: db, clock: clock, shelf: transaction.New(ring), sessions: session.New(session.Config{}, jobs.New(db, "test")),
		log:    audit.New(db, func(data []byte) []byte { return ring.MAC("audit", data) }),
		bounds: transaction.Bounds{Source: 20, House: 120, Look: 4},
	}
	s.crowd = transaction.NewCrowd(db, s.log, s.sessions, s.bounds)
	return s
}

func (s *street) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// begin is what the hall does for a request without a cookie.
func (s *street) begin(address string) *transaction.Transaction {
	s.t.Helper()
	s.clock.Add(time.Millisecond)
	t := &transaction.Transaction{ID: authn.NewID("t"), Source: transaction.Source(netip.MustParseAddr(address), "")}
	s.must(s.db.Write(s.t.Context(), func(tx *store.Tx) error {
		b, _, err := s.sessions.NewBrowser(tx, "Firefox")
		t.Browser, t.Created, t.Expires = b.ID, tx.Now, tx.Now.Add(transaction.Life)
		if err != nil {
			return err
		}
		return s.shelf.Insert(tx, t)
	}))
	s.must(s.crowd.Begun(s.t.Context(), t))
	return t
}

// act is somebody who goes on with a sign-in.
func (s *street) act(t *transaction.Transaction, change func(*transaction.Transaction)) {
	s.t.Helper()
	s.clock.Add(time.Millisecond)
	s.must(s.db.Write(s.t.Context(), func(tx *store.Tx) error {
		now, err := s.shelf.Load(tx, t.ID)
		if err != nil {
			return err
		}
		now.Expires = tx.Now.Add(transaction.Life)
		now.Step()
		if change != nil {
			change(now)
		}
		return s.shelf.Save(tx, now)
	}))
}

func proved(t *transaction.Transaction) {
	t.Evidence = []authn.Evidence{{Kind: "password"}}
}

func (s *street) open(t *transaction.Transaction) bool {
	s.t.Helper()
	return s.count("SELECT COUNT(*) FROM login_transaction WHERE id = $1", t.ID) == 1
}

func (s *street) count(query string, args ...any) (n int) {
	s.t.Helper()
	s.must(s.db.Read(s.t.Context(), func(tx *store.Tx) error { return tx.QueryRow(query, args...).Scan(&n) }))
	return n
}

func (s *street) rows() int     { return s.count("SELECT COUNT(*) FROM login_transaction") }
func (s *street) browsers() int { return s.count("SELECT COUNT(*) FROM session_browser") }

func TestAFloodPushesOutItself(t *testing.T) {
	s := open(t)
	var hall []*transaction.Transaction
	for range 15 {
		hall = append(hall, s.begin("198.51.100.4"))
	}
	half := s.begin("203.0.113.9") // somebody who proved something in the very place of the flood
	s.act(half, proved)
	for range 500 {
		s.begin("203.0.113.9")
	}
	for _, one := range hall {
		if !s.open(one) {
			t.Fatal("a flood from elsewhere pushed somebody out")
		}
	}
	if !s.open(half) {
		t.Error("who proved something was pushed out")
	}
	if n := s.rows(); n > 15+1+s.bounds.Source+s.bounds.Look {
		t.Errorf("%d rows remain of the flood", n)
	}
	if n := s.browsers(); n > 15+1+s.bounds.Source+s.bounds.Look {
		t.Errorf("%d browsers remain of the flood", n)
	}
	last := s.begin("203.0.113.9")
	if !s.open(last) {
		t.Error("whoever comes after the flood finds no place")
	}
}

// One network's addresses are one source: an IPv6 site has more of them than there is sand.
func TestASiteIsOneSource(t *testing.T) {
	s := open(t)
	for i := range 300 {
		s.begin(fmt.Sprintf("2001:db8:7:%x::%x", i, i+1))
	}
	if n := s.rows(); n > s.bounds.Source+s.bounds.Look {
		t.Errorf("%d rows", n)
	}
}

// A flood that types names pushes out others that typed names, and neither those who
// just came nor those who proved something.
func TestTouchingBuysNoPlace(t *testing.T) {
	s := open(t)
	for range 100 {
		s.act(s.begin("203.0.113.9"), nil)
	}
	if n := s.rows(); n > s.bounds.Source+s.bounds.Look {
		t.Errorf("%d rows of sign-ins without a proof", n)
	}
	mine := s.begin("203.0.113.9")
	for range 10 {
		s.act(s.begin("203.0.113.9"), nil)
	}
	if !s.open(mine) {
		t.Error("whoever just came was pushed out by names typed elsewhere")
	}
	s.act(mine, func(t *transaction.Transaction) { t.Done = s.clock.Now() })
	for range 100 {
		s.act(s.begin("203.0.113.9"), func(t *transaction.Transaction) { t.Done = s.clock.Now() })
	}
	if n := s.rows(); n > 2*s.bounds.Source+s.bounds.Look {
		t.Errorf("%d rows of sign-ins that were called off", n)
	}
}

// Many sources fill the house: the longest queues are cut back, and whoever came alone stays.
func TestAFullHouseIsShared(t *testing.T) {
	s := open(t)
	var alone []*transaction.Transaction
	for i := range 10 {
		alone = append(alone, s.begin(fmt.Sprintf("198.51.100.%d", i)))
	}
	for i := range 15 * 18 {
		s.begin(fmt.Sprintf("203.0.113.%d", i%15))
	}
	s.must(s.crowd.Sweep(t.Context()))
	if n := s.rows(); n > s.bounds.House {
		t.Errorf("%d rows in a house for %d", n, s.bounds.House)
	}
	for _, one := range alone {
		if !s.open(one) {
			t.Fatal("a short queue gave way to long ones")
		}
	}
	for i := range 400 {
		s.begin(fmt.Sprintf("192.0.%d.%d", i/200, i%200))
	}
	s.must(s.crowd.Sweep(t.Context()))
	if n := s.rows(); n > s.bounds.House {
		t.Errorf("%d rows of more sources than the house has places", n)
	}
}

// Who hangs up before the answer does not get around the bound.
func TestHangingUpSparesNobody(t *testing.T) {
	s := open(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 * s.bounds.Source {
		one := &transaction.Transaction{ID: authn.NewID("t"), Browser: "b", Source: transaction.Source(netip.MustParseAddr("203.0.113.9"), "")}
		s.must(s.db.Write(t.Context(), func(tx *store.Tx) error {
			one.Created, one.Expires = tx.Now, tx.Now.Add(transaction.Life)
			return s.shelf.Insert(tx, one)
		}))
		s.must(s.crowd.Begun(gone, one))
	}
	if n := s.rows(); n > s.bounds.Source+s.bounds.Look {
		t.Errorf("%d rows", n)
	}
}

func TestWhatGaveWayIsOnRecordAndTheRecordIsBounded(t *testing.T) {
	s := open(t)
	for range 500 {
		s.begin("203.0.113.9")
	}
	var events []audit.Event
	s.must(s.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		events, err = s.log.Find(tx, audit.Query{TypePrefix: transaction.EventGaveWay, Limit: 1000})
		return err
	}))
	if len(events) == 0 || len(events) > audit.Few().Cause {
		t.Fatalf("%d events", len(events))
	}
	if e := events[0]; e.Address != "203.0.113.9" || e.Facts["network"] != "203.0.113.9/32" || e.Facts["rows"] == "" {
		t.Errorf("%+v", e)
	}
}

func TestLifeEndsSoonWithoutAProofAndLateWithOne(t *testing.T) {
	s := open(t)
	idle, done := s.begin("198.51.100.4"), s.begin("198.51.100.4")
	s.act(done, proved)
	s.clock.Add(time.Hour)
	late := s.begin("198.51.100.4")
	s.clock.Add(time.Second)
	s.must(s.crowd.Sweep(t.Context()))
	if s.open(idle) || !s.open(done) || !s.open(late) {
		t.Errorf("idle %v, proved %v, late %v", s.open(idle), s.open(done), s.open(late))
	}
	s.clock.Add(25 * time.Hour)
	s.must(s.crowd.Sweep(t.Context()))
	if n := s.rows(); n != 0 {
		t.Errorf("%d rows are never swept", n)
	}
}

// A browser with another sign-in, or one that somebody has used, is not forgotten.
func TestABrowserInUseIsKept(t *testing.T) {
	s := open(t)
	used, two := s.begin("198.51.100.4"), s.begin("198.51.100.5")
	s.clock.Add(time.Hour)
	s.must(s.db.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := s.sessions.NoteUse(tx, used.Browser, "a_1"); err != nil {
			return err
		}
		second := &transaction.Transaction{ID: authn.NewID("t"), Browser: two.Browser, Created: tx.Now, Expires: tx.Now.Add(transaction.Life)}
		return s.shelf.Insert(tx, second)
	}))
	s.clock.Add(time.Second)
	s.must(s.crowd.Sweep(t.Context()))
	if s.open(used) || s.open(two) || s.browsers() != 2 {
		t.Errorf("%v %v, %d browsers", s.open(used), s.open(two), s.browsers())
	}
}

func TestWhatTheBrowserKeeps(t *testing.T) {
	s := open(t)
	one := s.begin("198.51.100.4")
	one.Support = "7KQ2-MHXD"
	one.Ask = transaction.Ask{Front: "oidc", Party: "library", Request: []byte(`{"state":"x"}`)}
	kept := s.shelf.Keepsake(one)
	now := s.clock.Now()
	got := s.shelf.Recall(one.ID, kept, now)
	if got == nil || got.Ask.Front != "oidc" || string(got.Ask.Request) != `{"state":"x"}` || got.Support != one.Support {
		t.Fatalf("%+v", got)
	}
	changed := []byte(kept)
	if changed[40]++; kept[40] == 'z' {
		changed[40] = 'a'
	}
	for name, fake := range map[string]*transaction.Transaction{
		"of another sign-in": s.shelf.Recall("t_other", kept, now),
		"changed":            s.shelf.Recall(one.ID, string(changed), now),
		"empty":              s.shelf.Recall(one.ID, "", now),
		"nonsense":           s.shelf.Recall(one.ID, "!"+strings.Repeat("x", 9000), now),
		"too old":            s.shelf.Recall(one.ID, kept, now.Add(transaction.KeptFor+time.Second)),
	} {
		if fake != nil {
			t.Errorf("what was kept is believed although it is %s", name)
		}
	}
	one.Ask.Request = []byte(strings.Repeat("x", 5000))
	if kept = s.shelf.Keepsake(one); len(kept) > 2400 {
		t.Errorf("%d bytes in a cookie", len(kept))
	}
	if got = s.shelf.Recall(one.ID, kept, now); got == nil || got.Ask.Party != "library" || got.Ask.Front != "" {
		t.Errorf("%+v", got)
	}
}

// The bounds are reached through the index: no look walks over what was proved.
func TestQueuesAreIndexed(t *testing.T) {
	s := open(t)
	if s.db.Flavour() != store.SQLite {
		return
	}
	for _, query := range []string{
		"SELECT id FROM login_transaction WHERE queue = 'x' AND queue <> '' ORDER BY expires_at DESC, id LIMIT 9 OFFSET 9",
		"SELECT queue, COUNT(*) FROM login_transaction WHERE queue <> '' GROUP BY queue",
	} {
		var plan strings.Builder
		s.must(s.db.Read(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.Query("EXPLAIN QUERY PLAN " + query)
			return store.Each(rows, err, func(rows *sql.Rows) error {
				var a, b, c int
				var text string
				err := rows.Scan(&a, &b, &c, &text)
				plan.WriteString(text + "\n")
				return err
			})
		}))
		if !strings.Contains(plan.String(), "login_transaction_queue") {
			t.Errorf("%s\n%s", query, plan.String())
		}
	}
}
