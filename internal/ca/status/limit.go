package status

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// What one source may ask for. A shared address of a whole building stays far below it;
// programs that ask for many people, such as RADIUS servers, are to be declared.
const (
	defaultRate = 200 // units a second
	burstFor    = 10  // seconds of units that a source may have saved up
	maxSources  = 20_000
)

// What answers cost. A signature for one request alone is the dearest thing here.
const (
	costAnswer = 1
	costSigned = 5       // an answer with a nonce, or about several certificates
	costChunk  = 1 << 15 // bytes of a list for one unit more
)

// bucket is what a source has left.
type bucket struct {
	units float64
	at    time.Time
}

// limiter bounds what each source may ask for. It lives in memory: what it guards is
// the processor and the line of this node.
type limiter struct {
	rate  float64
	spare []netip.Prefix

	mu      sync.Mutex
	sources map[netip.Prefix]*bucket
	swept   time.Time // when the quiet ones were last looked for
}

func newLimiter(rate int, spare []netip.Prefix) *limiter {
	if rate == 0 {
		rate = defaultRate
	}
	return &limiter{rate: float64(rate), spare: spare, sources: map[netip.Prefix]*bucket{}}
}

// sourceOf names who asks: an address, or the /64 of an IPv6 one, since whoever has one
// of those has all. Header fields are not believed.
func sourceOf(r *http.Request) (netip.Addr, netip.Prefix) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, netip.Prefix{}
	}
	a, bits := at.Addr().Unmap().WithZone(""), 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return a, netip.Prefix{}
	}
	return a, p
}

// take lets a source have an answer of some cost, or tells how long it has to wait.
func (l *limiter) take(r *http.Request, cost float64, now time.Time) (wait time.Duration, ok bool) {
	if l.rate < 0 {
		return 0, true
	}
	address, source := sourceOf(r)
	for _, p := range l.spare {
		if p.Contains(address) {
			return 0, true
		}
	}
	full := l.rate * burstFor
	cost = min(cost, full) // so that even the largest list can be had
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.sources[source]
	if b == nil {
		l.room(now)
		b = &bucket{units: full, at: now}
		l.sources[source] = b
	}
	// A clock that was set back neither gives nor takes anything.
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.units = min(full, b.units+passed*l.rate)
	}
	b.at = now
	if b.units < cost {
		return time.Duration((cost - b.units) / l.rate * float64(time.Second)), false
	}
	b.units -= cost
	return 0, true
}

// room makes room for one more source. Those that have been quiet for long have nothing
// to remember; when there are none, any one goes. They are looked for once a second at
// most: a crowd of new sources must not cost a look at all of them each.
func (l *limiter) room(now time.Time) {
	if len(l.sources) < maxSources {
		return
	}
	if now.Sub(l.swept).Abs() >= time.Second {
		l.swept = now
		for source, b := range l.sources {
			if now.Sub(b.at) > burstFor*time.Second {
				delete(l.sources, source)
			}
		}
	}
	for source := range l.sources {
		if len(l.sources) < maxSources {
			return
		}
		delete(l.sources, source)
	}
}

// allow asks the limiter, and answers whoever asks too much (RFC 6585 4).
func (s *Status) allow(w http.ResponseWriter, r *http.Request, cost float64) bool {
	wait, ok := s.limits.take(r, cost, s.db.Now())
	if !ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
	}
	return ok
}
