package saml_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/rp"
	"seimon/internal/store"
)

const (
	wiki    = "https://wiki.example.org/sp"
	wikiURL = "https://wiki.example.org/Shibboleth.sso/Metadata"
)

// publisher answers at the address of a service's metadata.
type publisher struct {
	code  int
	text  string
	asked int
}

func (p *publisher) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asked++
	return &http.Response{StatusCode: p.code, Status: fmt.Sprint(p.code, " said"), Header: http.Header{"Location": {p.text}}, Body: io.NopCloser(strings.NewReader(p.text)), Request: r}, nil
}

func wikiMetadata(id, acs string, more ...string) string {
	return `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_m" entityID="` + id + `"` + strings.Join(more, "") + `><md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
		`<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="` + acs + `" index="1"></md:AssertionConsumerService></md:SPSSODescriptor></md:EntityDescriptor>`
}

// fromAddress registers the wiki from its address, with what the university decided.
func (g *gate) fromAddress(p *publisher, change ...func(*saml.Registration)) {
	p.code, p.text = http.StatusOK, wikiMetadata(wiki, "https://wiki.example.org/acs")
	g.front.Client = &http.Client{Transport: p}
	g.service(wiki, func(r *saml.Registration) {
		r.URL, r.Format, r.Sign = wikiURL, metadata.Persistent, "both"
		r.Consumers = []metadata.Endpoint{{Location: "https://wiki.example.org/acs", Index: 1}}
		for _, fn := range change {
			fn(r)
		}
	}, func(p *rp.Party) { p.Names["en"] = "Our wiki" })
}

func (g *gate) registered(id string) (rp.Party, string) {
	g.T.Helper()
	var p rp.Party
	g.Write(func(tx *store.Tx) (err error) { p, err = g.book.Registered(tx, id); return err })
	return p, string(p.Registration)
}

func (g *gate) renewal(id string) saml.Renewal {
	g.T.Helper()
	var all []saml.Renewal
	g.Write(func(tx *store.Tx) (err error) { all, err = g.front.Renewals(tx); return err })
	i := slices.IndexFunc(all, func(n saml.Renewal) bool { return n.Party == id })
	if i < 0 {
		g.T.Fatalf("%s is not among %+v", id, all)
	}
	return all[i]
}

func (g *gate) renew() {
	g.T.Helper()
	if err := g.front.Renew(g.T.Context()); err != nil {
		g.T.Fatal(err)
	}
}

func TestMetadataAtAnAddressRenewsItself(t *testing.T) {
	g := open(t)
	p := &publisher{}
	g.fromAddress(p)
	byHand, _ := pairs()
	g.service(library, func(r *saml.Registration) { r.Signing = []string{byHand.text()} })
	g.renew()
	if before, _ := g.registered(wiki); before.Version != 1 || p.asked != 1 {
		t.Errorf("what has not changed is written: version %d, asked %d times", before.Version, p.asked)
	}
	p.text = wikiMetadata(wiki, "https://wiki.example.org/new", ` validUntil="`+g.Clock.Now().Add(240*time.Hour).UTC().Format(time.RFC3339)+`"`)
	g.renew()
	if p.asked != 1 {
		t.Error("it is asked again at once")
	}
	g.Clock.Add(7 * time.Hour)
	g.renew()
	party, text := g.registered(wiki)
	if !strings.Contains(text, "/new") || !strings.Contains(text, "valid_until") || !strings.Contains(text, `"sign":"both"`) || !strings.Contains(text, wikiURL) || party.Names["en"] != "Our wiki" {
		t.Errorf("%+v", party)
	}
	e := g.events("party.renewed")
	if len(e) != 1 || e[0].Facts["changed"] != "assertion_consumers valid_until" || e[0].Party != wiki {
		t.Errorf("on record: %+v", e)
	}
	if n := g.renewal(wiki); n.Fails != 0 || n.Until.IsZero() || !n.Due.Equal(g.Clock.Now().Add(6*time.Hour).Truncate(time.Millisecond)) {
		t.Errorf("%+v", n)
	}
	if n := g.renewal(library); n.URL != "" || !n.Checked.IsZero() || p.asked != 2 {
		t.Errorf("registered by hand: %+v, asked %d times", n, p.asked)
	}
	// The sign-in goes where the new metadata says.
	b := g.browser()
	b.Get(g.redirect(&asking{issuer: wiki, attrs: []string{"AssertionConsumerServiceURL", "https://wiki.example.org/acs"}})).WantStatus(400)
}

// A document says how long it may be kept; too short or too long is brought within bounds,
// and before it ends there is time for several tries.
func TestADocumentSaysHowLongItIsKept(t *testing.T) {
	g := open(t)
	p := &publisher{}
	g.fromAddress(p)
	for _, c := range []struct {
		cache string
		left  time.Duration // until its validUntil; 0 without one
		want  time.Duration
	}{
		{"PT2H", 0, 2 * time.Hour},
		{"PT1S", 0, 15 * time.Minute},
		{"P30D", 0, 24 * time.Hour},
		{"soon", 0, 6 * time.Hour},
		{"PT0S", 0, 6 * time.Hour},
		{"", 0, 6 * time.Hour},
		{"", 8 * time.Hour, 4 * time.Hour},
		{"P1D", 4 * time.Hour, 2 * time.Hour},
		{"PT1H", 8 * time.Hour, time.Hour},
		{"PT1H", 10 * time.Minute, 15 * time.Minute},
	} {
		g.Clock.Add(25 * time.Hour)
		extra := ` cacheDuration="` + c.cache + `"`
		if c.cache == "" {
			extra = ""
		}
		if c.left > 0 {
			extra += ` validUntil="` + g.Clock.Now().Add(c.left).UTC().Format(time.RFC3339) + `"`
		}
		p.text = wikiMetadata(wiki, "https://wiki.example.org/acs", extra)
		g.renew()
		if n := g.renewal(wiki); n.Fault != "" || n.Due.Sub(g.Clock.Now()).Round(time.Second) != c.want {
			t.Errorf("%+v: again in %v (%s)", c, n.Due.Sub(g.Clock.Now()), n.Fault)
		}
	}
	// A failure shortly before the end does not wait for the end.
	p.text = wikiMetadata(wiki, "https://wiki.example.org/acs", ` validUntil="`+g.Clock.Now().Add(80*time.Minute).UTC().Format(time.RFC3339)+`"`)
	g.Clock.Add(16 * time.Minute)
	g.renew()
	p.text = "nothing"
	g.Clock.Add(40 * time.Minute)
	g.renew()
	if n := g.renewal(wiki); n.Fails != 1 || n.Due.Sub(g.Clock.Now()) > 15*time.Minute {
		t.Errorf("%+v, at %v", n, g.Clock.Now())
	}
}

// Whatever is wrong at the address, the registration stays, and the doctor can say why.
func TestWhatCannotBeTakenLeavesTheRegistrationAlone(t *testing.T) {
	g := open(t)
	p := &publisher{}
	g.fromAddress(p)
	_, before := g.registered(wiki)
	weak := wikiMetadata(wiki, "http://wiki.example.org/acs")
	for i, c := range []struct {
		code       int
		text, want string
	}{
		{500, "", "500 said"},
		{404, "", "404 said"},
		{302, "https://evil.example.org/metadata", "another server"},
		{302, "http://wiki.example.org/metadata", "another server"},
		{200, "<html><body>maintenance</body></html>", "not the EntityDescriptor"},
		{200, `<!DOCTYPE x [<!ENTITY a "b">]>` + wikiMetadata(wiki, "https://wiki.example.org/acs"), ""},
		{200, wikiMetadata("https://other.example.org/sp", "https://wiki.example.org/acs"), "other.example.org"},
		{200, weak, "https"},
		{200, strings.Repeat(" ", 2<<20), "longer than"},
		{200, wikiMetadata(wiki, "https://wiki.example.org/acs", ` validUntil="2020-01-01T00:00:00Z"`), "valid until"},
	} {
		g.Clock.Add(2 * time.Hour)
		p.code, p.text = c.code, c.text
		g.renew()
		n := g.renewal(wiki)
		if _, now := g.registered(wiki); now != before || n.Fails != i+1 || n.Fault == "" || !strings.Contains(n.Fault, c.want) {
			t.Errorf("%d %.60q: %+v", c.code, c.text, n)
		}
	}
	g.Clock.Add(2 * time.Hour)
	p.code, p.text = 200, wikiMetadata(wiki, "https://wiki.example.org/acs")
	if g.renew(); g.renewal(wiki).Fails != 0 || g.renewal(wiki).Fault != "" {
		t.Errorf("%+v", g.renewal(wiki))
	}
}

// With a pinned signer only what that key signed is taken.
func TestAPinnedSignerMustHaveSigned(t *testing.T) {
	g := open(t)
	p := &publisher{}
	key, _ := pairs()
	stranger := newPair(t, freshKey(t))
	g.fromAddress(p, func(r *saml.Registration) { r.Signer = key.text() })
	signed := func(by *pair, acs string) string {
		text := wikiMetadata(wiki, acs)
		at := strings.Index(text, "<md:SPSSO")
		out, err := xmlsig.Sign([]byte(text), "_m", at, xmlsig.Key{Signer: by.key})
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	good := signed(key, "https://wiki.example.org/signed")
	for _, text := range []string{
		wikiMetadata(wiki, "https://wiki.example.org/evil"), signed(&stranger, "https://wiki.example.org/evil"), strings.Replace(good, "/signed", "/evil", 1),
	} {
		g.Clock.Add(2 * time.Hour)
		p.text = text
		if g.renew(); !strings.Contains(g.renewal(wiki).Fault, "metadata_signer") {
			t.Errorf("%+v", g.renewal(wiki))
		}
	}
	g.Clock.Add(2 * time.Hour)
	p.text = good
	if g.renew(); g.renewal(wiki).Fault != "" {
		t.Errorf("%+v", g.renewal(wiki))
	}
	if _, text := g.registered(wiki); !strings.Contains(text, "/signed") || strings.Contains(text, "/evil") {
		t.Error(text)
	}
}

func TestImportNotesTheAddress(t *testing.T) {
	check := saml.Check()
	list, _, ok, err := check.Import([]byte(wikiMetadata(wiki, "https://wiki.example.org/acs")), time.Now())
	if err != nil || !ok || len(list) != 1 {
		t.Fatal(list, ok, err)
	}
	if err := check.From(&list[0], wikiURL); err != nil || !bytes.Contains(list[0].Registration, []byte(wikiURL)) {
		t.Errorf("%v %s", err, list[0].Registration)
	}
	if _, err := check.Verify(&list[0], nil); err != nil || !bytes.Contains(list[0].Registration, []byte(wikiURL)) {
		t.Errorf("%v %s", err, list[0].Registration)
	}
	for _, bad := range []string{"http://wiki.example.org/metadata", "file:/etc/passwd"} {
		p := list[0]
		if err := check.From(&p, bad); err != nil {
			t.Fatal(err)
		}
		if _, err := check.Verify(&p, nil); err == nil || !strings.Contains(err.Error(), "metadata_url") {
			t.Errorf("%s is taken: %v", bad, err)
		}
	}
}
