package status

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"seimon/internal/ca"
	"seimon/internal/store"
)

// Bounds of what is kept in memory.
const (
	maxHeld  = 20_000          // signed answers, about 1.2 kB each
	holdFor  = time.Second     // how long a state counts as known without looking again
	maxStale = 5 * time.Second // how long issuers, lists and signers do
)

// answer is a signed answer about one certificate, without nonce.
type answer struct {
	der    []byte
	etag   string
	this   time.Time
	next   time.Time
	state  standing
	signer string
	looked atomic.Int64 // Unix milliseconds at which the state was last read
}

// answers are those in memory.
type answers struct {
	mu   sync.RWMutex
	held map[string]*answer
}

// heldKey names an answer: issuer and serial, then how the request named it, since
// an answer repeats that byte by byte.
func heldKey(issuer, serial, algorithm string, null bool) string {
	if null {
		algorithm += " null"
	}
	return issuer + "/" + serial + "/" + algorithm
}

func (a *answers) get(key string) *answer {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.held[key]
}

func (a *answers) put(key string, one *answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, there := a.held[key]; !there && len(a.held) >= maxHeld {
		for victim := range a.held { // any one
			delete(a.held, victim)
			break
		}
	}
	a.held[key] = one
}

// drop forgets what is held about a certificate.
func (a *answers) drop(issuer, serial string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, algorithm := range []string{sha1ID, "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.2", "2.16.840.1.101.3.4.2.3"} {
		delete(a.held, heldKey(issuer, serial, algorithm, false))
		delete(a.held, heldKey(issuer, serial, algorithm, true))
	}
}

// held gives the signed answer about one certificate, from memory as long as its
// state was looked at within a second and half of its life is left.
func (s *Status) held(ctx context.Context, i *issuer, k *signer, id certID) (*answer, error) {
	serial := serialText(id)
	key := heldKey(i.ID, serial, id.algorithm, id.null)
	now := s.db.Now()
	old := s.answers.get(key)
	young := old != nil && old.signer == k.id && !now.Before(old.this) && now.Sub(old.this) < s.cfg.AnswerLife/2
	if young && store.Millis(now)-old.looked.Load() < holdFor.Milliseconds() && store.Millis(now) >= old.looked.Load() {
		return old, nil
	}
	state, err := s.standing(ctx, i, serial)
	if err != nil {
		return nil, err
	}
	if young && old.state == state {
		old.looked.Store(store.Millis(now))
		return old, nil
	}
	one := &answer{this: now.Truncate(time.Second), state: state, signer: k.id}
	one.next = one.this.Add(s.cfg.AnswerLife)
	if one.der, err = k.sign([]single{{id, state}}, nil, one.this, one.next); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(one.der)
	one.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	one.looked.Store(store.Millis(now))
	if state.kind != unknown { // strangers' numbers must not push out what is asked for
		s.answers.put(key, one)
	}
	return one, nil
}

// standing reads the state of a certificate.
func (s *Status) standing(ctx context.Context, i *issuer, serial string) (out standing, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		c, err := s.own.BySerial(tx, i.ID, serial)
		if errors.Is(err, ca.ErrNone) {
			out = standing{}
			return nil
		}
		if err != nil {
			return err
		}
		switch c.State {
		case ca.Active:
			out = standing{kind: good}
		case ca.Revoked:
			out = standing{revoked, c.Revoked.Unix(), c.Reason.Code()}
		default: // intended, not issued
			out = standing{}
		}
		return nil
	})
	return out, err
}

// list is a published list in memory.
type list struct {
	number int64
	der    []byte
	etag   string
	this   time.Time
	next   time.Time
}

// Refresh reads what other nodes have published: issuers, lists and responders. A job
// calls it about once a second on every node.
func (s *Status) Refresh(ctx context.Context) error {
	s.mu.RLock()
	known, signers := s.lists, s.signers
	s.mu.RUnlock()
	var issuers map[string]*issuer
	lists := map[listKey]*list{}
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		if issuers, err = s.authorities(tx); err != nil {
			return err
		}
		if signers, err = s.readSigners(tx, signers); err != nil {
			return err
		}
		return s.readLists(tx, issuers, known, lists)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Two refreshes at once may end in the wrong order: a number never goes back.
	for key, l := range s.lists {
		if mine := lists[key]; mine != nil && mine.number < l.number {
			lists[key] = l
		}
	}
	s.issuers, s.lists, s.signers, s.read = issuers, lists, signers, s.db.Now()
	return nil
}

// readLists fills into with the newest lists; those in memory are not read again.
func (s *Status) readLists(tx *store.Tx, issuers map[string]*issuer, known, into map[listKey]*list) error {
	list, err := s.Lists(tx)
	if err != nil {
		return err
	}
	for _, p := range list {
		key := listKey{p.Issuer, p.Shard}
		if issuers[p.Issuer] == nil || p.Number == 0 {
			continue
		}
		if k := known[key]; k != nil && k.number == p.Number {
			into[key] = k
			continue
		}
		l, err := readList(tx, key)
		if err != nil {
			return err
		}
		into[key] = l
	}
	return nil
}

func readList(tx *store.Tx, key listKey) (*list, error) {
	l := &list{}
	var this, next int64
	var digest string
	err := tx.QueryRow("SELECT number, der, digest, this_update, next_update FROM status_list WHERE issuer = $1 AND shard = $2", key.issuer, int64(key.shard)).
		Scan(&l.number, &l.der, &digest, &this, &next)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(l.der)
	if hex.EncodeToString(sum[:]) != digest {
		return nil, errors.New("status: a stored list is damaged")
	}
	l.etag, l.this, l.next = `"`+digest[:24]+`"`, store.Time(this), store.Time(next)
	return l, nil
}

// current makes sure that what is in memory is not older than a few seconds, for
// programs and moments in which no job refreshes it.
func (s *Status) current(r *http.Request) error {
	s.mu.RLock()
	age := s.db.Now().Sub(s.read)
	s.mu.RUnlock()
	if age >= 0 && age < maxStale {
		return nil
	}
	return s.Refresh(r.Context())
}
