package diagnosis

import (
	"context"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/keyring"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/policy"
	"seimon/internal/store"
)

const (
	slowAnswer   = 100 * time.Millisecond // of the database to one read
	slowTries    = 5                      // reads that are as slow before somebody hears of it
	clockLimit   = 5 * time.Second        // difference of clocks that one-time codes still bear
	mailLimit    = 5 * time.Minute        // how long tried mail may wait
	keyWarning   = 7 * 24 * time.Hour     // before a key's last day
	recentEvents = 500                    // sign-ins that the checks of zones look at
	crowd        = 20                     // sign-ins from one address that are suspicious
)

// CheckDatabase looks whether the database answers, and how fast. The quickest of a few
// reads counts: a machine that is busy for a moment has no slow database.
func CheckDatabase(db *store.DB, clock func() time.Time) Check {
	return Check{"database", func(ctx context.Context) ([]Finding, error) {
		least := time.Duration(math.MaxInt64)
		for range slowTries {
			begin := clock()
			err := db.Read(ctx, func(tx *store.Tx) error {
				var one int64
				return tx.QueryRow("SELECT 1").Scan(&one)
			})
			if err != nil {
				return []Finding{{"database", Broken, map[string]string{"reason": err.Error()}}}, nil
			}
			if least = min(least, clock().Sub(begin)); least <= slowAnswer {
				return nil, nil
			}
		}
		return []Finding{{"database.slow", Warn, map[string]string{"millis": millis(least), "limit": millis(slowAnswer)}}}, nil
	}}
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// CheckClock compares this machine's clock with another's: a time server's, the
// database server's, another node's. peer names it.
func CheckClock(peer string, here func() time.Time, there func(ctx context.Context) (time.Time, error)) Check {
	return Check{"clock", func(ctx context.Context) ([]Finding, error) {
		before := here()
		other, err := there(ctx)
		if err != nil {
			return nil, err
		}
		after := here()
		// It was told at some moment in between; a slow answer is no wrong clock.
		off := max(before.Sub(other), other.Sub(after))
		if off <= clockLimit {
			return nil, nil
		}
		return []Finding{{"clock", Broken, map[string]string{"peer": peer, "seconds": strconv.Itoa(int(off.Seconds()))}}}, nil
	}}
}

// CheckKeys looks whether keys that sign are near, or past, the end of their time:
// rotation runs by itself, so that a key near its end means that it does not.
func CheckKeys(db *store.DB, ring *keyring.Ring, rotateEvery time.Duration) Check {
	return Check{"key", func(ctx context.Context) ([]Finding, error) {
		var keys []keyring.Key
		var now time.Time
		err := db.Read(ctx, func(tx *store.Tx) (err error) {
			now = tx.Now
			keys, err = ring.Keys(tx)
			return err
		})
		var out []Finding
		for _, k := range keys {
			until := k.Active.Add(rotateEvery)
			facts := map[string]string{"key": k.ID + " (" + k.Algorithm + ")", "until": until.UTC().Format(time.RFC3339)}
			switch {
			case k.State != keyring.Active || rotateEvery <= 0 || now.Before(until):
			case now.Before(until.Add(keyWarning)):
				out = append(out, Finding{"key", Warn, facts})
			default:
				out = append(out, Finding{"key.overdue", Broken, facts})
			}
		}
		return out, err
	}}
}

// CheckMail looks whether mail that was tried is stuck.
func CheckMail(db *store.DB, queue *mail.Queue) Check {
	return Check{"mail", func(ctx context.Context) ([]Finding, error) {
		var out []Finding
		err := db.Read(ctx, func(tx *store.Tx) error {
			b, err := queue.Backlog(tx)
			if err == nil && b.Waiting > 0 && tx.Now.Sub(b.Since) > mailLimit {
				out = []Finding{{"mail", Broken, map[string]string{
					"count": strconv.FormatInt(b.Waiting, 10), "age": strconv.Itoa(int(tx.Now.Sub(b.Since).Seconds())), "reply": b.Reply,
				}}}
			}
			return err
		})
		return out, err
	}}
}

// CheckPolicy gives the findings of the policy in force, in the language of p.
func CheckPolicy(db *store.DB, book *policy.Book, p lang.Printer) Check {
	return Check{"policy", func(ctx context.Context) ([]Finding, error) {
		var out []Finding
		err := db.Read(ctx, func(tx *store.Tx) error {
			doc, _, err := book.Active(tx)
			if err != nil {
				return err
			}
			out = nil
			for _, f := range doc.Lint() {
				out = append(out, Finding{"policy", Warn, map[string]string{"lint": f.Code, "line": strconv.Itoa(f.Line), "text": p.Text(f.ID, f.Facts)}})
			}
			return nil
		})
		return out, err
	}}
}

// CheckZones looks at recent sign-ins for signs that the zones cannot be trusted:
// a proxy that nobody declared (Z5), everybody behind one address, IPv6 arrivals
// that no zone knows (Z4). declared says whether any proxy is declared.
func CheckZones(db *store.DB, log *audit.Log, book *policy.Book, declared bool) Check {
	return Check{"zones", func(ctx context.Context) ([]Finding, error) {
		var events []audit.Event
		var doc *policy.Document
		err := db.Read(ctx, func(tx *store.Tx) (err error) {
			if doc, _, err = book.Active(tx); err != nil {
				return err
			}
			events, err = log.Find(tx, audit.Query{TypePrefix: "signin.begun", Newest: true, Limit: recentEvents})
			return err
		})
		if err != nil || !doc.UsesZones() {
			return nil, err
		}
		out := proxies(events)
		if len(out) == 0 && !declared {
			out = single(events)
		}
		return append(out, gaps(doc, events)...), nil
	}}
}

// proxies finds peers whose forwarding headers were not believed. A browser sends
// none, so that a peer which sends them again and again is a proxy, or somebody trying.
func proxies(events []audit.Event) []Finding {
	seen := map[[2]string]int{}
	for _, e := range events {
		if h := e.Facts["ignored_headers"]; h != "" {
			seen[[2]string{e.Address, h}]++
		}
	}
	var out []Finding
	for _, k := range slices.SortedFunc(maps.Keys(seen), func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) }) {
		if n := seen[k]; n*2 >= len(events) && n >= 3 {
			out = append(out, Finding{"proxy", Broken, map[string]string{"peer": k[0], "header": k[1], "count": strconv.Itoa(n)}})
		}
	}
	return out
}

// single finds that all sign-ins came from one address.
func single(events []audit.Event) []Finding {
	if len(events) < crowd {
		return nil
	}
	for _, e := range events {
		if e.Address != events[0].Address {
			return nil
		}
	}
	return []Finding{{"proxy.single", Warn, map[string]string{"peer": events[0].Address, "count": strconv.Itoa(len(events))}}}
}

// gaps finds sign-ins over IPv6 while the campus zones list only IPv4 ranges.
func gaps(doc *policy.Document, events []audit.Event) []Finding {
	count, example := 0, ""
	for _, e := range events {
		addr, err := netip.ParseAddr(e.Address)
		if err == nil && doc.Zone(addr).Kind == authn.Elsewhere && doc.Gap(addr) {
			count++
			example = e.Address
		}
	}
	if count == 0 {
		return nil
	}
	var names []string
	for _, z := range doc.Zones() {
		if z.Kind == authn.Campus {
			names = append(names, z.Name)
		}
	}
	return []Finding{{"zonegap", Warn, map[string]string{"zone": strings.Join(names, ", "), "count": strconv.Itoa(count), "address": example}}}
}
