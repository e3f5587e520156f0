package audit

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"seimon/internal/store"
)

// Budget bounds how many events of one type are written in a span of time, on each
// node, when anybody can bring them about who has proved nothing.
type Budget struct {
	Cause  int // of one source about one thing: service, code, field and account
	Source int // of one source: an IPv4 address, or an IPv6 network of 48 bits (RFC 6177)
	All    int // of everybody
}

// Span is how long a budget lasts; then what was only counted is put on record.
const Span = 10 * time.Minute

// Few is the budget of events that should be rare, such as refused requests.
func Few() Budget { return Budget{Cause: 10, Source: 50, All: 1000} }

// Many is the budget of events that a whole campus behind one address brings about
// every morning.
func Many() Budget { return Budget{Cause: 500, Source: 500, All: 5000} }

// crowd counts, for each type, who brought about what since the span began. It is
// bounded by the budgets: whatever is not admitted makes no new count.
type crowd struct {
	mu    sync.Mutex
	types map[string]*spell
	over  []Event // what finished spans have left to write
}

// spell is what happened to one type of event.
type spell struct {
	since  time.Time
	counts map[string]*count
}

// count is of a cause of a source, of a source or of everybody.
type count struct {
	written, more int
	face          Event // the last one written: it stands for those that were only counted
}

// Afford tells whether there is still room on record for an event that anybody can
// bring about; if so, the caller writes it. Otherwise the event is counted, and support
// is the code of the last one like it that was written, for the page to show instead.
// Ask before a transaction, so that a flood costs none.
func (l *Log) Afford(b Budget, e Event) (support string, ok bool) {
	now := l.db.Now()
	l.crowd.mu.Lock()
	defer l.crowd.mu.Unlock()
	s := l.crowd.span(e.Type, now)
	source := Source(e.Address)
	about := strings.Join([]string{"cause", source, e.Party, string(e.Account), e.Facts["front"], e.Facts["code"], e.Facts["field"]}, "\x00")
	levels := []struct {
		key  string
		most int
	}{{about, b.Cause}, {"source\x00" + source, b.Source}, {"all", b.All}}
	for _, level := range levels {
		if c := s.counts[level.key]; c != nil && c.written >= level.most {
			c.more++
			return cmp.Or(c.face.Support, e.Support), false
		}
	}
	for _, level := range levels {
		c := s.counts[level.key]
		if c == nil {
			c = &count{}
			s.counts[level.key] = c
		}
		c.written++
		c.face = e
	}
	return e.Support, true
}

// span gives the present span of a type and closes one that is over.
func (c *crowd) span(kind string, now time.Time) *spell {
	s := c.types[kind]
	if s != nil && now.Sub(s.since) >= Span {
		c.over = append(c.over, s.left()...)
		s = nil
	}
	if s == nil {
		s = &spell{since: now, counts: map[string]*count{}}
		if c.types == nil {
			c.types = map[string]*spell{}
		}
		c.types[kind] = s
	}
	return s
}

// left are the events that put on record what was only counted.
func (s *spell) left() (out []Event) {
	for _, key := range slices.Sorted(maps.Keys(s.counts)) {
		c := s.counts[key]
		if c.more == 0 {
			continue
		}
		e := c.face
		e.At, e.Facts = time.Time{}, maps.Clone(e.Facts)
		if e.Facts == nil {
			e.Facts = map[string]string{}
		}
		e.Facts["more"], e.Facts["more_since"] = strconv.Itoa(c.more), s.since.UTC().Format(time.RFC3339)
		e.Facts["more_of"], _, _ = strings.Cut(key, "\x00")
		out = append(out, e)
	}
	return out
}

// Settle puts on record how many events of finished spans were only counted; with all,
// of unfinished ones too, because the node stops. A job calls it on every node.
func (l *Log) Settle(ctx context.Context, all bool) error {
	events := l.crowd.settled(l.db.Now(), all)
	if len(events) == 0 {
		return nil
	}
	err := l.db.Write(ctx, func(tx *store.Tx) error {
		for _, e := range events {
			if err := l.Append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		l.crowd.mu.Lock()
		l.crowd.over = append(events, l.crowd.over...)
		l.crowd.over = l.crowd.over[:min(len(l.crowd.over), mostOver)]
		l.crowd.mu.Unlock()
	}
	return err
}

// mostOver bounds what waits while the database is out of order.
const mostOver = 5000

// settled takes what finished spans have left to write.
func (c *crowd) settled(now time.Time, all bool) []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(c.types)) {
		if s := c.types[kind]; all || now.Sub(s.since) >= Span {
			c.over = append(c.over, s.left()...)
			delete(c.types, kind)
		}
	}
	out := c.over
	c.over = nil
	return out
}

// Source is who sends from an address; what is no address is one source.
func Source(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 48 // one customer's site: whoever has it can send from each of its addresses
	}
	net, _ := addr.Prefix(bits) // both lengths fit
	return net.String()
}
