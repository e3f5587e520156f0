package saml_test

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"time"

	"seimon/internal/directory"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

// member is a service that nobody registered here: only its federation knows it.
const member = "https://member.example.org/sp"

// federation lets the gate follow a federation whose document the caller may change.
type federation struct {
	*gate
	feeds  *feed.Keeper
	signer *pair
	sp     *pair
	text   []byte

	categories []string // of every member
}

func federate(t *testing.T) *federation {
	g := open(t)
	sp, signer := pairs()
	f := &federation{gate: g, sp: sp, signer: signer}
	f.feeds = feed.New(feed.Config{
		DB: g.DB, Rules: g.book.Rules, Attribute: saml.AttributeNamed,
		Open: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.text)), nil },
	})
	g.book.Also(f.feeds)
	g.Parties.Also(f.feeds)
	g.Write(func(tx *store.Tx) error {
		return f.feeds.Put(tx, feed.Feed{ID: "gakunin", Kind: feed.Aggregate, Sources: []feed.Source{{Generation: 1, URL: "file:/feed.xml", Certificates: []string{signer.text()}}}})
	})
	return f
}

func (f *federation) publish(ids ...string) {
	f.T.Helper()
	now := f.Clock.Now()
	var err error
	f.text, err = aggregate.Write(aggregate.Document{
		ID: "_feed", Name: "urn:test", Created: now, ValidUntil: now.Add(14 * 24 * time.Hour), Key: xmlsig.Key{Signer: f.signer.key},
	}, len(ids), func(i int) aggregate.Provider {
		return aggregate.Provider{
			ID: ids[i], Names: map[string]string{"en": "Journals of the Federation", "ja": "連合の電子ジャーナル"}, Consumer: consumer(ids[i]),
			Certificates: []string{f.sp.text(), f.sp.text()}, Formats: []string{metadata.Persistent}, Contact: "help@member.example.org",
			Categories: f.categories,
			Requested:  []aggregate.Attribute{{Name: "urn:oid:0.9.2342.19200300.100.1.3", Friendly: "mail", Required: true}, {Name: "urn:oid:2.16.840.1.113730.3.1.241", Friendly: "displayName"}},
		}
	})
	if err != nil {
		f.T.Fatal(err)
	}
	if _, err := f.feeds.Refresh(f.T.Context(), "gakunin", feed.Options{}); err != nil {
		f.T.Fatal(err)
	}
}

func TestAServiceOfAFederationSignsPeopleInWithoutBeingRegistered(t *testing.T) {
	f := federate(t)
	ask := func() string { return f.redirect(&asking{issuer: member}) }
	b := f.browser()
	b.Get(ask()).WantStatus(400)
	f.publish(member)
	signIn(b.Get(ask()), "hanako")
	b.Want("Journals of the Federation", "Needed", "Mail address", "Name")
	if arrived(b, member) {
		t.Fatal("nobody was asked")
	}
	b.Submit("Send and go on")
	got := f.response(b, f.sp.key.(*rsa.PrivateKey))
	if !arrived(b, member) || !got.encrypted || len(attributes(got.assertion)["mail"]) != 1 {
		t.Errorf("%v", attributes(got.assertion))
	}
	if got := text(got.assertion, metadata.SAML, "Audience"); got != member {
		t.Error(got)
	}
	if b.Get(ask()); !arrived(b, member) {
		t.Error("what was agreed is asked again")
	}
	f.Write(func(tx *store.Tx) error {
		_, p, err := f.People.ByID(tx, f.hanak.ID)
		if err == nil {
			err = f.People.SetMail(tx, p.ID, directory.UseMail, "other@example.ac.jp")
		}
		return err
	})
	if b.Get(ask()).Want("other@example.ac.jp"); arrived(b, member) {
		t.Error("another value leaves unasked")
	}
}

// A service that promises to recognise nobody gets no name by which it could, though its
// metadata lists that form and its request asks for it.
func TestAnonymousAccessGetsNoPersistentName(t *testing.T) {
	const refeds = "https://refeds.org/category/"
	for what, c := range map[string]struct {
		categories []string
		persistent bool
	}{
		"anonymous":                  {[]string{refeds + "anonymous"}, false},
		"anonymous and pseudonymous": {[]string{refeds + "anonymous", refeds + "pseudonymous"}, true},
		"none":                       {nil, true},
	} {
		f := federate(t)
		f.categories = c.categories
		f.publish(member)
		enter := func(inside string) *webtest.Browser {
			b := signIn(f.browser().Get(f.redirect(&asking{issuer: member, inside: inside})), "hanako")
			if !arrived(b, member) {
				b.Submit("Send and go on")
			}
			return b
		}
		format := func(b *webtest.Browser) string {
			got := f.response(b, f.sp.key.(*rsa.PrivateKey))
			if got.assertion == nil {
				return strings.Join(got.status, " ")
			}
			return got.assertion.First(metadata.SAML, "Subject").First(metadata.SAML, "NameID").Attr("Format")
		}
		want := metadata.Transient
		if c.persistent {
			want = metadata.Persistent
		}
		if got := format(enter("")); got != want {
			t.Errorf("%s, by its metadata: %s", what, got)
		}
		if got := format(enter(`<samlp:NameIDPolicy Format="` + metadata.Transient + `"/>`)); got != metadata.Transient {
			t.Errorf("%s, transient: %s", what, got)
		}
		wish := `<samlp:NameIDPolicy Format="` + metadata.Persistent + `" AllowCreate="true"/>`
		if c.persistent {
			if got := format(enter(wish)); got != want {
				t.Errorf("%s, asked for: %s", what, got)
			}
			continue
		}
		if got := format(f.browser().Get(f.redirect(&asking{issuer: member, inside: wish}))); got != "Requester InvalidNameIDPolicy" {
			t.Errorf("%s, asked for: %s", what, got)
		}
	}
}

func TestAServiceThatItsFederationTookBackIsRefused(t *testing.T) {
	f := federate(t)
	f.publish(member)
	ask := func() string { return f.redirect(&asking{issuer: member}) }
	b := f.browser()
	if signIn(b.Get(ask()), "hanako"); !strings.Contains(b.Body, "Journals") {
		t.Error("it is refused while it is published")
	}
	between := f.browser()
	between.Get(ask())
	f.Clock.Add(10 * time.Minute)
	f.publish("https://another.example.org/sp")
	signIn(between, "hanako").Submit("Send and go on").WantStatus(400)
	b.Get(ask()).WantStatus(400)
	b = f.browser()
	b.Get(ask()).WantStatus(400).Want("not set up correctly", "Support code")
	all := f.events("request.refused")
	if len(all) == 0 || all[len(all)-1].Facts["code"] != "R3.metadata" || all[len(all)-1].Facts["field"] != "validUntil" {
		t.Errorf("%+v", all)
	}
	b.Get(f.redirect(&asking{issuer: "https://another.example.org/sp"})).WantStatus(200)
	f.Clock.Add(15 * 24 * time.Hour) // the whole feed has ended
	b.Get(f.redirect(&asking{issuer: "https://another.example.org/sp"})).WantStatus(400)
}

func TestAFederationCannotChangeWhatTheUniversityRegistered(t *testing.T) {
	f := federate(t)
	f.service(member, nil)
	f.publish(member)
	b := f.browser()
	signIn(b.Get(f.redirect(&asking{issuer: member})), "hanako")
	if !arrived(b, member) || f.response(b).encrypted {
		t.Error("the feed's keys are used, or its rules")
	}
}

func TestStoredNamesAreFoundAgain(t *testing.T) {
	f := federate(t)
	f.publish(member)
	f.Write(func(tx *store.Tx) error {
		if err := saml.StorePersistent(tx, member, f.hanak.ID, "former", false); err != nil {
			return err
		}
		got, ok, err := saml.StoredHolder(tx, member, "former")
		if got != f.hanak.ID || !ok {
			t.Error(got, ok)
		}
		if _, ok, _ := saml.StoredHolder(tx, member, base64.StdEncoding.EncodeToString([]byte("x"))); ok {
			t.Error("somebody has a name that nobody has")
		}
		return err
	})
}
