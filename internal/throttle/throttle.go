package throttle

import (
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

//go:embed schema
var schemaFiles embed.FS

// Schema is the tables of the room.
func Schema() store.Schema { return store.Schema{Room: "throttle", Files: schemaFiles} }

// CodeLocked is the code of the fault that Begin returns during a lock. Its fact
// "until" is the end of the lock (RFC 3339, UTC).
const CodeLocked authn.Code = "P5"

// Limits are the ladders. The zero value of any of them means its default.
type Limits struct {
	Pair   Limit                // for who and factor
	Kinds  map[authn.Kind]Limit // in place of Pair for single factors
	Source Limit                // for source and factor
}

// DefaultLimits returns ladders for a university. The source's is wide: a whole
// campus may stand behind one address, and a try counts while it is being verified,
// so hundreds of right sign-ins on the first morning of a term must find room.
func DefaultLimits() Limits {
	return Limits{
		Pair:   Limit{Tries: 5, First: time.Minute, Cap: time.Hour, Forget: 6 * time.Hour},
		Source: Limit{Tries: 1000, First: time.Minute, Cap: 15 * time.Minute, Forget: 5 * time.Second},
	}
}

// Try is one attempt to prove something.
type Try struct {
	// Who is an account's id, or "name:" and a keyed hash of what was typed. Both
	// are counted alike, so a lock tells nothing about the account.
	Who    string
	Factor authn.Kind
	Source netip.Addr // the client's address; invalid means unknown, then no source is counted
	Known  bool       // the browser is one that the owner has used before
}

// Throttle counts tries.
type Throttle struct{ limits Limits }

// New returns a throttle with the given ladders.
func New(limits Limits) *Throttle {
	def := DefaultLimits()
	limits.Pair = limits.Pair.or(def.Pair)
	limits.Source = limits.Source.or(def.Source)
	return &Throttle{limits: limits}
}

func (l Limit) or(def Limit) Limit {
	if l.Tries <= 0 {
		l.Tries = def.Tries
	}
	if l.First <= 0 {
		l.First = def.First
	}
	if l.Cap <= 0 {
		l.Cap = def.Cap
	}
	if l.Forget <= 0 {
		l.Forget = def.Forget
	}
	return l
}

// Scopes of counters.
const (
	scopeStranger = "stranger"
	scopeKnown    = "known"
	scopeSource   = "source" // and the number of the shard
)

// counter names one stored count.
type counter struct {
	who    string
	factor authn.Kind
	scope  string
}

func (t *Throttle) limit(c counter) Limit {
	if strings.HasPrefix(c.scope, scopeSource) {
		l, n := t.limits.Source, t.shards()
		l.Tries /= n
		l.Forget *= time.Duration(n)
		return l
	}
	return t.limits.Kinds[c.factor].or(t.limits.Pair)
}

// pair is the counter of who and factor.
func (y Try) pair() counter {
	if y.Known {
		return counter{y.Who, y.Factor, scopeKnown}
	}
	return counter{y.Who, y.Factor, scopeStranger}
}

// shards is over how many counters the tries of one source are spread by who they
// are for. A whole campus may sign in from one address, and all of it would wait
// for one row. Small limits are not spread.
func (t *Throttle) shards() int { return max(1, min(16, t.limits.Source.Tries/12)) }

// source is the counter of the source. A known browser has none: strangers behind
// the same address must not lock the owner out.
func (t *Throttle) source(y Try) (counter, bool) {
	if y.Known || !y.Source.IsValid() {
		return counter{}, false
	}
	addr := y.Source.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64 // one subscriber's network (RFC 6177)
	}
	net, err := addr.Prefix(bits)
	h := fnv.New32a()
	h.Write([]byte(y.Who))
	scope := scopeSource + strconv.Itoa(int(h.Sum32())%t.shards())
	return counter{net.String(), y.Factor, scope}, err == nil
}

func (t *Throttle) counters(y Try) []counter {
	all := []counter{y.pair()}
	if s, ok := t.source(y); ok {
		all = append(all, s)
	}
	return all
}

// Begin counts the try. Call it in a transaction of its own that commits before
// the try is verified; store.DB.Background is made for it, since it locks the rows
// it decides on. During a lock it returns a *authn.Fault (CodeLocked), and the
// transaction is to be given up.
func (t *Throttle) Begin(tx *store.Tx, try Try) error {
	var next []Count
	var until time.Time
	all := t.counters(try)
	for _, k := range all {
		c, err := lock(tx, k)
		if err != nil {
			return err
		}
		c, ok := Step(t.limit(k), c, tx.Now)
		if !ok && c.Until.After(until) {
			until = c.Until
		}
		next = append(next, c)
	}
	if !until.IsZero() {
		return authn.NewFault(CodeLocked, "until", until.UTC().Format(time.RFC3339))
	}
	for i, k := range all {
		if err := t.save(tx, k, next[i]); err != nil {
			return err
		}
	}
	return nil
}

// Succeed clears the count of who and factor and takes the try back from the
// source's. The counts of other browsers stay.
func (t *Throttle) Succeed(tx *store.Tx, try Try) error {
	if err := remove(tx, try.pair()); err != nil {
		return err
	}
	k, ok := t.source(try)
	if !ok {
		return nil
	}
	c, err := load(tx, k)
	if err != nil || c.Tries == 0 {
		return err
	}
	return t.save(tx, k, Back(t.limit(k), c, tx.Now))
}

// Left returns how many tries who has with this factor before the next lock; 0
// during a lock.
func (t *Throttle) Left(tx *store.Tx, try Try) (int, error) {
	k := try.pair()
	c, err := load(tx, k)
	return Left(t.limit(k), c, tx.Now), err
}

// Lock is a lock that holds now.
type Lock struct {
	Factor authn.Kind
	Known  bool // it holds for the browsers that the owner has used, not for others
	Tries  int
	Until  time.Time
}

// Locks returns the locks of who, for the help desk.
func (t *Throttle) Locks(tx *store.Tx, who string) ([]Lock, error) {
	var out []Lock
	rows, err := tx.Query(`SELECT factor, scope, tries, since, until FROM throttle_count
		WHERE who = $1 AND scope IN ($2, $3) ORDER BY factor, scope`, who, scopeStranger, scopeKnown)
	err = store.Each(rows, err, func(s *sql.Rows) error {
		k := counter{who: who}
		var c Count
		var since, until int64
		if err := s.Scan(&k.factor, &k.scope, &c.Tries, &since, &until); err != nil {
			return err
		}
		c.Since, c.Until = store.Time(since), store.Time(until)
		l := t.limit(k)
		if c = l.aged(c, tx.Now); l.locked(c, tx.Now) {
			out = append(out, Lock{Factor: k.factor, Known: k.scope == scopeKnown, Tries: c.Tries, Until: c.Until})
		}
		return nil
	})
	return out, wrap(err)
}

// Clear forgets all tries of who, after the help desk has made sure of the person.
func (t *Throttle) Clear(tx *store.Tx, who string) error {
	_, err := tx.Exec("DELETE FROM throttle_count WHERE who = $1 AND scope IN ($2, $3)", who, scopeStranger, scopeKnown)
	return wrap(err)
}

// sweepLimit bounds the rows that one Sweep removes.
const sweepLimit = 5000

// Sweep removes counts that remember nothing any more, at most sweepLimit of them,
// and returns how many it removed. It may run in store.DB.Background.
func (t *Throttle) Sweep(tx *store.Tx) (int64, error) {
	n, err := tx.Exec(`DELETE FROM throttle_count WHERE forgotten <= $1 AND (who, factor, scope) IN
		(SELECT who, factor, scope FROM throttle_count WHERE forgotten <= $1 ORDER BY forgotten LIMIT $2)`,
		store.Millis(tx.Now), sweepLimit)
	return n, wrap(err)
}

// lock returns the count and keeps its row from others until the transaction ends.
// It does not look for the row first: on PostgreSQL that look alone would make
// serialisable neighbours fail.
func lock(tx *store.Tx, k counter) (Count, error) {
	var c Count
	var since, until int64
	err := tx.QueryRow(`INSERT INTO throttle_count (who, factor, scope, tries, since, until, forgotten)
		VALUES ($1, $2, $3, 0, 0, 0, 0) ON CONFLICT (who, factor, scope) DO UPDATE SET tries = throttle_count.tries
		RETURNING tries, since, until`, k.who, string(k.factor), k.scope).Scan(&c.Tries, &since, &until)
	c.Since, c.Until = store.Time(since), store.Time(until)
	return c, wrap(err)
}

func load(tx *store.Tx, k counter) (Count, error) {
	var c Count
	var since, until int64
	err := tx.QueryRow("SELECT tries, since, until FROM throttle_count WHERE who = $1 AND factor = $2 AND scope = $3",
		k.who, string(k.factor), k.scope).Scan(&c.Tries, &since, &until)
	if errors.Is(err, store.ErrNoRows) {
		return Count{}, nil
	}
	c.Since, c.Until = store.Time(since), store.Time(until)
	return c, wrap(err)
}

func (t *Throttle) save(tx *store.Tx, k counter, c Count) error {
	if c.Tries == 0 && c.Until.IsZero() {
		return remove(tx, k)
	}
	_, err := tx.Exec(`INSERT INTO throttle_count (who, factor, scope, tries, since, until, forgotten)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (who, factor, scope) DO UPDATE SET tries = excluded.tries, since = excluded.since,
			until = excluded.until, forgotten = excluded.forgotten`,
		k.who, string(k.factor), k.scope, c.Tries, store.Millis(c.Since), store.Millis(c.Until), store.Millis(t.limit(k).forgotten(c)))
	return wrap(err)
}

func remove(tx *store.Tx, k counter) error {
	_, err := tx.Exec("DELETE FROM throttle_count WHERE who = $1 AND factor = $2 AND scope = $3", k.who, string(k.factor), k.scope)
	return wrap(err)
}

func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("throttle: %w", err)
	}
	return nil
}
