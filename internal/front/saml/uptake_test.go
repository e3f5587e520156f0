package saml_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/session"
	"seimon/internal/store"
)

// rollover is a gate at which a second key waits, as its operator sees it.
type rollover struct {
	*gate
	out    bytes.Buffer
	around saml.Surroundings
	noted  []string
}

func rolling(t *testing.T) *rollover {
	r := &rollover{gate: open(t)}
	if err := r.front.AddKey(t.Context(), saml.RSA); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rollover) Context() context.Context                 { return r.T.Context() }
func (r *rollover) SAML() (*store.DB, *saml.Front, error)    { return r.DB, r.front, nil }
func (r *rollover) Out() io.Writer                           { return &r.out }
func (r *rollover) Surroundings() (saml.Surroundings, error) { return r.around, nil }
func (r *rollover) Record(_ *store.Tx, event, party string, _ map[string]string) error {
	r.noted = append(r.noted, event+" "+party)
	return nil
}

// described is our metadata, its signature not verified.
func (r *rollover) described() *xmldoc.Node {
	r.T.Helper()
	n, err := xmldoc.Parse([]byte(r.browser().Get("/saml/metadata").Body), xmldoc.Limits{})
	if err != nil {
		r.T.Fatal(err)
	}
	return n
}

// visitOf reads a visit by its id.
func (r *rollover) visitOf(id string) (v session.Visit) {
	r.T.Helper()
	err := r.DB.Read(r.T.Context(), func(tx *store.Tx) error {
		all, err := r.Sessions.Of(tx, r.hanak.ID)
		for _, s := range all {
			visits, err := r.Sessions.Visits(tx, s.ID)
			if err != nil {
				return err
			}
			for _, have := range visits {
				if have.ID == id {
					v = have
				}
			}
		}
		return err
	})
	if err != nil || v.ID == "" {
		r.T.Fatalf("no visit %s: %v", id, err)
	}
	return v
}

// key gives the key that services have to learn.
func (r *rollover) key() saml.Key {
	r.T.Helper()
	var k saml.Key
	err := r.DB.Read(r.T.Context(), func(tx *store.Tx) (err error) {
		k, _, err = saml.Rolling(tx, saml.RSA)
		return err
	})
	if err != nil {
		r.T.Fatal(err)
	}
	return k
}

func (r *rollover) uptake(id string) saml.Uptake {
	r.T.Helper()
	if err := r.front.Refresh(r.T.Context()); err != nil {
		r.T.Fatal(err)
	}
	list, err := r.front.Uptake(r.T.Context(), r.key(), r.around)
	if err != nil {
		r.T.Fatal(err)
	}
	for _, u := range list {
		if u.Service == id {
			return u
		}
	}
	r.T.Fatalf("%s is not in the list: %+v", id, list)
	return saml.Uptake{}
}

func (r *rollover) want(id string, state saml.Readiness, kinds string) {
	r.T.Helper()
	u := r.uptake(id)
	var have []string
	for _, e := range u.Evidence {
		have = append(have, e.Kind)
	}
	if u.State != state || strings.Join(have, " ") != kinds {
		r.T.Errorf("%s is %s by %q, want %s by %q", id, u.State, have, state, kinds)
	}
}

func TestUptakeOfANewKeyIsTakenFromWhatServicesDo(t *testing.T) {
	r := rolling(t)
	l := r.leaver("asker.example.org")
	second := r.leaver("second.example.org")
	b := r.browser()
	b.Serve(l.origin(), l)
	b.Serve(second.origin(), second)
	// Whatever they do with the old key proves nothing for the new one.
	name, index := l.visit(b, "hanako")
	second.visit(b, "hanako")
	text, _, _ := l.request(name, index)
	b.Get(l.signed("SAMLRequest", text, ""))
	r.want(l.id, saml.NotSeen, "")
	r.want(second.id, saml.NotSeen, "")
	if r.uptake(l.id).LastUse.IsZero() {
		t.Error("nothing tells that the service is in use")
	}

	if err := r.front.Activate(t.Context(), saml.RSA); err != nil {
		t.Fatal(err)
	}
	name, index = l.visit(b, "hanako")
	second.visit(b, "hanako")
	r.want(l.id, saml.NotSeen, "") // that we sign for it is no proof that it believes
	text, _, _ = l.request(name, "")
	b2 := r.browser()
	b2.Serve(l.origin(), l)
	b2.Get(l.signed("SAMLRequest", text, "")) // no session here: nothing is proved
	r.want(l.id, saml.NotSeen, "")
	text, _, _ = l.request(name, index)
	b.Get(l.signed("SAMLRequest", text, ""))
	r.want(l.id, saml.Ready, "used")
	r.want(second.id, saml.Ready, "used") // it confirmed what the new key had signed
	if n := len(second.heard); n != 2 {
		t.Fatalf("the second was told %d times", n)
	}
}

func TestASessionThatTheFormerKeyBeganProvesNothing(t *testing.T) {
	r := rolling(t)
	l := r.leaver("asker.example.org")
	b := r.browser()
	b.Serve(l.origin(), l)
	l.visit(b, "hanako")
	r.Clock.Add(time.Second)
	if err := r.front.Activate(t.Context(), saml.RSA); err != nil {
		t.Fatal(err)
	}
	name, index := l.visit(b, "hanako")
	text, _, _ := l.request(name, index)
	b.Get(l.signed("SAMLRequest", text, ""))
	if len(l.answers) != 1 || status(l.answers[0]) != "Success" {
		t.Fatalf("%d answers", len(l.answers))
	}
	r.want(l.id, saml.NotSeen, "")
}

func TestAServiceThatRefusesIsNotReady(t *testing.T) {
	r := rolling(t)
	if err := r.front.Activate(t.Context(), saml.RSA); err != nil {
		t.Fatal(err)
	}
	l, second := r.leaver("asker.example.org"), r.leaver("second.example.org")
	second.status = "Responder"
	b := r.browser()
	b.Serve(l.origin(), l)
	b.Serve(second.origin(), second)
	name, index := l.visit(b, "hanako")
	second.visit(b, "hanako")
	text, _, _ := l.request(name, index)
	b.Get(l.signed("SAMLRequest", text, ""))
	r.want(second.id, saml.NotSeen, "")
}

func TestAServiceToldBySOAPIsReadyWhenItConfirms(t *testing.T) {
	r := rolling(t)
	answer := "Success"
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		raw, _ := io.ReadAll(q.Body)
		n, err := xmldoc.Parse(raw, xmldoc.Limits{})
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><samlp:LogoutResponse xmlns:samlp="`+metadata.SAMLP+
			`" ID="_a" Version="2.0" InResponseTo="`+find(n, "LogoutRequest").Attr("ID")+`"><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:`+answer+
			`"/></samlp:Status></samlp:LogoutResponse></s:Body></s:Envelope>`)
	}))
	t.Cleanup(back.Close)
	l := r.leaver("asker.example.org", func(s *saml.Registration) {
		s.Logout = []metadata.Endpoint{{Binding: metadata.SOAP, Location: back.URL}}
	})
	if err := r.front.Activate(t.Context(), saml.RSA); err != nil {
		t.Fatal(err)
	}
	b := r.browser()
	for _, said := range []string{"Responder", "Success"} {
		answer = said
		_, index := l.visit(b, "hanako")
		v := r.visitOf(index)
		_ = r.front.SignOut(t.Context(), v)
		if said == "Responder" {
			r.want(l.id, saml.NotSeen, "")
		}
	}
	r.want(l.id, saml.Ready, "used")
}

func TestReadingOurMetadataIsWeakEvidence(t *testing.T) {
	r := rolling(t)
	r.service(library, nil)
	other := "https://other.example.org/sp"
	r.service(other, nil)
	b := r.browser()
	b.Get("/saml/metadata?for=" + library)
	r.want(library, saml.NotSeen, "") // just then not every node may have published the key
	r.Clock.Add(time.Hour)
	b.Get("/saml/metadata?for=" + library)
	b.Get("/saml/metadata?for=https://nobody.example.org")
	r.want(library, saml.Seen, "fetched")
	r.want(other, saml.NotSeen, "")
	from, _, _ := strings.Cut(b.Address, ":")
	r.around.Lookup = func(_ context.Context, host string) ([]string, error) {
		if host == "other.example.org" {
			return []string{"192.0.2.99", from}, nil
		}
		return nil, io.EOF
	}
	r.want(other, saml.Seen, "fetched")
	r.Clock.Add(61 * 24 * time.Hour)
	r.Write(r.front.Sweep)
	r.want(library, saml.NotSeen, "")
}

func TestAFederationThatPublishesTheKeyLongEnoughIsEvidence(t *testing.T) {
	r := rolling(t)
	sp, signer := pairs()
	var text []byte
	feeds := feed.New(feed.Config{
		DB: r.DB, Rules: r.book.Rules, Attribute: saml.AttributeNamed, Self: func() string { return idp },
		Open: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil },
	})
	r.book.Also(feeds)
	r.Parties.Also(feeds)
	r.Write(func(tx *store.Tx) error {
		return feeds.Put(tx, feed.Feed{ID: "gakunin", Kind: feed.Aggregate, Sources: []feed.Source{{Generation: 1, URL: "file:/feed.xml", Certificates: []string{signer.text()}}}})
	})
	r.around.Published = func(tx *store.Tx, id, certificate string) (saml.Published, bool, error) {
		v, ok, err := feeds.Published(tx, id, certificate)
		return saml.Published{Since: v.Since, Settled: v.Settled}, ok, err
	}
	publish := func(certificates ...string) {
		t.Helper()
		now := r.Clock.Now()
		var err error
		text, err = aggregate.Write(aggregate.Document{ID: "_feed", Name: "urn:test", Created: now, ValidUntil: now.Add(10 * 24 * time.Hour), Key: xmlsig.Key{Signer: signer.key}}, 2, func(i int) aggregate.Provider {
			if i == 0 {
				return aggregate.Provider{ID: idp, Identity: true, Names: map[string]string{"en": "We"}, Consumer: sso, Certificates: certificates}
			}
			return aggregate.Provider{ID: member, Names: map[string]string{"en": "Journals"}, Consumer: consumer(member), Certificates: []string{sp.text(), sp.text()}}
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := feeds.Refresh(t.Context(), "gakunin", feed.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	var all []string
	for _, k := range r.metadata().First(metadata.MD, "IDPSSODescriptor").All(metadata.MD, "KeyDescriptor") {
		all = append(all, k.Path(xmlsig.Space, "KeyInfo", "X509Data", "X509Certificate").Text())
	}
	publish(all[0])
	b := r.browser()
	signIn(b.Get(r.redirect(&asking{issuer: member})), "hanako")
	b.Submit("Send and go on")
	r.want(member, saml.NotSeen, "") // in use, so it is in the list
	r.Clock.Add(24 * time.Hour)
	publish(all...)
	r.want(member, saml.Seen, "published")
	r.Clock.Add(8 * 24 * time.Hour)
	publish(all...)
	r.want(member, saml.Seen, "published")
	r.Clock.Add(24*time.Hour + time.Minute) // the last document without the key is over
	r.want(member, saml.Ready, "published")
	publish(all[0])
	r.want(member, saml.NotSeen, "")
	sum := sha256.Sum256(r.key().Certificate.Raw)
	_ = r.DB.Read(t.Context(), func(tx *store.Tx) error {
		if _, ok, err := feeds.Published(tx, "gakunin", hex.EncodeToString(sum[:])); ok || err != nil {
			t.Errorf("a key that was taken out is still published: %v", err)
		}
		return nil
	})
}

func TestAKeyIsNotActivatedOverServicesThatAreNotReady(t *testing.T) {
	r := rolling(t)
	r.service(library, nil)
	other := "https://other.example.org/sp"
	r.service(other, nil)
	rsa := saml.Kind{Kind: saml.RSA}
	note := func(id string, back bool) error {
		return (&saml.NoteCommand{Service: id, Kind: rsa, Why: "Mr Sato, by telephone", Back: back}).Run(r)
	}
	if err := note(library, false); err != nil {
		t.Fatal(err)
	}
	r.want(library, saml.Ready, "noted")
	err := (&saml.ActivateCommand{Kind: rsa}).Run(r)
	if err == nil || !strings.Contains(err.Error(), "1 of 2 services") || !strings.Contains(r.out.String(), other) || r.key().State != saml.KeyNext {
		t.Fatalf("%v, the key is %s\n%s", err, r.key().State, r.out.String())
	}
	if strings.Contains(r.out.String(), library) && strings.Contains(strings.SplitN(r.out.String(), "SERVICE", 2)[1], library) {
		t.Errorf("a service that is ready is warned about:\n%s", r.out.String())
	}
	if err := note(other, false); err != nil {
		t.Fatal(err)
	}
	if err := note(library, true); err != nil {
		t.Fatal(err)
	}
	r.want(library, saml.NotSeen, "")
	if err := (&saml.ActivateCommand{Kind: rsa, Anyway: true}).Run(r); err != nil || r.key().State != saml.KeyActive {
		t.Fatalf("%v, the key is %s", err, r.key().State)
	}
	if err := (&saml.NoteCommand{Service: library, Kind: rsa}).Run(r); err == nil {
		t.Error("noted without a reason")
	}
	if err := (&saml.NoteCommand{Service: "nobody", Kind: rsa, Why: "a guess"}).Run(r); err == nil {
		t.Error("noted for a service that is none")
	}
	if want := "saml.key.noted " + library; r.noted[0] != want {
		t.Errorf("on record: %q", r.noted)
	}
	r.out.Reset()
	if err := (&saml.ServicesCommand{Kind: rsa}).Run(r); err != nil || !strings.Contains(r.out.String(), "services: 2; ready: 1, seen: 0, not seen: 1") {
		t.Errorf("%v\n%s", err, r.out.String())
	}
}

func TestOneServiceTriesTheKeyAheadOfTheOthers(t *testing.T) {
	r := rolling(t)
	r.service(library, nil)
	other := "https://other.example.org/sp"
	r.service(other, nil)
	keys := r.keys()
	by := func(id string) int {
		raw := r.rolling(id)
		for i := range keys {
			n, err := xmldoc.Parse([]byte(raw), xmldoc.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := xmlsig.Verify(n, keys[i:i+1], xmldoc.Limits{}); err == nil {
				return i
			}
		}
		return -1
	}
	try := func(back bool) {
		t.Helper()
		if err := (&saml.TryCommand{Service: library, Kind: saml.Kind{Kind: saml.RSA}, Back: back}).Run(r); err != nil {
			t.Fatal(err)
		}
		if err := r.front.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	try(false)
	if by(library) != 1 || by(other) != 0 || !r.uptake(library).Trial {
		t.Errorf("on trial: %d and %d", by(library), by(other))
	}
	if _, err := xmlsig.Verify(r.described(), keys[:1], xmldoc.Limits{}); err != nil {
		t.Errorf("our metadata is signed by the key on trial: %v", err)
	}
	try(true)
	if by(library) != 0 {
		t.Error("the trial goes on")
	}
	if err := r.front.Activate(t.Context(), saml.RSA); err != nil {
		t.Fatal(err)
	}
	if err := (&saml.TryCommand{Service: library, Kind: saml.Kind{Kind: saml.RSA}}).Run(r); err == nil {
		t.Error("a trial without a waiting key")
	}
}

func TestANameEncryptedForTheKeyProvesThatItIsKnown(t *testing.T) {
	r := rolling(t)
	l := r.leaver("asker.example.org")
	b := r.browser()
	b.Serve(l.origin(), l)
	former := r.reader()
	leave := func(to *x509.Certificate) {
		t.Helper()
		name, _ := l.visit(b, "hanako")
		text, _, _ := l.request(name, "")
		text = hidden(text, sealed(t, to, xmlenc.AES256GCM, plainName(name.Text(), name.Attr("Format"))))
		b.Get(l.signed("SAMLRequest", text, ""))
		if status(l.answers[len(l.answers)-1]) != "Success" {
			t.Fatal(status(l.answers[len(l.answers)-1]))
		}
	}
	if err := r.front.Activate(t.Context(), saml.RSA); err != nil {
		t.Fatal(err)
	}
	leave(former)
	r.want(l.id, saml.NotSeen, "")
	leave(r.reader())
	r.want(l.id, saml.Ready, "used")
}
