package feed

import (
	"sync"

	"seimon/internal/rp"
)

// shelfBytes bounds what the parties in use hold in memory: about 700 of the usual
// size, and only as many of the largest that a feed may have as fit.
const shelfBytes = 4 << 20

// shelf remembers the parties in use, up to a number of bytes.
type shelf struct {
	mu    sync.Mutex
	limit int
	held  int
	byID  map[string]rp.Party
	order []string // the one that came first is forgotten first
}

func newShelf(limit int) *shelf { return &shelf{limit: limit, byID: map[string]rp.Party{}} }

func (s *shelf) get(id string, version int64) (rp.Party, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.byID[id]
	return p, ok && p.Version == version
}

// put makes room by forgetting what came first. What is too large for the shelf is not
// kept.
func (s *shelf) put(id string, p rp.Party) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, known := s.byID[id]; known {
		s.held -= old.Weight()
	} else {
		s.order = append(s.order, id)
	}
	s.byID[id] = p
	s.held += p.Weight()
	for s.held > s.limit {
		oldest := s.order[0]
		s.held -= s.byID[oldest].Weight()
		delete(s.byID, oldest)
		s.order = s.order[1:]
	}
}
