package rp

import (
	"errors"

	"seimon/internal/store"
)

// Source gives parties that the university did not register itself: those that a
// federation publishes. They are looked up, never copied: what a federation takes
// back is gone with its metadata.
type Source interface {
	// Find gives the party with this id, or ErrNone. It may be asked in any
	// transaction and must not write. The version it gives must change with
	// everything else in the party.
	Find(tx *store.Tx, id string) (Party, error)
}

// Also lets the book find parties in s, after its own and those of sources named
// before. Call it before the book is used.
func (b *Book) Also(s Source) { b.sources = append(b.sources, s) }

// Registered reads a party that the university registered itself; ErrNone when there
// is none, whatever federations publish.
func (b *Book) Registered(tx *store.Tx, id string) (Party, error) {
	p, err := scan(tx.QueryRow("SELECT "+columns+" FROM rp_party WHERE id = $1", id))
	if errors.Is(err, store.ErrNoRows) {
		return Party{}, ErrNone
	}
	return p, err
}

// Get reads one party; ErrNone when there is none. What the university registered
// itself stands above whatever a federation says under the same id.
func (b *Book) Get(tx *store.Tx, id string) (Party, error) {
	p, err := b.Registered(tx, id)
	for _, s := range b.sources {
		if !errors.Is(err, ErrNone) {
			break
		}
		p, err = s.Find(tx, id)
	}
	return p, err
}
