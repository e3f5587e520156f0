package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seimon/internal/directory"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// federate writes a small federation's signed metadata and its signer's certificate
// into the folder.
func (s *site) federate(until time.Time) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	sample, err := aggregate.NewSample("example.org", 6000)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := aggregate.Write(aggregate.Document{
		ID: "_1", Name: "urn:example:federation", Created: time.Now(), ValidUntil: until, Cache: "PT6H", Key: xmlsig.Key{Signer: key},
	}, 5, sample.Provider)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, text := range map[string][]byte{"federation.xml": text, "signer.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})} {
		if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) feed(until time.Time) {
	s.t.Helper()
	s.federate(until)
	s.must("feed", "add", "example", "--url", "file:"+filepath.Join(s.dir, "federation.xml"), "--signer", filepath.Join(s.dir, "signer.pem"))
	if out := s.must("feed", "refresh", "example"); !strings.Contains(out, "5 new") {
		s.t.Error(out)
	}
}

// read reads the configuration.
func (s *site) read() *Config {
	s.t.Helper()
	c, err := LoadConfig(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// open opens the house for this test, in this program, and gives what writes to its
// database.
func (s *site) open() (h *House, write func(fn func(tx *store.Tx) error)) {
	s.t.Helper()
	h, err := Open(s.t.Context(), s.read(), Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { h.Close() })
	return h, func(fn func(tx *store.Tx) error) {
		s.t.Helper()
		if err := h.DB.Write(s.t.Context(), fn); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestTheDoctorWarnsBeforeAFeedDies(t *testing.T) {
	s := install(t)
	s.feed(time.Now().Add(50 * time.Hour))
	_, out, _ := s.run("doctor")
	if strings.Contains(out, "[feed.") {
		t.Error("a fresh feed that is valid for two days only is no alarm yet:", out)
	}
	h, write := s.open()
	var left float64
	if err := h.DB.Read(t.Context(), func(tx *store.Tx) (err error) { left, err = h.feedLeft(tx); return err }); err != nil || left < 49*3600 || left > 50*3600 {
		t.Error(left, err)
	}
	write(func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE feed_feed SET loaded = $1", `{"at":"2026-01-01T00:00:00Z","valid_until":"2026-01-09T00:00:00Z"}`)
		return err
	})
	found, err := h.checkFeeds(t.Context())
	if err != nil || len(found) != 1 || found[0].Code != "feed.expired" {
		t.Errorf("%+v %v", found, err)
	}
	for _, tag := range h.Words.Tags() {
		if text, next := found[0].Says(h.Words.In(tag)); !strings.Contains(text, "example") || !strings.Contains(next, "seimon feed refresh example") {
			t.Error(text, next)
		}
	}
}

func TestWhoIsBehindAnIdentifier(t *testing.T) {
	s := install(t)
	for _, name := range []string{"s2600001", "s2600002", "s2600003"} {
		s.must("user", "add", name, "--family", "正門", "--given", "花子", "--active")
	}
	s.must("party", "add", "library", "--name", "ja=図書館", "--pairwise", "--with", "redirect_uris=https://library.example.ac.jp/callback")
	s.feed(time.Now().Add(5 * 24 * time.Hour))
	h, write := s.open()
	const entity = "https://sp00001.example.org/shibboleth"
	var account directory.Account
	ids := map[string]string{}
	write(func(tx *store.Tx) (err error) {
		if account, _, err = h.People.ByUserName(tx, "s2600002"); err != nil {
			return err
		}
		for _, id := range []string{"library", entity} {
			p, err := h.Parties.Get(tx, id)
			if err != nil {
				return err
			}
			ids[h.Parties.SubjectFor(p, account.ID)] = id
		}
		ids["https://idp.example.ac.jp!"+entity+"!stored="] = entity
		return saml.StorePersistent(tx, entity, account.ID, "stored=", false)
	})
	who := func(party, identifier string) (string, bool) {
		t.Helper()
		var p rp.Party
		if err := h.DB.Read(t.Context(), func(tx *store.Tx) (err error) { p, err = h.Parties.Get(tx, party); return err }); err != nil {
			t.Fatal(err)
		}
		_, name, ok, err := h.whoIs(context.WithoutCancel(t.Context()), p, identifier, nil)
		if err != nil {
			t.Fatal(err)
		}
		return name, ok
	}
	for identifier, party := range ids {
		if name, ok := who(party, identifier); !ok || name != "s2600002" {
			t.Errorf("%s at %s is %q", identifier, party, name)
		}
	}
	if name, ok := who("library", "nobody"); ok {
		t.Error("nobody is", name)
	}
}
