package rp

import (
	"context"
	"errors"
	"slices"

	"seimon/internal/authn"
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

// Searcher is a source that can be looked through.
type Searcher interface {
	// Search lists the ids of parties whose id or name contains the text, at most limit;
	// more tells that there are others. It must not be called inside a transaction.
	Search(ctx context.Context, text string, limit int) (ids []string, more bool, err error)
}

// Search looks for parties that the university did not register itself.
func (b *Book) Search(ctx context.Context, text string, limit int) (ids []string, more bool, err error) {
	for _, s := range b.sources {
		in, ok := s.(Searcher)
		if !ok {
			continue
		}
		found, others, err := in.Search(ctx, text, limit-len(ids))
		if err != nil {
			return nil, false, err
		}
		ids, more = append(ids, found...), more || others
	}
	return ids, more, nil
}

// Searchable tells whether there is anything to look through.
func (b *Book) Searchable(tx *store.Tx) (bool, error) {
	for _, s := range b.sources {
		if in, ok := s.(interface {
			Any(tx *store.Tx) (bool, error)
		}); ok {
			if any, err := in.Any(tx); any || err != nil {
				return any, err
			}
		}
	}
	return false, nil
}

// Used lists the parties that the university did not register itself and that an
// account has agreed about or is signed in at, those used last first, at most limit.
// visited names parties beside those on record here.
func (b *Book) Used(tx *store.Tx, account authn.AccountID, visited []string, limit int) ([]Party, error) {
	given, err := b.Consents(tx, account)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(given, func(x, y Given) int { return y.At.Compare(x.At) })
	ids := slices.Clone(visited)
	for _, g := range given {
		ids = append(ids, g.Party)
	}
	var out []Party
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] || len(out) >= limit {
			continue
		}
		seen[id] = true
		p, err := b.Get(tx, id)
		if errors.Is(err, ErrNone) || authn.AsFault(err) != nil || err == nil && (p.Source == "" || p.Disabled) {
			continue // gone, or one that is listed anyway
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Also lets the book find parties in s, after its own and those of sources named
// before. Call it before the book is used.
func (b *Book) Also(s Source) { b.sources = append(b.sources, s) }

// Registered reads a party that the university registered itself; ErrNone when there
// is none, whatever federations publish.
func (b *Book) Registered(tx *store.Tx, id string) (Party, error) {
	var m mark
	err := tx.QueryRow("SELECT version, created_at, updated_at FROM rp_party WHERE id = $1", id).Scan(&m.version, &m.created, &m.updated)
	if err == nil {
		if p, ok := b.kept.get(id, m); ok {
			return p, nil
		}
		var p Party
		if p, err = scan(tx.QueryRow("SELECT "+columns+" FROM rp_party WHERE id = $1", id)); err == nil {
			b.kept.put(p, tx.Now)
			return p, nil
		}
	}
	if errors.Is(err, store.ErrNoRows) {
		err = ErrNone
	}
	return Party{}, err
}

// Serving reads a party that people may sign in to now: ErrNone also for one that is
// closed.
func (b *Book) Serving(tx *store.Tx, id string) (Party, error) {
	p, err := b.Get(tx, id)
	if err == nil && p.Disabled {
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
