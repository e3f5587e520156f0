package ca_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/keyring"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// The test program starts itself again as a node that is killed or starved.
const (
	childURL  = "SEIMON_CA_CHILD_URL"
	childKeys = "SEIMON_CA_CHILD_KEYS" // private keys by handle: hexadecimal PKCS#8
	childDies = "SEIMON_CA_CHILD_DIES" // where, and at which signature
	childRoom = "SEIMON_CA_CHILD_ROOM" // bytes that a file may have
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		child(url)
		return
	}
	os.Exit(m.Run())
}

// chip keeps keys outside the database and can end the program at a signature, as
// power does: before it is made, or after.
type chip struct {
	keys   []crypto.Signer
	where  string
	count  int64
	signed atomic.Int64
}

func (k *chip) Generate(context.Context, string, string) (string, error) {
	key, err := newKey(ca.P256)
	k.keys = append(k.keys, key)
	return fmt.Sprint(len(k.keys) - 1), err
}

func (k *chip) Signer(_ context.Context, handle string) (crypto.Signer, error) {
	var n int
	if _, err := fmt.Sscan(handle, &n); err != nil {
		return nil, err
	}
	return &mortal{k.keys[n], k}, nil
}

type mortal struct {
	crypto.Signer
	chip *chip
}

func (m *mortal) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	n := m.chip.signed.Add(1)
	m.chip.die("before the signature", n)
	out, err := m.Signer.Sign(r, digest, o)
	m.chip.die("after the signature", n)
	return out, err
}

// die ends the program at the place and count it was told, as kill -9 does.
func (k *chip) die(where string, n int64) {
	if k.where == where && n == k.count {
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
		select {}
	}
}

func (k *chip) env(t *testing.T) string {
	t.Helper()
	var out []string
	for _, key := range k.keys {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, hex.EncodeToString(der))
	}
	return strings.Join(out, ",")
}

// child issues on many goroutines and prints each certificate once it was handed out.
func child(url string) {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var room uint64
	if _, err := fmt.Sscan(os.Getenv(childRoom), &room); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		check(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: room, Max: room}))
	}
	keys := &chip{}
	keys.where, _, _ = strings.Cut(os.Getenv(childDies), ":")
	_, count, _ := strings.Cut(os.Getenv(childDies), ":")
	fmt.Sscan(count, &keys.count) //nolint:errcheck // 0 without
	for text := range strings.SplitSeq(os.Getenv(childKeys), ",") {
		der, err := hex.DecodeString(text)
		check(err)
		key, err := x509.ParsePKCS8PrivateKey(der)
		check(err)
		keys.keys = append(keys.keys, key.(crypto.Signer))
	}
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{URL: url})
	check(err)
	ring, err := keyring.Open(ctx, db, keyring.Config{Master: bytes.Repeat([]byte("k"), 32)})
	check(err)
	var issued atomic.Int64
	a, err := ca.Open(ctx, db, ca.Config{Seal: ring, Base: base, Keys: keys, OnIssue: func(*store.Tx, ca.Certificate) error {
		keys.die("in the transaction", issued.Add(1))
		return nil
	}})
	check(err)
	var all sync.WaitGroup
	var mu sync.Mutex
	for w := range 6 {
		all.Go(func() {
			for i := range 1000 {
				key, err := newKey(ca.P256)
				check(err)
				o := order(key.Public())
				o.Holder.Account = authn.AccountID(fmt.Sprintf("acc_%d_%d_%d", os.Getpid(), w, i))
				p, err := a.Prepare(ctx, o)
				var c ca.Certificate
				if err == nil {
					c, err = a.Issue(ctx, p)
				}
				if err == nil && i%5 == 0 {
					err = a.Sequence(ctx)
				}
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				mu.Lock()
				fmt.Println(c.ID, hex.EncodeToString(c.DER))
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

// runChild starts a node, kills it after some lines (0: it dies by itself), and gives
// the certificates it handed out and what it complained of.
func runChild(t *testing.T, kill int, env ...string) (given []ca.Certificate, complaints string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		id, text, _ := strings.Cut(lines.Text(), " ")
		der, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		given = append(given, ca.Certificate{ID: id, DER: der})
		if len(given) == kill {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait() //nolint:errcheck // it was killed
	return given, errs.String()
}

// foundedAt founds an authority whose keys lie in a chip, in a database that children
// can open as well.
func foundedAt(t *testing.T, url string) (*house, *chip) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context(), ca.Schema(), keyring.Schema()); err != nil {
		t.Fatal(err)
	}
	h, keys := &house{t: t, db: db}, &chip{}
	if h.ring, err = keyring.Open(t.Context(), db, keyring.Config{Master: bytes.Repeat([]byte("k"), 32)}); err != nil {
		t.Fatal(err)
	}
	h.ca = h.another(func(c *ca.Config) { c.Keys = keys })
	if _, err := h.ca.Found(t.Context(), ca.Plan{Organization: "Example University", Helper: true}); err != nil {
		t.Fatal(err)
	}
	return h, keys
}

// TestKilledWhileIssuing kills a node between intent and signature, between signature
// and store, inside the transaction, and anywhere, again and again on one database.
// No serial is used twice, nothing was handed out without a row, and what was in the
// middle is found and revoked.
func TestKilledWhileIssuing(t *testing.T) {
	url := storetest.URL(t)
	h, keys := foundedAt(t, url)
	rng := rand.New(rand.NewPCG(3, 4))
	var given []ca.Certificate
	orphans := 0
	for round := range 12 {
		place := []string{"before the signature", "after the signature", "in the transaction", ""}[round%4]
		env := []string{childURL + "=" + url, childKeys + "=" + keys.env(t)}
		kill := 0
		if place == "" {
			kill = 1 + rng.IntN(60)
		} else {
			env = append(env, fmt.Sprintf("%s=%s:%d", childDies, place, 1+rng.IntN(60)))
		}
		handed, complaints := runChild(t, kill, env...)
		if complaints != "" {
			t.Fatalf("round %d (%s): %s", round, place, complaints)
		}
		given = append(given, handed...)
		h.sound(given)
		mended, err := h.ca.MendOrphans(t.Context(), 0, "test")
		if err != nil {
			t.Fatal(err)
		}
		if place == "before the signature" || place == "after the signature" {
			if len(mended) == 0 {
				t.Errorf("round %d: killed %s, and nothing was left in the middle", round, place)
			}
		}
		orphans += len(mended)
	}
	h.sound(given)
	if r := h.verify(nil); !r.Sound() || int(r.Entries) < len(given) {
		t.Errorf("%d were handed out: %+v", len(given), r)
	}
	list := 0
	h.read(func(tx *store.Tx) error {
		entries, err := h.ca.RevokedOf(tx, h.active(), 0, time.Now())
		list = len(entries)
		return err
	})
	if list != orphans {
		t.Errorf("%d orphans, %d revoked", orphans, list)
	}
	t.Logf("%d handed out, %d orphans", len(given), orphans)
}

// TestFullDiskWhileIssuing starves a node of room: it says so, and what it handed out
// is there.
func TestFullDiskWhileIssuing(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	h, keys := foundedAt(t, url)
	var given []ca.Certificate
	for _, room := range []int{200_000, 600_000} {
		handed, complaints := runChild(t, 0, childURL+"="+url, childKeys+"="+keys.env(t), fmt.Sprintf("%s=%d", childRoom, room))
		if complaints == "" || strings.Contains(complaints, "panic") {
			t.Errorf("with room for %d bytes the node complained of %q", room, complaints)
		}
		given = append(given, handed...)
		h.sound(given)
	}
	if len(given) == 0 {
		t.Error("nothing was handed out before the disk was full")
	}
	h.issue(order(p256(t).Public())) // with room again it goes on
	if r := h.verify(nil); !r.Sound() {
		t.Errorf("%+v", r)
	}
}
