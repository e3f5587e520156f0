package transaction

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/store"
)

// EventGaveWay is on record when sign-ins in which nobody had proved anything gave way
// to younger ones.
const EventGaveWay = "signin.gaveway"

// knockFor is how long after its end a sign-in is kept in which nobody proved anything.
// What the browser keeps of it (Keepsake) leads on for longer.
const knockFor = 30 * time.Minute

// Bounds are how many sign-ins may be open in which nobody has proved anything.
type Bounds struct {
	// Source bounds a queue: what one source has begun and not touched, and once more
	// what it has touched without proving anything.
	Source int
	// House bounds all queues together.
	House int
	// Look is how many a source begins on a node before its queues are looked at again.
	Look int
}

// DefaultBounds leave room for the first morning of a term behind one address, and hold
// the rows of everybody together under about 100 MB (1.5 GB if all are as large as they can be).
func DefaultBounds() Bounds { return Bounds{Source: 4000, House: 60_000, Look: 256} }

// Strangers forgets a browser in which nobody has ever signed in.
type Strangers interface {
	ForgetStranger(tx *store.Tx, browserID string) error
}

// Crowd keeps strangers from filling the house with sign-ins that they only begin. In
// each queue the one that stood still longest gives way first; when the house is full,
// those in the longest queues. So a flood pushes out itself.
type Crowd struct {
	db       *store.DB
	log      *audit.Log
	browsers Strangers
	bounds   Bounds

	mu    sync.Mutex
	begun map[string]int // by source, since its queues were looked at
	all   int            // since all queues were looked at
}

// NewCrowd returns a crowd with the given bounds.
func NewCrowd(db *store.DB, log *audit.Log, browsers Strangers, bounds Bounds) *Crowd {
	return &Crowd{db: db, log: log, browsers: browsers, bounds: bounds, begun: map[string]int{}}
}

// Source is who begins a sign-in: the account of a live session, otherwise the network.
func Source(addr netip.Addr, account authn.AccountID) string {
	if account != "" {
		return string(account)
	}
	return audit.Source(addr.String())
}

// The queues of a source.
const (
	untouched = "0"
	touched   = "1"
)

// queue names where t waits; "" once something was proved.
func (t *Transaction) queue() string {
	switch {
	case len(t.Evidence) > 0 || t.Session != "" || t.Source == "":
		return ""
	case t.Seq > 0:
		return touched + t.Source
	}
	return untouched + t.Source
}

// Begun counts a sign-in that was stored, and now and then lets others give way to it.
// Nothing of that is the person's concern: an error is for the log.
func (c *Crowd) Begun(ctx context.Context, t *Transaction) error {
	source, house := c.due(t.Source)
	ctx = context.WithoutCancel(ctx) // whoever hangs up does not spare himself
	var err error
	if source {
		err = c.shorten(ctx, t.Source)
	}
	if house {
		err = errors.Join(err, c.level(ctx))
	}
	return err
}

// due tells whether the queues of a source, and all of them, are to be looked at now.
func (c *Crowd) due(source string) (one, house bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.begun) >= mostSources {
		clear(c.begun) // so many that all queues are looked at soon
	}
	c.begun[source]++
	c.all++
	if one = c.begun[source] >= c.bounds.Look; one {
		delete(c.begun, source)
	}
	if house = c.all >= 4*c.bounds.Look; house {
		c.all = 0
	}
	return one, house
}

// mostSources bounds what is remembered of sources.
const mostSources = 10_000

// shorten lets the oldest of a source give way.
func (c *Crowd) shorten(ctx context.Context, source string) error {
	for _, queue := range []string{untouched + source, touched + source} {
		if err := c.remove(ctx, queue, `SELECT id FROM login_transaction WHERE queue = $1 AND queue <> ''
			ORDER BY expires_at DESC, id LIMIT $2 OFFSET $3`, queue, int64(atOnce), int64(c.bounds.Source)); err != nil {
			return err
		}
	}
	return nil
}

// level holds every queue to the bound of a source, and all together to that of the
// house, to which the longest ones are cut back alike.
func (c *Crowd) level(ctx context.Context) error {
	long := map[string]int{}
	err := c.db.Glance(ctx, func(tx *store.Tx) error {
		clear(long)
		rows, err := tx.Query("SELECT queue, COUNT(*) FROM login_transaction WHERE queue <> '' GROUP BY queue")
		return store.Each(rows, err, func(rows *sql.Rows) error {
			var queue string
			var n int
			err := rows.Scan(&queue, &n)
			long[queue] = n
			return err
		})
	})
	if err != nil {
		return err
	}
	most := fair(long, c.bounds)
	for queue, n := range long {
		for ; n > most; n -= atOnce {
			if err := c.remove(ctx, queue, `SELECT id FROM login_transaction WHERE queue = $1 AND queue <> ''
				ORDER BY expires_at DESC, id LIMIT $2 OFFSET $3`, queue, int64(atOnce), int64(most)); err != nil {
				return err
			}
		}
	}
	// More sources than the house has places: whoever waited longest gives way.
	for over := len(long) - c.bounds.House; most == 1 && over > 0; over -= atOnce {
		if err := c.remove(ctx, "", `SELECT id FROM login_transaction WHERE queue <> '' ORDER BY expires_at, id LIMIT $1`,
			int64(min(over, atOnce))); err != nil {
			return err
		}
	}
	return nil
}

// fair is the greatest length that queues may have so that all find room; at least 1.
func fair(long map[string]int, b Bounds) int {
	var lengths []int
	for _, n := range long {
		lengths = append(lengths, n)
	}
	slices.Sort(lengths)
	room := b.House
	for i, n := range lengths {
		left := len(lengths) - i
		if share := room / left; n > share {
			return max(1, min(share, b.Source))
		}
		room -= n
	}
	return b.Source
}

// atOnce bounds what gives way in one transaction.
const atOnce = 1000

// remove lets the chosen ones give way, and puts it on record.
func (c *Crowd) remove(ctx context.Context, queue, choice string, args ...any) error {
	var n int
	err := c.db.Background(ctx, func(tx *store.Tx) (err error) {
		n, err = c.clear(tx, choice, args...)
		return err
	})
	if err != nil || n == 0 {
		return err
	}
	e := audit.Event{Type: EventGaveWay, Facts: map[string]string{"rows": strconv.Itoa(n)}}
	source := queue[min(1, len(queue)):]
	if net, err := netip.ParsePrefix(source); err == nil {
		e.Address, e.Facts["network"] = net.Addr().String(), source
	} else {
		e.Account = authn.AccountID(source)
	}
	if _, room := c.log.Afford(audit.Few(), e); !room {
		return nil
	}
	return c.db.Write(ctx, func(tx *store.Tx) error { return c.log.Append(tx, e) })
}

// clear removes rows in which nobody has proved anything meanwhile, and the browsers of
// which nothing else is known.
func (c *Crowd) clear(tx *store.Tx, choice string, args ...any) (n int, err error) {
	browsers := map[string]bool{}
	rows, err := tx.Query("DELETE FROM login_transaction WHERE id IN ("+choice+") AND queue <> '' RETURNING browser", args...)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		browsers[id] = true
		n++
		return err
	})
	if err != nil {
		return 0, err
	}
	for id := range browsers {
		var one int
		err := tx.QueryRow("SELECT 1 FROM login_transaction WHERE browser = $1 LIMIT 1", id).Scan(&one)
		if errors.Is(err, store.ErrNoRows) {
			err = c.browsers.ForgetStranger(tx, id)
		}
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// Sweep removes the sign-ins that are over: soon, when nobody proved anything in them, and
// otherwise a day after their end. It holds the queues to their bounds whatever the
// nodes have counted; a job calls it.
func (c *Crowd) Sweep(ctx context.Context) error {
	for n := atOnce; n == atOnce; {
		err := c.db.Background(ctx, func(tx *store.Tx) (err error) {
			n, err = c.clear(tx, "SELECT id FROM login_transaction WHERE queue <> '' AND expires_at < $1 ORDER BY expires_at LIMIT $2",
				store.Millis(tx.Now.Add(-knockFor)), int64(atOnce))
			return err
		})
		if err != nil {
			return err
		}
	}
	err := c.db.Background(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM login_transaction WHERE expires_at < $1", store.Millis(tx.Now.Add(-keepFor)))
		return err
	})
	return errors.Join(err, c.level(ctx))
}
