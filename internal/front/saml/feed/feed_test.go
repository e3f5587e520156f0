package feed_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/lang"
	"seimon/internal/rp"
	"seimon/internal/store"
)

const day = 24 * time.Hour

func TestAServiceOfAFederationIsAPartyWithoutARow(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	h.put(gakunin(h.world.publish("/all.xml", f.write(by, upTo(7)...)), by))
	r := h.must("gakunin")
	if r.Entities != 7 || r.Services != 7 || r.Added != 7 || r.Changed+r.Gone != 0 {
		t.Errorf("%+v", r)
	}
	p, err := h.party(entity(0))
	if err != nil {
		t.Fatal(err)
	}
	var s metadata.Service
	if err := json.Unmarshal(p.Registration, &s); err != nil {
		t.Fatal(err)
	}
	if p.Protocol != "saml" || p.Source != "gakunin" || p.Names[lang.JA] != "研究サービス 0" || p.Contact != "support@sp00000.example.org" || !p.Pairwise ||
		len(s.Consumers) != 1 || len(s.Signing) != 1 || len(s.Encryption) != 1 || len(s.Logout) != 1 || len(s.Formats) != 2 || len(s.Requested) != 3 {
		t.Errorf("%+v\n%+v", p, s)
	}
	if !s.ValidUntil.Equal(h.clock.Now().Add(f.life).Truncate(time.Second)) {
		t.Errorf("valid until %s", s.ValidUntil)
	}
	if p.Consent != rp.ConsentAsk || !slices.Contains(attributes(p), "eduPersonScopedAffiliation") { // R&S and CoCo
		t.Errorf("%s %v", p.Consent, p.Release)
	}
	if p, _ := h.party(entity(1)); !slices.Equal(attributes(p), []string{"displayName", "eduPersonPrincipalName", "mail"}) {
		t.Errorf("%v", p.Release)
	}
	if _, err := h.party(entity(8)); !errors.Is(err, rp.ErrNone) {
		t.Error(err)
	}
	d := h.describe(entity(0))
	if d.Authority != "https://registry.example.org" || len(d.Service.Categories) != 2 || d.Gone {
		t.Errorf("%+v", d)
	}
	h.restart()
	if again, err := h.party(entity(0)); err != nil || again.Version != p.Version {
		t.Error("after a restart", err)
	}
}

func TestOnlyWhatDiffersIsWritten(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	url := h.world.publish("/all.xml", f.write(by, upTo(6)...))
	h.put(gakunin(url, by))
	h.must("gakunin")
	if r := h.must("gakunin"); !r.Same || h.world.times("/all.xml") != 2 {
		t.Errorf("a conditional request brings %+v", r)
	}
	before := h.describe(entity(3)).Changed
	h.clock.Add(time.Hour)
	f.change = func(i int, p *aggregate.Provider) {
		if i == 2 {
			p.Names = map[string]string{"en": "Renamed"}
		}
	}
	h.world.publish("/all.xml", append(f.write(by, 0, 1, 2, 3, 9), '\n'))
	r := h.must("gakunin")
	if r.Added != 1 || r.Changed != 1 || r.Gone != 2 || r.Services != 5 {
		t.Errorf("%+v", r)
	}
	if !h.describe(entity(3)).Changed.Equal(before) {
		t.Error("an unchanged entity was written again")
	}
	if p, _ := h.party(entity(2)); p.Names[lang.EN] != "Renamed" {
		t.Errorf("%v", p.Names)
	}
	if !slices.Contains(h.notes, "feed.loaded gakunin") {
		t.Error(h.notes)
	}
}

// TestWhatVanishedIsRefusedAtOnce: taking a service out is how a federation says that it
// is not to be believed any more; a key of its own may be in foreign hands.
func TestWhatVanishedIsRefusedAtOnce(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	url := h.world.publish("/all.xml", f.write(by, 0, 1))
	h.put(gakunin(url, by))
	h.must("gakunin")
	end := h.state("gakunin").Loaded.ValidUntil
	h.clock.Add(day)
	h.world.publish("/all.xml", f.write(by, 0))
	h.must("gakunin")
	until := func(id string) time.Time {
		t.Helper()
		p, err := h.party(id)
		if err != nil {
			t.Fatal(err)
		}
		var s metadata.Service
		if err := json.Unmarshal(p.Registration, &s); err != nil {
			t.Fatal(err)
		}
		return s.ValidUntil
	}
	if got := until(entity(1)); got.After(h.clock.Now()) || !h.describe(entity(1)).Gone {
		t.Errorf("what its federation took back lives until %s", got)
	}
	if got := until(entity(0)); !got.Equal(end.Add(day)) {
		t.Errorf("%s", got)
	}
	h.clock.Add(f.life + 31*day)
	if err := h.feeds.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.party(entity(1)); !errors.Is(err, rp.ErrNone) {
		t.Error("it is remembered for ever", err)
	}
	if got := until(entity(0)); h.clock.Now().Before(got) {
		t.Error("a feed that ended is believed")
	}
}

func TestPrecedenceOfFeedsAndOwnParties(t *testing.T) {
	h := open(t)
	f, a, b := newFederation(h), newSigner(t), newSigner(t)
	name := func(n string) { f.change = func(_ int, p *aggregate.Provider) { p.Names = map[string]string{"en": n} } }
	name("national")
	h.put(gakunin(h.world.publish("/a.xml", f.write(a, 1)), a))
	name("world")
	f.life = 20 * day
	second := gakunin(h.world.publish("/b.xml", f.write(b, 1, 2)), b)
	second.ID, second.Precedence = "edugain", 20
	h.put(second)
	h.must("gakunin")
	h.must("edugain")
	is := func(want string) {
		t.Helper()
		if p, err := h.party(entity(1)); err != nil || p.Names[lang.EN] != want {
			t.Errorf("%q %v, want %q", p.Names[lang.EN], err, want)
		}
	}
	is("national")
	h.clock.Add(15 * day) // the national feed has ended
	is("world")
	own := rp.Party{ID: entity(1), Protocol: "saml", Names: map[lang.Tag]string{lang.EN: "own"}}
	h.write(func(tx *store.Tx) error { return h.book.Put(tx, own) })
	is("own")
	h.write(func(tx *store.Tx) error { return h.feeds.Remove(tx, "edugain") })
	if _, err := h.party(entity(2)); !errors.Is(err, rp.ErrNone) {
		t.Error("the services of a removed feed stay", err)
	}
}

func TestRulesChangeWhatAServiceReceives(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	h.put(gakunin(h.world.publish("/all.xml", f.write(by, 1)), by))
	h.must("gakunin")
	before, err := h.party(entity(1))
	if err != nil {
		t.Fatal(err)
	}
	h.write(func(tx *store.Tx) error {
		return h.book.ApplyRules(tx, "r", []byte("[[release]]\nname = 'x'\nfeeds = ['gakunin']\nattributes = ['mail']\nconsent = 'none'\n"))
	})
	p, err := h.party(entity(1))
	if err != nil || p.Consent != rp.ConsentNone || !slices.Equal(attributes(p), []string{"mail"}) || p.Version == before.Version {
		t.Errorf("%+v %v", p, err)
	}
}

func TestTheNextGenerationTakesOverAndTheLastIsNotTakenBack(t *testing.T) {
	h := open(t)
	f, one, two := newFederation(h), newSigner(t), newSigner(t)
	g := gakunin(h.world.publish("/g1.xml", f.write(one, 1)), one)
	g.Sources = append(g.Sources, feed.Source{Generation: 2, URL: h.world.server.URL + "/g2.xml", Certificates: []string{two.pinned}})
	h.put(g)
	if r := h.must("gakunin"); r.Generation != 1 || len(r.Tried) != 1 {
		t.Errorf("%+v", r)
	}
	h.clock.Add(time.Hour)
	h.world.publish("/g2.xml", f.write(one, 1, 2)) // signed by the old key under the new address
	if r := h.must("gakunin"); r.Generation != 1 {
		t.Errorf("%+v", r)
	}
	h.world.publish("/g2.xml", f.write(two, 1, 2))
	if r := h.must("gakunin"); r.Generation != 2 || r.Services != 2 {
		t.Errorf("%+v", r)
	}
	h.clock.Add(time.Hour)
	h.world.publish("/g2.xml", f.write(one, 1)) // downgrade: the old key may have been stolen
	h.world.publish("/g1.xml", f.write(one, 1))
	if r, err := h.refresh("gakunin"); err == nil {
		t.Errorf("an older generation is taken back: %+v", r)
	}
	if s := h.state("gakunin"); s.Loaded.Generation != 2 || s.Fails != 1 || s.Fault == "" {
		t.Errorf("%+v", s)
	}
}

func TestAnOlderDocumentIsNotTaken(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	old := f.write(by, 0, 1)
	h.clock.Add(time.Hour)
	url := h.world.publish("/all.xml", f.write(by, 0))
	h.put(gakunin(url, by))
	h.must("gakunin")
	h.world.publish("/all.xml", append(old, ' '))
	if _, err := h.refresh("gakunin"); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Error(err)
	}
	if _, err := h.party(entity(1)); !errors.Is(err, rp.ErrNone) {
		t.Error("something of it is believed", err)
	}
	if r, err := h.feeds.Refresh(t.Context(), "gakunin", feed.Options{Older: true}); err != nil || r.Services != 2 {
		t.Error(r, err)
	}
}

func TestFilesAreFeedsToo(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	h.put(gakunin("file:"+writeFile(t, f.write(by, 1)), by))
	var done int64
	if _, err := h.feeds.Refresh(t.Context(), "gakunin", feed.Options{Progress: func(d, _ int64) { done = d }}); err != nil || done < 5000 {
		t.Fatal(done, err)
	}
	if _, err := h.party(entity(1)); err != nil {
		t.Error(err)
	}
}

func TestQueriesForSingleEntities(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		h := open(t)
		f, by, other := newFederation(h), newSigner(t), newSigner(t)
		q := feed.Feed{ID: "mdq", Kind: feed.Query, Precedence: 50, Hashed: hashed, Sources: []feed.Source{{Generation: 1, URL: h.world.server.URL + "/mdq", Certificates: []string{by.pinned}}}}
		h.put(q)
		path := map[bool]string{
			false: "/mdq/entities/https%3A%2F%2Fsp00001.example.org%2Fshibboleth",
			true:  "/mdq/entities/%7Bsha1%7Df52f5df47ed2ca8f6b0e3f4d0c2f0d2f",
		}[hashed]
		if hashed {
			path = "/mdq/entities/%7Bsha1%7D" + sha1Of(entity(1))
		}
		single := func(by signer, n int) []byte {
			text, err := aggregate.Single(aggregate.Document{ID: "_1", ValidUntil: h.clock.Now().Add(5 * day), Cache: "PT1H", Key: by.Key}, f.sample.Provider(n))
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		ask := func(n int) {
			t.Helper()
			if err := h.feeds.Ensure(t.Context(), entity(n)); err != nil {
				t.Fatal(err)
			}
		}
		known := func(n int) bool { _, err := h.party(entity(n)); return err == nil }
		h.world.publish(path, single(other, 1))
		if ask(1); known(1) {
			t.Error("another signer will do")
		}
		h.clock.Add(2 * time.Minute)
		h.world.publish(path, single(by, 2))
		if ask(1); known(1) || known(2) {
			t.Error("the metadata of another entity will do")
		}
		asked := h.world.times(path)
		if ask(1); h.world.times(path) != asked {
			t.Error("what is not known is asked for again and again")
		}
		h.clock.Add(2 * time.Minute)
		h.world.publish(path, single(by, 1))
		if ask(1); !known(1) {
			t.Fatalf("not found: %+v", h.state("mdq").Fault)
		}
		asked = h.world.times(path)
		if ask(1); h.world.times(path) != asked {
			t.Error("a fresh copy is asked for again")
		}
		h.clock.Add(2 * time.Hour)
		if ask(1); h.world.times(path) != asked+1 || !known(1) {
			t.Error("an old copy is not renewed")
		}
		h.clock.Add(2 * time.Hour)
		h.world.serve(path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
		if ask(1); !known(1) {
			t.Error("a broken server takes away what is known")
		}
		h.clock.Add(40 * day)
		if err := h.feeds.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if known(1) {
			t.Error("an answer is kept for ever")
		}
	}
}

func TestTheWholeDocumentIsOneEntityForQueriesAlone(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	text, err := aggregate.Single(aggregate.Document{ID: "_1", ValidUntil: h.clock.Now().Add(day), Key: by.Key}, f.sample.Provider(1))
	if err != nil {
		t.Fatal(err)
	}
	h.put(gakunin(h.world.publish("/one.xml", text), by))
	if _, err := h.refresh("gakunin"); err == nil {
		t.Error("a signed entity passes for a feed")
	}
}

func TestIdentityProvidersAreCountedAndNotKept(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	f.change = func(i int, p *aggregate.Provider) { p.Identity = i == 1 }
	h.put(gakunin(h.world.publish("/all.xml", f.write(by, 0, 1, 2)), by))
	if r := h.must("gakunin"); r.Entities != 3 || r.Services != 2 {
		t.Errorf("%+v", r)
	}
	if _, err := h.party(entity(1)); !errors.Is(err, rp.ErrNone) {
		t.Error(err)
	}
}

func TestWhenToLookAgain(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	h.put(gakunin(h.world.publish("/all.xml", f.write(by, 0)), by))
	due := func() (out []string) {
		h.write(func(tx *store.Tx) (err error) { out, err = h.feeds.Due(tx); return err })
		return out
	}
	if got := due(); !slices.Equal(got, []string{"gakunin"}) {
		t.Error(got)
	}
	h.must("gakunin")
	if got := h.state("gakunin").Due.Sub(h.clock.Now()); got != 6*time.Hour || len(due()) != 0 {
		t.Error(got)
	}
	h.clock.Add(f.life - time.Hour)
	h.must("gakunin")
	if got := h.state("gakunin").Due.Sub(h.clock.Now()); got != 15*time.Minute {
		t.Error(got)
	}
}
