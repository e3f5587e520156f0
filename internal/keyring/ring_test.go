package keyring_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"seimon/internal/keyring"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

const (
	day   = 24 * time.Hour
	every = 90 * day
	lead  = 2 * day
	over  = 7 * day
)

func config() keyring.Config {
	return keyring.Config{Master: bytes.Repeat([]byte{7}, 32), RotateEvery: every, Lead: lead, Overlap: over}
}

func open(t testing.TB, db *store.DB, cfg keyring.Config) *keyring.Ring {
	t.Helper()
	r, err := keyring.Open(t.Context(), db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func refresh(t testing.TB, r *keyring.Ring) {
	t.Helper()
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func signer(t testing.TB, r *keyring.Ring, alg string) keyring.SigningKey {
	t.Helper()
	k, err := r.Signer(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ids lists what a service would find published for alg.
func ids(r *keyring.Ring, alg string) []string {
	var out []string
	for _, k := range r.Public() {
		if k.Algorithm == alg {
			out = append(out, k.ID)
		}
	}
	return out
}

func states(t testing.TB, db *store.DB, r *keyring.Ring, alg string) map[keyring.State]int {
	t.Helper()
	var keys []keyring.Key
	if err := db.Read(t.Context(), func(tx *store.Tx) (err error) { keys, err = r.Keys(tx); return err }); err != nil {
		t.Fatal(err)
	}
	count := map[keyring.State]int{}
	for _, k := range keys {
		if k.Algorithm == alg {
			count[k.State]++
		}
	}
	return count
}

func TestFirstKeysSignAndArePublished(t *testing.T) {
	db, _ := storetest.Open(t, keyring.Schema())
	r := open(t, db, config())
	digest := sha256.Sum256([]byte("id token"))
	for _, alg := range keyring.Algorithms() {
		k := signer(t, r, alg)
		sig, err := k.Key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(r.Public(), func(p keyring.PublicKey) bool { return p.ID == k.ID })
		if i < 0 {
			t.Fatalf("%s signs with a key that is not published", alg)
		}
		switch pub := r.Public()[i].Key.(type) {
		case *ecdsa.PublicKey:
			if alg != keyring.ES256 || pub.Curve.Params().Name != "P-256" || !ecdsa.VerifyASN1(pub, digest[:], sig) {
				t.Error("the P-256 key does not verify")
			}
		case *rsa.PublicKey:
			if alg != keyring.RS256 || pub.N.BitLen() != 2048 || rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig) != nil {
				t.Error("the RSA key does not verify")
			}
		}
	}
	if _, err := r.Signer("none"); err == nil {
		t.Error("a key for the algorithm none")
	}
	again := open(t, db, config())
	if signer(t, again, keyring.ES256).ID != signer(t, r, keyring.ES256).ID {
		t.Error("a restart changed the key")
	}
}

// A service that fetches the keys at any moment and keeps them for as long as the
// lead never meets a signature by a key it has not seen, and can check everything
// signed within the overlap.
func TestNoServiceMeetsAnUnknownKey(t *testing.T) {
	db, clock := storetest.Open(t, keyring.Schema())
	r := open(t, db, config())
	type fetch struct {
		at   time.Time
		keys []string
	}
	var cache []fetch
	type signed struct {
		at time.Time
		id string
	}
	var tokens []signed
	used := map[string]bool{}
	for range 400 {
		refresh(t, r)
		now := clock.Now()
		keys := ids(r, keyring.ES256)
		cache = append(cache, fetch{now, keys})
		id := signer(t, r, keyring.ES256).ID
		used[id] = true
		tokens = append(tokens, signed{now, id})
		for _, f := range cache {
			// Before the first upkeep there is only the first key, which never expires in a cache.
			if now.Sub(f.at) < lead && !slices.Contains(f.keys, id) {
				t.Fatalf("on day %v the key %s was unknown to a service that asked at %v", now, id, f.at)
			}
		}
		for _, s := range tokens {
			if now.Sub(s.at) < over && !slices.Contains(keys, s.id) {
				t.Fatalf("a token signed at %v cannot be checked at %v", s.at, now)
			}
		}
		clock.Add(day)
	}
	if len(used) != 5 {
		t.Errorf("400 days at 90 days each took %d keys, want 5", len(used))
	}
	if got := len(ids(r, keyring.ES256)); got > 3 {
		t.Errorf("%d keys are published; old ones must go", got)
	}
}

func TestOverlapEndsWithoutUpkeep(t *testing.T) {
	db, clock := storetest.Open(t, keyring.Schema())
	r := open(t, db, config())
	first := signer(t, r, keyring.ES256).ID
	refresh(t, r)
	clock.Add(lead)
	if err := r.Rotate(t.Context(), keyring.ES256); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(ids(r, keyring.ES256), first) {
		t.Error("a retired key is gone at once")
	}
	clock.Add(over)
	if slices.Contains(ids(r, keyring.ES256), first) {
		t.Error("a retired key is published after the overlap")
	}
}

func TestRotateWaitsUntilServicesKnowTheNextKey(t *testing.T) {
	db, clock := storetest.Open(t, keyring.Schema())
	r := open(t, db, config())
	first := signer(t, r, keyring.RS256).ID
	if err := r.Rotate(t.Context(), keyring.RS256); !errors.Is(err, keyring.ErrSoon) {
		t.Fatalf("rotated onto a key nobody has seen: %v", err)
	}
	if signer(t, r, keyring.RS256).ID != first {
		t.Error("a refused rotation changed the key")
	}
	clock.Add(lead)
	if err := r.Rotate(t.Context(), keyring.RS256); err != nil {
		t.Fatal(err)
	}
	if signer(t, r, keyring.RS256).ID == first {
		t.Error("the key is the same")
	}
	if n := states(t, db, r, keyring.RS256); n[keyring.Active] != 1 || n[keyring.Next] != 1 || n[keyring.Retired] != 1 {
		t.Error(n)
	}
	if n := states(t, db, r, keyring.ES256); n[keyring.Retired] != 0 {
		t.Error("rotating one algorithm touched the other", n)
	}
	if err := r.Rotate(t.Context(), "HS256"); err == nil {
		t.Error("rotated an algorithm that has no keys")
	}
}

func TestManyNodesMakeOneKey(t *testing.T) {
	db, clock := storetest.Open(t, keyring.Schema())
	const nodes = 6
	rings := make([]*keyring.Ring, nodes)
	together(t, nodes, func(ctx context.Context, i int) (err error) {
		rings[i], err = keyring.Open(ctx, db, config())
		return err
	})
	for _, r := range rings {
		if signer(t, r, keyring.ES256).ID != signer(t, rings[0], keyring.ES256).ID || !bytes.Equal(r.MAC("p", nil), rings[0].MAC("p", nil)) {
			t.Fatal("nodes that start together have different keys")
		}
	}
	together(t, nodes, func(ctx context.Context, i int) error { return rings[i].Refresh(ctx) })
	clock.Add(every)
	together(t, nodes, func(ctx context.Context, i int) error { return rings[i].Refresh(ctx) })
	for _, r := range rings {
		refresh(t, r)
		if signer(t, r, keyring.ES256).ID != signer(t, rings[0], keyring.ES256).ID {
			t.Error("nodes disagree after rotating")
		}
	}
	for _, alg := range keyring.Algorithms() {
		if n := states(t, db, rings[0], alg); n[keyring.Active] != 1 || n[keyring.Next] != 1 || n[keyring.Retired] != 1 {
			t.Error(alg, n)
		}
	}
	clock.Add(lead)
	together(t, nodes, func(ctx context.Context, i int) error {
		err := rings[i].Rotate(ctx, keyring.ES256)
		if errors.Is(err, keyring.ErrSoon) {
			return nil // a node that already saw the new key
		}
		return err
	})
	if n := states(t, db, rings[0], keyring.ES256); n[keyring.Active] != 1 || n[keyring.Retired] != 2 {
		t.Error("several nodes told to rotate at once rotated more than once", n)
	}
}

func together(t *testing.T, n int, fn func(ctx context.Context, i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = fn(t.Context(), i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestANodeSignsOnWhileAnotherHasRotated(t *testing.T) {
	db, clock := storetest.Open(t, keyring.Schema())
	a, b := open(t, db, config()), open(t, db, config())
	refresh(t, a)
	clock.Add(lead)
	if err := a.Rotate(t.Context(), keyring.ES256); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(ids(a, keyring.ES256), signer(t, b, keyring.ES256).ID) {
		t.Error("what the second node signs cannot be checked against the first")
	}
	refresh(t, b)
	if signer(t, a, keyring.ES256).ID != signer(t, b, keyring.ES256).ID {
		t.Error("the second node does not follow")
	}
}

func TestWithdrawnKeyIsGoneAtOnce(t *testing.T) {
	db, _ := storetest.Open(t, keyring.Schema())
	r := open(t, db, config())
	stolen := signer(t, r, keyring.ES256).ID
	if err := r.Withdraw(t.Context(), stolen); err != nil {
		t.Fatal(err)
	}
	if id := signer(t, r, keyring.ES256).ID; id == stolen || !slices.Contains(ids(r, keyring.ES256), id) {
		t.Error("no other key signs")
	}
	if slices.Contains(ids(r, keyring.ES256), stolen) {
		t.Error("a withdrawn key is published")
	}
	if n := states(t, db, r, keyring.ES256); n[keyring.Withdrawn] != 1 || n[keyring.Active] != 1 || n[keyring.Next] != 1 {
		t.Error(n)
	}
	if err := r.Withdraw(t.Context(), "no such key"); err == nil {
		t.Error("withdrew a key that does not exist")
	}
}

func TestMasterKeyChangesWithoutANewIdentity(t *testing.T) {
	db, _ := storetest.Open(t, keyring.Schema())
	r := open(t, db, config())
	key, name := signer(t, r, keyring.ES256).ID, r.MAC("subject", []byte("a_1"))
	fresh := config()
	fresh.Master, fresh.Old = bytes.Repeat([]byte{8}, 32), [][]byte{config().Master}
	r = open(t, db, fresh)
	if signer(t, r, keyring.ES256).ID != key || !bytes.Equal(r.MAC("subject", []byte("a_1")), name) {
		t.Error("a new master key changed what services know")
	}
	fresh.Old = nil
	r = open(t, db, fresh)
	if !bytes.Equal(r.MAC("subject", []byte("a_1")), name) {
		t.Error("the old master key is still needed after one start")
	}
	if _, err := keyring.Open(t.Context(), db, config()); !errors.Is(err, keyring.ErrMaster) {
		t.Errorf("a wrong master key is not named as the cause: %v", err)
	}
}

func TestMACsOfDifferentPurposesDiffer(t *testing.T) {
	db, _ := storetest.Open(t, keyring.Schema())
	other, _ := storetest.Open(t, keyring.Schema())
	r, s := open(t, db, config()), open(t, other, config())
	a := r.MAC("a", []byte("x"))
	if len(a) != 32 || !bytes.Equal(a, r.MAC("a", []byte("x"))) {
		t.Error("not a stable hash")
	}
	for _, b := range [][]byte{r.MAC("b", []byte("x")), r.MAC("a", []byte("y")), r.MAC("ax", nil), s.MAC("a", []byte("x"))} {
		if bytes.Equal(a, b) {
			t.Error("two hashes agree that must differ")
		}
	}
}

func TestPrivateHalvesAreSealedAndErased(t *testing.T) {
	db, clock := storetest.Open(t, keyring.Schema())
	r := open(t, db, config())
	refresh(t, r)
	clock.Add(every)
	refresh(t, r)
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Query("SELECT state, sealed FROM keyring_key")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var state string
			var sealed []byte
			if err := rows.Scan(&state, &sealed); err != nil {
				return err
			}
			if (state == string(keyring.Retired)) != (len(sealed) == 0) {
				t.Errorf("a %s key keeps %d sealed bytes", state, len(sealed))
			}
			if bytes.HasPrefix(sealed, []byte{0x30, 0x82}) || bytes.HasPrefix(sealed, []byte{0x30, 0x81}) {
				t.Error("a private key lies open in the database")
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesAnImpossibleConfiguration(t *testing.T) {
	db, _ := storetest.Open(t, keyring.Schema())
	for name, change := range map[string]func(*keyring.Config){
		"no master key":      func(c *keyring.Config) { c.Master = nil },
		"lead over rotation": func(c *keyring.Config) { c.Lead = c.RotateEvery },
		"negative overlap":   func(c *keyring.Config) { c.Overlap = -1 },
	} {
		cfg := config()
		change(&cfg)
		if _, err := keyring.Open(t.Context(), db, cfg); err == nil {
			t.Error(name, "is accepted")
		}
	}
}

func BenchmarkSignerAndPublic(b *testing.B) {
	db, _ := storetest.Open(b, keyring.Schema())
	r := open(b, db, config())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Signer(keyring.ES256); err != nil || len(r.Public()) == 0 {
			b.Fatal(err)
		}
	}
}
