package app

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"seimon/internal/web"
)

// headers counts pages whose request carried forwarding headers from a peer that is
// no declared proxy (scenario Z5). Browsers send none: a peer that sends them with
// most pages is a proxy that nobody declared.
type headers struct {
	mu    sync.Mutex
	began time.Time
	all   int
	seen  map[suspect]int
}

// suspect is a peer and the headers it sends.
type suspect struct {
	peer   netip.Addr
	header string
	count  int // only in results
}

const (
	seenWindow = 10 * time.Minute
	seenPeers  = 64 // kept at a time
	seenLeast  = 5  // pages that make a suspect
)

// note counts one page.
func (s *headers) note(c web.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil || time.Since(s.began) > seenWindow {
		s.began, s.all, s.seen = time.Now(), 0, map[suspect]int{}
	}
	s.all++
	if len(c.Ignored) == 0 {
		return
	}
	k := suspect{peer: c.Peer, header: strings.Join(c.Ignored, ", ")}
	if _, there := s.seen[k]; there || len(s.seen) < seenPeers {
		s.seen[k]++
	}
}

// suspects are the peers behind at least half of the pages, the busiest first.
func (s *headers) suspects() []suspect {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []suspect
	for k, n := range s.seen {
		if n >= seenLeast && 2*n >= s.all {
			out = append(out, suspect{k.peer, k.header, n})
		}
	}
	slices.SortFunc(out, func(a, b suspect) int { return cmp.Compare(b.count, a.count) })
	return out
}
