package rp

import (
	"maps"
	"slices"
	"sync"
	"time"

	"seimon/internal/store"
)

// keptBytes bounds what the parties in use hold in memory; about 4,000 of the usual size.
const keptBytes = 4 << 20

// settled is how long a party must have stood unchanged to be kept. One that is only
// being written may still be taken back, and be written otherwise at the same instant.
const settled = time.Second

// kept are parties as they were read last, ready for use. The row alone says whether
// they still hold, so every node sees a change at once.
type kept struct {
	mu   sync.RWMutex
	byID map[string]Party
	held int
}

// mark is what differs between two states of the row of a party: a party that was
// removed and registered anew counts its versions from the beginning.
type mark struct{ version, created, updated int64 }

func markOf(p Party) mark {
	return mark{p.Version, store.Millis(p.Created), store.Millis(p.Updated)}
}

// get gives the party of a row with this mark, whose parts the caller may change.
func (k *kept) get(id string, m mark) (Party, bool) {
	k.mu.RLock()
	p, ok := k.byID[id]
	k.mu.RUnlock()
	if !ok || markOf(p) != m {
		return Party{}, false
	}
	return separate(p), true
}

// put keeps a party that was just read. When there are too many, all are read again.
func (k *kept) put(p Party, now time.Time) {
	if now.Sub(p.Updated) < settled {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if old, known := k.byID[p.ID]; known {
		k.held -= old.Weight()
	}
	k.held += p.Weight()
	if k.byID == nil || k.held > keptBytes {
		k.byID, k.held = map[string]Party{}, p.Weight()
	}
	k.byID[p.ID] = separate(p)
}

// separate copies the parts of a party that can be changed in place.
func separate(p Party) Party {
	p.Names, p.Release = maps.Clone(p.Names), slices.Clone(p.Release)
	return p
}
