package feed_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// house is a database with feeds and a federation that publishes.
type house struct {
	t     *testing.T
	db    *store.DB
	clock *storetest.Clock
	book  *rp.Book
	feeds *feed.Keeper
	world *world
	notes []string
}

func names(uri string) string {
	return map[string]string{
		"urn:oid:1.3.6.1.4.1.5923.1.1.1.6": "eduPersonPrincipalName", "urn:oid:0.9.2342.19200300.100.1.3": "mail", "urn:oid:2.16.840.1.113730.3.1.241": "displayName",
	}[uri]
}

func open(t *testing.T) *house {
	db, clock := storetest.Open(t, rp.Schema(), feed.Schema())
	h := &house{t: t, db: db, clock: clock, world: newWorld(t)}
	h.book = rp.New(db, func(string, []byte) []byte { return make([]byte, 32) })
	h.restart()
	return h
}

// restart opens the room anew, as another process would.
func (h *house) restart() {
	h.feeds = feed.New(feed.Config{
		DB: h.db, Rules: h.book.Rules, Attribute: names, Client: h.world.server.Client(),
		Open:     func(name string) (io.ReadCloser, error) { return os.Open(name) },
		Patience: 5 * time.Minute, Silence: time.Minute,
		Note: func(_ *store.Tx, event, id string, _ map[string]string) error {
			h.notes = append(h.notes, event+" "+id)
			return nil
		},
	})
	h.book = rp.New(h.db, func(string, []byte) []byte { return make([]byte, 32) })
	h.book.Also(h.feeds)
}

func (h *house) write(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.db.Write(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) put(f feed.Feed) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error { return h.feeds.Put(tx, f) })
}

func (h *house) refresh(id string) (feed.Report, error) {
	return h.feeds.Refresh(context.WithoutCancel(h.t.Context()), id, feed.Options{})
}

func (h *house) must(id string) feed.Report {
	h.t.Helper()
	r, err := h.refresh(id)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) state(id string) feed.State {
	h.t.Helper()
	var out feed.State
	if err := h.db.Read(h.t.Context(), func(tx *store.Tx) (err error) { out, err = h.feeds.Get(tx, id); return err }); err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *house) party(id string) (p rp.Party, err error) {
	h.t.Helper()
	if other := h.db.Read(h.t.Context(), func(tx *store.Tx) error { p, err = h.book.Get(tx, id); return nil }); other != nil {
		h.t.Fatal(other)
	}
	return p, err
}

func (h *house) describe(id string) feed.Service {
	h.t.Helper()
	var out feed.Service
	if err := h.db.Read(h.t.Context(), func(tx *store.Tx) (err error) { out, err = h.feeds.Describe(tx, id); return err }); err != nil {
		h.t.Fatal(err)
	}
	return out
}

// signer is a federation's key with its certificate.
type signer struct {
	xmlsig.Key
	pinned string
}

func newSigner(t testing.TB) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return signer{xmlsig.Key{Signer: key, Certificate: der}, base64.StdEncoding.EncodeToString(der)}
}

// world is the web server of federations: paths with what they answer.
type world struct {
	server *httptest.Server
	mu     sync.Mutex
	pages  map[string]http.HandlerFunc
	asked  []string
}

func newWorld(t testing.TB) *world {
	w := &world{pages: map[string]http.HandlerFunc{}}
	w.server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		page := w.pages[r.URL.EscapedPath()]
		w.asked = append(w.asked, r.URL.EscapedPath())
		w.mu.Unlock()
		if page == nil {
			http.NotFound(out, r)
			return
		}
		page(out, r)
	}))
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) serve(path string, page http.HandlerFunc) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pages[path] = page
	return w.server.URL + path
}

func (w *world) publish(path string, text []byte) string {
	return w.serve(path, func(out http.ResponseWriter, r *http.Request) {
		tag := fmt.Sprintf(`"%x"`, len(text))
		out.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			out.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = out.Write(text)
	})
}

func (w *world) times(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, p := range w.asked {
		if p == path {
			n++
		}
	}
	return n
}

// federation publishes providers at a time.
type federation struct {
	t      testing.TB
	sample *aggregate.Sample
	clock  func() time.Time
	life   time.Duration
	cache  string
	change func(i int, p *aggregate.Provider)
}

func newFederation(h *house) *federation {
	s, err := aggregate.NewSample("example.org", 6000)
	if err != nil {
		h.t.Fatal(err)
	}
	return &federation{t: h.t, sample: s, clock: h.clock.Now, life: 14 * 24 * time.Hour, cache: "PT6H"}
}

// write gives the aggregate of the providers with these numbers.
func (f *federation) write(by signer, numbers ...int) []byte {
	f.t.Helper()
	now := f.clock()
	text, err := aggregate.Write(aggregate.Document{
		ID: fmt.Sprintf("_%d", now.UnixNano()), Name: "urn:test:federation", Publisher: "urn:test", Created: now, ValidUntil: now.Add(f.life), Cache: f.cache, Key: by.Key,
	}, len(numbers), func(i int) aggregate.Provider {
		p := f.sample.Provider(numbers[i])
		if f.change != nil {
			f.change(numbers[i], &p)
		}
		return p
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return text
}

func upTo(n int) []int {
	var out []int
	for i := range n {
		out = append(out, i)
	}
	return out
}

func entity(n int) string { return fmt.Sprintf("https://sp%05d.example.org/shibboleth", n) }

func writeFile(t testing.TB, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "feed.xml")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func gakunin(url string, by ...signer) feed.Feed {
	f := feed.Feed{ID: "gakunin", Kind: feed.Aggregate, Precedence: 10, Sources: []feed.Source{{Generation: 1, URL: url}}}
	for _, s := range by {
		f.Sources[0].Certificates = append(f.Sources[0].Certificates, s.pinned)
	}
	return f
}

func attributes(p rp.Party) []string {
	var out []string
	for _, r := range p.Release {
		out = append(out, r.Attribute)
	}
	slices.Sort(out)
	return out
}
