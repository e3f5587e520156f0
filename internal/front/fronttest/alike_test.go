package fronttest_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/front/cas"
	"seimon/internal/front/oidc"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
	"seimon/internal/web/webtest"
)

// rules are what the services of each kind ask for; %s is the protocol.
const rules = `
[[rule]]
name = "open %[1]s"
service = "open.%[1]s"
classes = 1

[[rule]]
name = "away %[1]s"
service = "away.%[1]s"
classes = 1

[[rule]]
name = "away %[1]s off campus"
service = "away.%[1]s"
zones = ["off-campus"]
classes = 2

[[rule]]
name = "fresh %[1]s"
service = "fresh.%[1]s"
classes = 2
fresh = "5m"

[[rule]]
name = "vault %[1]s"
service = "vault.%[1]s"
phishing_resistant = true

[service."staff.%[1]s"]
groups = ["staff"]
`

var (
	kinds     = []string{"open", "away", "fresh", "vault", "staff"}
	protocols = []string{"test", "oidc", "saml", "cas"}
)

// town is a house with every front, and for each protocol a service of each kind.
type town struct {
	*logintest.House
	plain *logintest.Front
	book  *rp.Book
	sent  *url.URL // the last thing that was sent to a service
}

// RoundTrip takes what is sent to services.
func (g *town) RoundTrip(r *http.Request) (*http.Response, error) {
	g.sent = r.URL
	rec := httptest.NewRecorder()
	rec.WriteHeader(http.StatusOK)
	return rec.Result(), nil
}

func found(t *testing.T) *town {
	t.Helper()
	g := &town{House: logintest.New(t, []store.Schema{oidc.Schema(), saml.Schema(), feed.Schema(), cas.Schema()}, []lang.Source{oidc.Words(), saml.Words(), cas.Words()})}
	g.plain = g.Enter()
	g.book = rp.New(g.DB, g.Ring.MAC, oidc.Check(), saml.Check(), cas.Check(), rp.Check{
		Protocol: "test", Verify: func(*rp.Party, *rp.Party) (map[string]string, error) { return nil, nil },
	})
	client := &http.Client{Transport: g}
	s := saml.New(saml.Rooms{
		DB: g.DB, Hall: g.Hall, Parties: g.book, People: g.People, Sessions: g.Sessions, Ring: g.Ring, Audit: g.Audit,
		Settings: saml.Settings{Scopes: []string{"example.ac.jp"}, Names: map[lang.Tag]string{lang.EN: "Seimon University"}},
	})
	err := errors.Join(
		g.Hall.Open(s,
			oidc.New(oidc.Rooms{DB: g.DB, Hall: g.Hall, Exit: g.Exit, Parties: g.book, People: g.People, Sessions: g.Sessions, Ring: g.Ring, Audit: g.Audit, Words: g.Words, Client: client}),
			cas.New(cas.Rooms{DB: g.DB, Hall: g.Hall, Exit: g.Exit, Parties: g.book, Sessions: g.Sessions, Ring: g.Ring, Audit: g.Audit, Client: client})),
		g.Site.Templates(oidc.Templates()), g.Site.Templates(saml.Templates()), g.Site.Templates(cas.Templates()), g.Site.Check())
	if err != nil {
		t.Fatal(err)
	}
	storetest.Keep(t, g.DB, s.EntityID(), "saml_key", func() error { return s.Found(t.Context()) })
	text := logintest.Policy[:strings.Index(logintest.Policy, "[[rule]]")] + "[group.staff]\nja = \"職員\"\nen = \"Staff\"\n\n[[rule]]\nname = \"everything\"\nclasses = 1\n"
	for _, protocol := range protocols {
		text += fmt.Sprintf(rules, protocol)
		for _, kind := range kinds {
			g.service(kind, protocol)
		}
	}
	g.Apply(text + "\n[enrolment]\nclasses = 2\n")
	return g
}

// at is where a service lives.
func at(kind, protocol string) string { return "https://" + kind + "." + protocol + ".example.ac.jp/" }

func (g *town) service(kind, protocol string) {
	g.T.Helper()
	id, home := kind+"."+protocol, at(kind, protocol)
	var reg any
	switch protocol {
	case "oidc":
		reg = map[string]any{"redirect_uris": []string{home}, "client_secret": "an-imported-secret-of-at-least-32-characters"}
	case "saml":
		reg = saml.Registration{Format: metadata.Persistent, Service: metadata.Service{Consumers: []metadata.Endpoint{{Location: home, Default: true}}}}
	case "cas":
		reg = map[string]any{
			"addresses": []string{home}, "user": "subject", "proxy_callbacks": []string{home + "pgt"}, "proxied_by": []string{"open.cas"},
		}
	}
	text, err := json.Marshal(reg)
	if err != nil {
		g.T.Fatal(err)
	}
	g.Write(func(tx *store.Tx) error {
		return g.book.Put(tx, rp.Party{ID: id, Protocol: protocol, Names: map[lang.Tag]string{lang.EN: id}, Consent: rp.ConsentNone, Registration: text})
	})
}

// request is an AuthnRequest.
func (g *town) request(kind string, passive bool) []byte {
	return fmt.Appendf(nil, `<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_%s" IsPassive="%t" IssueInstant="%s" Version="2.0"><saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">%s.saml</saml:Issuer></samlp:AuthnRequest>`,
		authn.NewID("r"), passive, g.Clock.Now().UTC().Format(time.RFC3339), kind)
}

func deflate(text []byte) string {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestSpeed)
	_, _ = w.Write(text)
	_ = w.Close()
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

// door is one way in. silent ones show no page; the others lead on at once or to a page.
type door struct {
	name, protocol string
	silent         bool
	open           func(b *webtest.Browser, kind string)
}

func (g *town) doors() []door {
	get := func(path string) func(v url.Values) func(b *webtest.Browser, kind string) {
		return func(v url.Values) func(b *webtest.Browser, kind string) {
			return func(b *webtest.Browser, kind string) { b.Get(path + "?" + v.Encode()) }
		}
	}
	authorize := func(kind string, more ...string) url.Values {
		v := url.Values{
			"client_id": {kind + ".oidc"}, "redirect_uri": {at(kind, "oidc")}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
		}
		for i := 0; i+1 < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	login := func(kind string, more ...string) url.Values {
		v := url.Values{"service": {at(kind, "cas")}}
		for i := 0; i+1 < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	var all []door
	for _, silent := range []bool{true, false} {
		prompt, gateway := "", "false"
		if silent {
			prompt, gateway = "none", "true"
		}
		oidcMore, casMore := []string{"prompt", prompt}, []string{"gateway", gateway}
		if !silent {
			oidcMore = nil
		}
		all = append(all,
			door{"authorize by GET", "oidc", silent, func(b *webtest.Browser, kind string) { get("/oidc/authorize")(authorize(kind, oidcMore...))(b, kind) }},
			door{"authorize by POST", "oidc", silent, func(b *webtest.Browser, kind string) {
				b.ForeignPost(strings.TrimSuffix(at(kind, "oidc"), "/"), "/oidc/authorize", authorize(kind, oidcMore...))
			}},
			door{"authorize with form_post", "oidc", silent, func(b *webtest.Browser, kind string) {
				get("/oidc/authorize")(authorize(kind, append(oidcMore, "response_mode", "form_post")...))(b, kind)
			}},
			door{"AuthnRequest by Redirect", "saml", silent, func(b *webtest.Browser, kind string) {
				get("/saml/sso")(url.Values{"SAMLRequest": {deflate(g.request(kind, silent))}})(b, kind)
			}},
			door{"AuthnRequest by POST", "saml", silent, func(b *webtest.Browser, kind string) {
				b.ForeignPost(strings.TrimSuffix(at(kind, "saml"), "/"), "/saml/sso", url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(g.request(kind, silent))}})
			}},
			door{"login by GET", "cas", silent, func(b *webtest.Browser, kind string) { get("/cas/login")(login(kind, casMore...))(b, kind) }},
			door{"login by POST", "cas", silent, func(b *webtest.Browser, kind string) {
				b.ForeignPost(strings.TrimSuffix(at(kind, "cas"), "/"), "/cas/login", login(kind, casMore...))
			}},
			door{"login with method=POST", "cas", silent, func(b *webtest.Browser, kind string) {
				get("/cas/login")(login(kind, append(casMore, "method", "POST")...))(b, kind)
			}},
		)
	}
	return append(all,
		door{"IdP-initiated start", "saml", false, func(b *webtest.Browser, kind string) {
			get("/saml/start")(url.Values{"providerId": {kind + ".saml"}})(b, kind)
		}},
		door{"login after a warning", "cas", false, func(b *webtest.Browser, kind string) {
			if get("/cas/login")(login(kind, "warn", "true"))(b, kind); strings.Contains(b.Body, "Go on to") {
				b.Click("Go on")
			}
		}},
	)
}

// sends tells whether a page sends itself on to the service.
func sends(b *webtest.Browser, d door, kind string) bool {
	return !b.Left() && strings.Contains(b.Body, `action="`+at(kind, d.protocol))
}

// admitted tells whether what came of a door is a sign-in, and the CAS ticket if it is one.
func admitted(b *webtest.Browser, d door, kind string) (in bool, ticket string) {
	field, value := "", ""
	for _, name := range []string{"code", "ticket", "SAMLResponse"} {
		if sends(b, d, kind) && strings.Contains(b.Body, `name="`+name+`"`) {
			field, value = name, b.Field(name)
		}
	}
	if b.Left() && strings.HasPrefix(b.Location(), at(kind, d.protocol)) {
		q := b.URL.Query()
		for _, name := range []string{"code", "ticket"} {
			if q.Get(name) != "" {
				field, value = name, q.Get(name)
			}
		}
	}
	if field == "SAMLResponse" {
		raw, _ := base64.StdEncoding.DecodeString(value)
		return bytes.Contains(raw, []byte(":Assertion")) && bytes.Contains(raw, []byte("status:Success")), ""
	}
	if field == "ticket" {
		return true, value
	}
	return field != "", ""
}

// ask asks an endpoint of machines.
func (g *town) ask(path string, pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	rec := httptest.NewRecorder()
	g.Site.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path+"?"+v.Encode(), nil))
	return rec.Body.String()
}

// walk answers what the pages ask as far as the person can.
func (g *town) walk(b *webtest.Browser, who directory.Account, app bool) {
	for range 5 {
		asks := func(name string) bool {
			return !b.Left() && strings.Contains(b.Body, `name="`+name+`"`) && strings.Contains(b.Body, "Continue")
		}
		switch {
		case asks("password"):
			b.Submit("Continue", "password", logintest.Password)
		case asks("code"):
			if !app {
				return
			}
			g.Clock.Add(31 * time.Second) // a code serves once
			b.Submit("Continue", "code", g.Code(who.ID, 0))
		case asks("username"):
			b.Submit("Continue", "username", who.UserName)
		default:
			return
		}
	}
}

// Whatever a session is worth, from whatever place, in whatever group: every door of
// every protocol lets in exactly those whom the hall itself lets in, and CAS tells of
// them what the hall found. Signing in through any of them counts for all.
func TestEveryDoorIsTheSameGate(t *testing.T) {
	g := found(t)
	hanako, taro := g.Person("hanako"), g.Person("taro")
	g.App(hanako.ID)
	g.Write(func(tx *store.Tx) error { return g.People.SetGroups(tx, hanako.ID, []string{"staff"}) })
	doors := g.doors()
	loud := slices.DeleteFunc(slices.Clone(doors), func(d door) bool { return d.silent })
	dice := rand.New(rand.NewPCG(4, 15))
	b := webtest.New(t, logintest.Origin, g.Site.Handler())
	b.Accept = "en"
	seen, through := map[string]int{}, map[string]int{}
	for range 45 {
		b.Address = []string{logintest.Campus, logintest.Home, "192.0.2.7"}[dice.IntN(3)] + ":40000"
		switch dice.IntN(7) {
		default:
			who := []directory.Account{hanako, hanako, taro}[dice.IntN(3)]
			d := loud[dice.IntN(len(loud))]
			d.open(b, []string{"open", "away", "fresh", "fresh"}[dice.IntN(4)])
			g.walk(b, who, who.ID == hanako.ID)
			through[d.protocol+" "+d.name]++
		case 0:
			g.Clock.Add(time.Duration(dice.IntN(12)) * time.Minute)
		case 1:
			for _, who := range []directory.Account{hanako, taro} {
				g.Write(func(tx *store.Tx) error { return g.Sessions.EndAll(tx, who.ID, "test", "") })
			}
		}
		for _, kind := range kinds {
			g.compare(b, kind, doors, seen)
		}
	}
	if len(seen) < 9 || len(through) < 8 { // nothing that they have opens the vault
		t.Errorf("the walk was too narrow to tell anything: %v, signed in through %v", seen, through)
	}
}

// compare opens every door of the services of one kind.
func (g *town) compare(b *webtest.Browser, kind string, doors []door, seen map[string]int) {
	g.T.Helper()
	b.Get("/enter/" + kind + ".test?passive")
	o := g.plain.Last()
	want := o.Fault == nil
	seen[fmt.Sprintf("%s %t", kind, want)]++
	for _, d := range doors {
		d.open(b, kind)
		in, ticket := admitted(b, d, kind)
		if in != want {
			g.T.Errorf("%s of %s from %s: let in: %t; the hall says %t (%v)\n%s", d.name, kind, b.Address, in, want, o.Fault, b.Text())
		}
		if d.silent && !b.Left() && !sends(b, d, kind) {
			g.T.Errorf("%s of %s showed a page: %s", d.name, kind, b.Text())
		}
		if ticket == "" {
			continue
		}
		if text := g.ask("/cas/p3/serviceValidate", "service", at(kind, "cas"), "ticket", ticket); !strings.Contains(text, "<cas:acr>"+o.Assurance.Level.String()+"</cas:acr>") {
			g.T.Errorf("the hall found %s: %s", o.Assurance.Level, text)
		}
	}
	g.compareProxy(b, kind, want)
}

// compareProxy enters in the name of the person, by a proxy ticket. The session was last
// used from here, because the open service lets it in from anywhere.
func (g *town) compareProxy(b *webtest.Browser, kind string, want bool) {
	g.T.Helper()
	b.Get("/cas/login?" + url.Values{"service": {at("open", "cas")}, "gateway": {"true"}}.Encode())
	ticket := b.URL.Query().Get("ticket")
	if ticket == "" {
		return
	}
	g.ask("/cas/serviceValidate", "service", at("open", "cas"), "ticket", ticket, "pgtUrl", at("open", "cas")+"pgt")
	text := g.ask("/cas/proxy", "pgt", g.sent.Query().Get("pgtId"), "targetService", at(kind, "cas"))
	if in := strings.Contains(text, "<cas:proxyTicket>"); in != want {
		g.T.Errorf("a proxy ticket for %s from %s: %t; the hall says %t: %s", kind, b.Address, in, want, text)
	}
}
