package feed

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"seimon/internal/front/saml/xmlstream"
	"seimon/internal/store"
)

// queries keeps strangers from making us ask for whatever they name.
type queries struct {
	mu      sync.Mutex
	running map[string]*asked
	refused map[string]time.Time // until when an unknown name is not asked for again
}

// asked is a query under way.
type asked struct {
	done chan struct{}
	err  error
}

const (
	maxRunning  = 8
	maxRefused  = 10_000
	refusedLife = time.Minute
)

// errBusy says that too many queries are under way.
var errBusy = errors.New("feed: too many queries are under way")

// Ensure asks the configured servers (MDQ) about an entity that is not known here, or
// whose copy should be renewed. It never fails because of a server: what is known
// stays, and what is not known stays unknown. Call it outside of transactions, before
// a party is looked up.
func (k *Keeper) Ensure(ctx context.Context, id string) error {
	if id == "" || len(id) > maxName {
		return nil
	}
	var ask []State
	err := k.DB.Read(ctx, func(tx *store.Tx) (err error) {
		ask, err = k.worth(tx, id)
		return err
	})
	if err != nil || len(ask) == 0 {
		return err
	}
	k.queries.mu.Lock()
	if until, ok := k.queries.refused[id]; ok && k.DB.Now().Before(until) {
		k.queries.mu.Unlock()
		return nil
	}
	running := k.queries.running[id]
	if running == nil {
		if len(k.queries.running) >= maxRunning {
			k.queries.mu.Unlock()
			return errBusy
		}
		running = &asked{done: make(chan struct{})}
		k.queries.running[id] = running
		go k.ask(context.WithoutCancel(ctx), id, ask, running)
	}
	k.queries.mu.Unlock()
	select {
	case <-running.done:
		return running.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// worth lists the servers that should be asked, in the order in which they count: none
// when a feed before them knows the entity.
func (k *Keeper) worth(tx *store.Tx, id string) ([]State, error) {
	var servers int
	if err := tx.QueryRow("SELECT count(*) FROM feed_feed WHERE kind = $1", Query).Scan(&servers); err != nil || servers == 0 {
		return nil, err
	}
	all, err := k.List(tx)
	if err != nil {
		return nil, err
	}
	list, err := places(tx, id)
	if err != nil {
		return nil, err
	}
	var out []State
	for _, s := range all {
		if s.Kind == Query {
			var due int64
			err := tx.QueryRow("SELECT due_at FROM feed_entity WHERE feed = $1 AND entity = $2", s.ID, id).Scan(&due)
			if err != nil && !errors.Is(err, store.ErrNoRows) {
				return nil, err
			}
			if err == nil && due > store.Millis(tx.Now) {
				return out, nil
			}
			out = append(out, s)
			continue
		}
		for _, p := range list {
			if p.feed == s.ID && !p.gone && tx.Now.Before(p.until) {
				return out, nil
			}
		}
	}
	return out, nil
}

// ask asks one server after the other until one knows the entity.
func (k *Keeper) ask(ctx context.Context, id string, servers []State, a *asked) {
	ctx, cancel := context.WithTimeout(ctx, min(k.Patience, 15*time.Second))
	defer cancel()
	found := false
	for _, s := range servers {
		err := k.query(ctx, s, id)
		if found = err == nil; found {
			break
		}
		if errors.Is(err, errMissing) {
			continue // strangers name services that do not exist
		}
		noted := k.DB.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
			_, err2 := tx.Exec("UPDATE feed_feed SET fault = $1, checked_at = $2 WHERE id = $3", shorten(err.Error()), store.Millis(tx.Now), s.ID)
			return err2
		})
		a.err = errors.Join(a.err, noted)
	}
	k.queries.mu.Lock()
	defer k.queries.mu.Unlock()
	delete(k.queries.running, id)
	if !found {
		if len(k.queries.refused) >= maxRefused {
			clear(k.queries.refused)
		}
		k.queries.refused[id] = k.DB.Now().Add(refusedLife)
	}
	close(a.done)
}

// location is where a server has an entity (Metadata Query Protocol 3.1 and, for
// SAML, 3: the SHA-1 of the entityID as another name for it).
func location(base, id string, hashed bool) string {
	if hashed {
		sum := sha1.Sum([]byte(id))
		id = "{sha1}" + hex.EncodeToString(sum[:])
	}
	return strings.TrimSuffix(base, "/") + "/entities/" + strings.ReplaceAll(url.QueryEscape(id), "+", "%20")
}

// query asks one server, newest generation first, and stores the verified answer.
func (k *Keeper) query(ctx context.Context, s State, id string) error {
	var failed []error
	for _, source := range s.Sources {
		err := k.queryAt(ctx, s, source, id)
		if err == nil {
			return nil
		}
		failed = append(failed, fmt.Errorf("%s at %s: %w", id, source.URL, err))
	}
	return errors.Join(failed...)
}

func (k *Keeper) queryAt(ctx context.Context, s State, source Source, id string) error {
	keys, err := source.keys()
	if err != nil {
		return err
	}
	f, err := k.fetch(ctx, location(source.URL, id, s.Hashed), Loaded{})
	if err != nil {
		return err
	}
	defer f.Close()
	c := k.collector(s, nil)
	c.root = "EntityDescriptor"
	var body []document
	c.keep = func(list []document) error { body = append(body, list...); return nil }
	_, err = xmlstream.Verify(bufio.NewReader(f), keys, xmlstream.Limits{Bytes: s.maxBytes(), Token: 256 << 10}, c)
	if err == nil {
		err = c.flush()
	}
	switch {
	case err != nil:
		return err
	case c.only != id:
		return fmt.Errorf("the server answers with the metadata of %.200q", c.only)
	case len(body) == 0:
		return errors.New("this is no service provider")
	}
	if err := keepDocuments(ctx, k.DB, body); err != nil {
		return err
	}
	l := Loaded{ValidUntil: c.validUntil, Cache: c.cache}
	return k.DB.Write(ctx, func(tx *store.Tx) error {
		until := store.Millis(l.ValidUntil)
		n, err := tx.Exec(`INSERT INTO feed_entity (feed, entity, hash, valid_until, gone, due_at, changed_at) VALUES ($1, $2, $3, $4, 0, $5, $6)
			ON CONFLICT (feed, entity) DO UPDATE SET hash = excluded.hash, valid_until = excluded.valid_until, due_at = excluded.due_at,
				changed_at = CASE WHEN feed_entity.hash = excluded.hash THEN feed_entity.changed_at ELSE excluded.changed_at END
			WHERE feed_entity.valid_until <= excluded.valid_until`,
			s.ID, id, body[0].hash[:], until, store.Millis(s.next(l, tx.Now)), store.Millis(tx.Now))
		if err == nil && n == 0 {
			err = fmt.Errorf("the answer is valid until %s; the one in force is newer", l.ValidUntil.Format(time.RFC3339))
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE feed_feed SET fault = '', checked_at = $1 WHERE id = $2", store.Millis(tx.Now), s.ID)
		return err
	})
}
