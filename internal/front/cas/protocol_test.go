package cas_test

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/rp"
	"seimon/internal/store"
)

func TestValidation(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	at := home("wiki") + "page?id=7&x=%E5%B1%B1"
	plain := g.validate("serviceValidate", "service", at, "ticket", g.ticket(b, at))
	if plain.User != "hanako" || len(plain.Values.All) != 0 {
		t.Errorf("serviceValidate: %s", plain.raw)
	}
	g.Clock.Add(time.Minute)
	full := g.validate("p3/serviceValidate", "service", at, "ticket", g.ticket(b, at))
	if full.User != "hanako" || full.of("mail")[0] != "hanako@example.ac.jp" || full.of("displayName_ja")[0] != "山田 太郎" ||
		full.of("acr")[0] != "aal1" || full.of("amr")[0] != "pwd" || full.of("isFromNewLogin")[0] != "false" || full.of("longTermAuthenticationRequestTokenUsed")[0] != "false" {
		t.Errorf("p3/serviceValidate: %s", full.raw)
	}
	for path, wrong := range map[string][]string{
		"INVALID_REQUEST":                    {"service", at},
		"INVALID_REQUEST ":                   {"ticket", "ST-1"},
		"INVALID_TICKET":                     {"service", at, "ticket", "ST-1"},
		"INVALID_TICKET of no form":          {"service", at, "ticket", strings.Repeat("x", 5000)},
		"INVALID_TICKET that never was":      {"service", at, "ticket", "ST-" + strings.Repeat("A", 52)},
		"INVALID_REQUEST with two tickets":   {"service", at, "ticket", "ST-1", "ticket", "ST-2"},
		"INVALID_REQUEST with two addresses": {"service", at, "service", at, "ticket", "ST-1"},
	} {
		code, _, _ := strings.Cut(path, " ")
		g.fails(code, "p3/serviceValidate", wrong...)
	}
}

func TestPostedTicket(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := signIn(g.browser().Get(enter(home("wiki"), "method", "POST")), "hanako")
	if b.Left() || !strings.Contains(b.Body, `action="`+home("wiki")+`"`) {
		t.Fatalf("%s: %s", b.Location(), b.Text())
	}
	if r := g.validate("serviceValidate", "service", home("wiki"), "ticket", b.Field("ticket")); r.User != "hanako" {
		t.Error(r.raw)
	}
	if csp := b.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://wiki.example.org") {
		t.Errorf("the form may not be sent: %s", csp)
	}
}

// renew asks for the password again; a ticket from a live session does not do then.
func TestRenew(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	first := g.ticket(b, home("wiki"))
	if r := g.validate("p3/serviceValidate", "service", home("wiki"), "ticket", first, "renew", "true"); r.User != "hanako" || r.of("isFromNewLogin")[0] != "true" {
		t.Errorf("a fresh sign-in with renew: %s", r.raw)
	}
	g.Clock.Add(time.Minute)
	g.fails("INVALID_TICKET", "serviceValidate", "service", home("wiki"), "ticket", g.ticket(b, home("wiki")), "renew", "true")
	if b.Get(enter(home("wiki"), "renew", "true", "gateway", "true")); b.Left() {
		t.Fatal("renew was answered from the live session")
	}
	signIn(b, "hanako")
	if r := g.validate("serviceValidate", "service", home("wiki"), "ticket", b.URL.Query().Get("ticket"), "renew", "true"); r.User != "hanako" {
		t.Error(r.raw)
	}
}

// A gateway request never shows a page and never loops: no ticket means nobody.
// TestRenewIsNotMetByAnEarlierSignIn: the page of a sign-in that is over begins the same
// question again, in a browser that somebody left open; nobody has signed in for that.
func TestRenewIsNotMetByAnEarlierSignIn(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	b.Get(enter(home("wiki")))
	page := b.URL.Path
	ticketOf := func() string { return b.URL.Query().Get("ticket") }
	signIn(b, "hanako")
	if r := g.validate("serviceValidate", "service", home("wiki"), "ticket", ticketOf(), "renew", "true"); r.User != "hanako" {
		t.Fatalf("a sign-in for this ticket: %s", r.raw)
	}
	g.Clock.Add(time.Hour)
	b.Get(page + "/again")
	if ticketOf() == "" {
		t.Fatalf("no ticket: %d at %s", b.Status, b.Location())
	}
	g.fails("INVALID_TICKET", "serviceValidate", "service", home("wiki"), "ticket", ticketOf(), "renew", "true")
}

func TestGateway(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	if b.Get(enter(home("wiki"), "gateway", "true")); b.Location() != home("wiki") {
		t.Errorf("nobody is signed in: %s", b.Location())
	}
	g.ticket(b, home("wiki"))
	if b.Get(enter(home("wiki"), "gateway", "true")); b.URL.Query().Get("ticket") == "" {
		t.Errorf("somebody is signed in: %s", b.Location())
	}
	g.Write(func(tx *store.Tx) error {
		return g.People.SetState(tx, g.hanak.ID, directory.Suspended, "left", "test")
	})
	if b.Get(enter(home("wiki"), "gateway", "true")); b.Location() != home("wiki") {
		t.Errorf("a suspended person: %s", b.Location())
	}
}

// Whoever goes back does not land in a loop between service and gate.
func TestGoingBack(t *testing.T) {
	g := open(t)
	g.service("wiki", nil, func(p *rp.Party) { p.HomeURL = "https://wiki.example.org/" })
	b := g.browser()
	b.Get(enter(home("wiki")))
	b.Post(b.URL.Path, url.Values{"pass": {b.Field("pass")}, "act": {"cancel"}})
	if b.Left() || b.Status != http.StatusForbidden || !strings.Contains(b.Text(), "ended before it was complete") || !strings.Contains(b.Body, "/cas/login?service=") {
		t.Errorf("%s (%d): %s", b.Location(), b.Status, b.Text())
	}
}

func TestWithoutService(t *testing.T) {
	g := open(t)
	if b := g.browser(); b.Get("/cas/login").Status != http.StatusNotFound && !strings.Contains(b.Location(), "/portal") {
		t.Errorf("%s", b.Location())
	}
}

// Consent holds here as everywhere: what was not agreed to does not leave the house.
func TestConsent(t *testing.T) {
	g := open(t)
	g.service("wiki", members{"user": "subject"}, func(p *rp.Party) {
		p.Consent = rp.ConsentAsk
		p.Release = []rp.Release{{Attribute: "mail"}, {Attribute: "eduPersonAffiliation", Required: true}}
	})
	b := signIn(g.browser().Get(enter(home("wiki"))), "hanako")
	if b.Left() || !strings.Contains(b.Body, `name="attribute"`) {
		t.Fatalf("nobody asked: %s", b.Location())
	}
	b.Post(b.URL.Path, url.Values{"pass": {b.Field("pass")}, "shown": {b.Field("shown")}})
	r := g.validate("p3/serviceValidate", "service", home("wiki"), "ticket", b.URL.Query().Get("ticket"))
	if len(r.of("mail")) != 0 || len(r.of("eduPersonAffiliation")) != 1 {
		t.Errorf("without the tick for mail: %s", r.raw)
	}
}

func TestSAML11(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	ask := func(target, artifact string) string {
		body := `<?xml version="1.0"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Header/><SOAP-ENV:Body>` +
			`<samlp:Request xmlns:samlp="urn:oasis:names:tc:SAML:1.0:protocol" MajorVersion="1" MinorVersion="1" RequestID="_192.168.16.51.1024506224022" IssueInstant="2002-06-19T17:03:44.022Z">` +
			`<samlp:AssertionArtifact>` + artifact + `</samlp:AssertionArtifact></samlp:Request></SOAP-ENV:Body></SOAP-ENV:Envelope>`
		return g.call(http.MethodPost, "/cas/samlValidate?"+url.Values{"TARGET": {target}}.Encode(), body).Body.String()
	}
	good := ask(home("wiki"), g.ticket(b, home("wiki")))
	var r struct {
		Response struct {
			InResponseTo string `xml:"InResponseTo,attr"`
			Status       struct {
				Code struct {
					Value string `xml:"Value,attr"`
				} `xml:"StatusCode"`
			} `xml:"Status"`
			Name     string   `xml:"Assertion>AuthenticationStatement>Subject>NameIdentifier"`
			Audience string   `xml:"Assertion>Conditions>AudienceRestrictionCondition>Audience"`
			Values   []string `xml:"Assertion>AttributeStatement>Attribute>AttributeValue"`
		} `xml:"Body>Response"`
	}
	if err := xml.Unmarshal([]byte(good), &r); err != nil {
		t.Fatalf("%v: %s", err, good)
	}
	if r.Response.Name != "hanako" || r.Response.Audience != home("wiki") || r.Response.InResponseTo != "_192.168.16.51.1024506224022" ||
		r.Response.Status.Code.Value != "saml1p:Success" || !strings.Contains(strings.Join(r.Response.Values, " "), "hanako@example.ac.jp") {
		t.Errorf("%+v\n%s", r, good)
	}
	for what, answer := range map[string]string{
		"another address":  ask(home("wiki")+"other", g.ticket(b, home("wiki"))),
		"no ticket":        ask(home("wiki"), "ST-nothing"),
		"entity":           g.call(http.MethodPost, "/cas/samlValidate?TARGET=x", `<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>`).Body.String(),
		"empty":            g.call(http.MethodPost, "/cas/samlValidate?TARGET=x", "").Body.String(),
		"outside the body": g.call(http.MethodPost, "/cas/samlValidate?TARGET=x", `<AssertionArtifact>ST-1</AssertionArtifact>`).Body.String(),
		"too long":         g.call(http.MethodPost, "/cas/samlValidate?TARGET=x", "<a>"+strings.Repeat("x", 20000)+"</a>").Body.String(),
	} {
		if !strings.Contains(answer, `Value="saml1p:Requester"`) || strings.Contains(answer, "hanako") {
			t.Errorf("%s: %s", what, answer)
		}
	}
}

// What people are called reaches the service unharmed, and harms nothing.
func TestNamesThatLookLikeMarkup(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	g.Write(func(tx *store.Tx) error {
		a, p, err := g.People.ByID(tx, g.hanak.ID)
		if err != nil {
			return err
		}
		p.Name = directory.Names{Family: `<b>&"'`, Given: "]]>", FamilyLatin: "<x/>", GivenLatin: "&amp;"}
		return g.People.Update(tx, a, p)
	})
	r := g.validate("p3/serviceValidate", "service", home("wiki"), "ticket", g.ticket(g.browser(), home("wiki")))
	if names := r.of("displayName_ja"); len(names) != 1 || !strings.Contains(names[0], `<b>&"'`) || !strings.Contains(names[0], "]]>") {
		t.Errorf("%q\n%s", names, r.raw)
	}
}

// proxying is a house in which the portal may enter the archive for people.
func proxying(t *testing.T) (*gate, string) {
	g := open(t)
	callback := "https://front.example.org/pgt"
	g.service("front", members{"proxy_callbacks": []string{callback}})
	g.service("archive", members{"proxied_by": []string{"front"}})
	g.service("closed", nil)
	return g, callback
}

// grant validates a ticket with a callback and gives the proxy-granting ticket that arrived there.
func (g *gate) grant(ticket, service, callback string) string {
	g.T.Helper()
	r := g.validate("serviceValidate", "service", service, "ticket", ticket, "pgtUrl", callback)
	if r.User != "hanako" || !strings.HasPrefix(r.Receipt, "PGTIOU-") {
		g.T.Fatalf("no receipt: %s", r.raw)
	}
	q := g.wire.seen[len(g.wire.seen)-1].URL.Query()
	if q.Get("pgtIou") != r.Receipt || strings.Contains(r.raw, q.Get("pgtId")) {
		g.T.Fatalf("the callback got %v", q)
	}
	return q.Get("pgtId")
}

func TestProxying(t *testing.T) {
	g, callback := proxying(t)
	b := g.browser()
	pgt := g.grant(g.ticket(b, home("front")), home("front"), callback)
	for range 2 { // it serves many times
		pt := g.validate("proxy", "pgt", pgt, "targetService", home("archive")).Proxy
		if !strings.HasPrefix(pt, "PT-") {
			t.Fatalf("no proxy ticket: %q", pt)
		}
		g.fails("INVALID_TICKET_SPEC", "serviceValidate", "service", home("archive"), "ticket", pt)
		pt = g.validate("proxy", "pgt", pgt, "targetService", home("archive")).Proxy
		r := g.validate("p3/proxyValidate", "service", home("archive"), "ticket", pt)
		if r.User != "hanako" || len(r.Proxies) != 1 || r.Proxies[0] != callback || r.of("isFromNewLogin")[0] != "false" {
			t.Errorf("%s", r.raw)
		}
		g.fails("INVALID_TICKET", "proxyValidate", "service", home("archive"), "ticket", pt)
	}
	for what, c := range map[string]struct{ pgt, target, code string }{
		"a service that did not allow it": {pgt, home("closed"), "UNAUTHORIZED_SERVICE"},
		"an unknown service":              {pgt, "https://evil.example.org/", "UNAUTHORIZED_SERVICE"},
		"a ticket of another kind":        {g.ticket(b, home("front")), home("archive"), "INVALID_TICKET"},
		"a receipt":                       {"PGTIOU-" + strings.Repeat("A", 52), home("archive"), "INVALID_TICKET"},
		"nothing":                         {"", "", "INVALID_REQUEST"},
	} {
		if r := g.validate("proxy", "pgt", c.pgt, "targetService", c.target); r.ProxyFail.Code != c.code || r.Proxy != "" {
			t.Errorf("%s: %s", what, r.raw)
		}
	}
	if r := g.validate("serviceValidate", "service", home("front"), "ticket", pgt); r.Failure.Code != "INVALID_TICKET" {
		t.Errorf("a proxy-granting ticket was taken for a ticket: %s", r.raw)
	}
}

// The rules hold for whoever comes in a person's name: a stricter service needs what
// it would need from a browser, and the end of the session ends it all.
func TestProxyingPassesTheGate(t *testing.T) {
	g, callback := proxying(t)
	g.Apply(policyText + "\n[[rule]]\nname = \"strict\"\nservice = \"archive\"\nclasses = 2\n")
	b := g.browser()
	pgt := g.grant(g.ticket(b, home("front")), home("front"), callback)
	if r := g.validate("proxy", "pgt", pgt, "targetService", home("archive")); r.ProxyFail.Code != "UNAUTHORIZED_SERVICE_PROXY" {
		t.Errorf("a password alone got into a service that wants two classes: %s", r.raw)
	}
	g.Apply(policyText)
	pt := g.validate("proxy", "pgt", pgt, "targetService", home("archive")).Proxy
	g.Write(func(tx *store.Tx) error { return g.Sessions.EndAll(tx, g.hanak.ID, "test", "") })
	g.fails("INVALID_TICKET", "proxyValidate", "service", home("archive"), "ticket", pt)
	if r := g.validate("proxy", "pgt", pgt, "targetService", home("archive")); r.ProxyFail.Code != "INVALID_TICKET" {
		t.Errorf("the session is over: %s", r.raw)
	}
}

// Of a chain of services each takes the next one's people, and the last is told of all
// of them, the nearest first; each hears of the end of the session.
func TestProxyChain(t *testing.T) {
	g, callback := proxying(t)
	second := "https://archive.example.org/pgt"
	g.service("archive", members{"proxied_by": []string{"front"}, "proxy_callbacks": []string{second}})
	g.service("deep", members{"proxied_by": []string{"archive"}})
	g.service("quiet", members{"proxied_by": []string{"archive"}, "logout": "none"})
	pgt := g.grant(g.ticket(g.browser(), home("front")), home("front"), callback)
	if r := g.validate("proxy", "pgt", pgt, "targetService", home("deep")); r.ProxyFail.Code != "UNAUTHORIZED_SERVICE" {
		t.Errorf("the first of the chain got past the second: %s", r.raw)
	}
	pt := g.validate("proxy", "pgt", pgt, "targetService", home("archive")).Proxy
	r := g.validate("proxyValidate", "service", home("archive"), "ticket", pt, "pgtUrl", second)
	if r.User != "hanako" || r.Receipt == "" || !slices.Equal(r.Proxies, []string{callback}) {
		t.Fatalf("a proxy ticket with a callback: %s", r.raw)
	}
	pgt = g.wire.seen[len(g.wire.seen)-1].URL.Query().Get("pgtId")
	for _, id := range []string{"deep", "quiet"} {
		pt = g.validate("proxy", "pgt", pgt, "targetService", home(id)).Proxy
		r = g.validate("proxyValidate", "service", home(id), "ticket", pt)
		if r.User != "hanako" || !slices.Equal(r.Proxies, []string{second, callback}) {
			t.Errorf("the whole chain: %s", r.raw)
		}
	}
	before := len(g.wire.seen)
	g.Write(func(tx *store.Tx) error { return g.Sessions.EndAll(tx, g.hanak.ID, "test", "") })
	g.work()
	var told []string
	for _, r := range g.wire.seen[before:] {
		told = append(told, r.URL.String())
	}
	slices.Sort(told)
	if !slices.Equal(told, []string{home("archive"), home("deep"), home("front")}) {
		t.Errorf("told of the end: %v", told)
	}
}

// ask asks a machine's endpoint and gives the answer's text and its kind.
func (g *gate) ask(path string, pairs ...string) (kind, text string) {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	rec := g.call(http.MethodGet, "/cas/"+path+"?"+v.Encode(), "")
	return rec.Header().Get("Content-Type"), rec.Body.String()
}

// CAS 1.0 answers in two lines.
func TestValidateOne(t *testing.T) {
	g, callback := proxying(t)
	b := g.browser()
	ticket := g.ticket(b, home("front"))
	kind, text := g.ask("validate", "service", home("front"), "ticket", ticket)
	if text != "yes\nhanako\n" || !strings.HasPrefix(kind, "text/plain") {
		t.Errorf("%q %q", kind, text)
	}
	pgt := g.grant(g.ticket(b, home("front")), home("front"), callback)
	pt := g.validate("proxy", "pgt", pgt, "targetService", home("archive")).Proxy
	g.Clock.Add(time.Minute)
	calls := len(g.wire.seen)
	for what, pairs := range map[string][]string{
		"again":           {"service", home("front"), "ticket", ticket},
		"nothing":         nil,
		"no ticket":       {"service", home("front")},
		"another address": {"service", home("front") + "x", "ticket", g.ticket(b, home("front"))},
		"renew":           {"service", home("front"), "ticket", g.ticket(b, home("front")), "renew", "true"},
		"a proxy ticket":  {"service", home("archive"), "ticket", pt},
	} {
		if _, text := g.ask("validate", pairs...); text != "no\n\n" {
			t.Errorf("%s: %q", what, text)
		}
	}
	if _, text := g.ask("validate", "service", home("front"), "ticket", g.ticket(b, home("front")), "pgtUrl", callback); text != "yes\nhanako\n" || len(g.wire.seen) != calls {
		t.Errorf("a callback, which CAS 1.0 does not know: %q", text)
	}
}

// The same in JSON, where it is asked for.
func TestJSON(t *testing.T) {
	g, callback := proxying(t)
	b := g.browser()
	type attributes map[string][]any
	read := func(path string, pairs ...string) (a struct {
		Response struct {
			Good *struct {
				User       string     `json:"user"`
				Receipt    string     `json:"proxyGrantingTicket"`
				Proxies    []string   `json:"proxies"`
				Attributes attributes `json:"attributes"`
			} `json:"authenticationSuccess"`
			Bad   *struct{ Code, Description string } `json:"authenticationFailure"`
			Proxy *struct{ ProxyTicket string }       `json:"proxySuccess"`
			No    *struct{ Code, Description string } `json:"proxyFailure"`
		} `json:"serviceResponse"`
	}) {
		t.Helper()
		kind, text := g.ask(path, append(pairs, "format", "JSON")...)
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&a); err != nil || !strings.HasPrefix(kind, "application/json") {
			t.Fatalf("%s: %v\n%s", kind, err, text)
		}
		return a
	}
	plain := read("serviceValidate", "service", home("front"), "ticket", g.ticket(b, home("front")))
	if s := plain.Response.Good; s == nil || s.User != "hanako" || s.Attributes != nil {
		t.Errorf("serviceValidate: %+v", s)
	}
	full := read("p3/serviceValidate", "service", home("front"), "ticket", g.ticket(b, home("front")), "pgtUrl", callback)
	s := full.Response.Good
	if s == nil || s.Receipt == "" || s.Attributes["mail"][0] != "hanako@example.ac.jp" || s.Attributes["displayName_ja"][0] != "山田 太郎" || s.Attributes["longTermAuthenticationRequestTokenUsed"][0] != false {
		t.Fatalf("p3/serviceValidate: %+v", s)
	}
	pgt := g.wire.seen[len(g.wire.seen)-1].URL.Query().Get("pgtId")
	made := read("proxy", "pgt", pgt, "targetService", home("archive"))
	if made.Response.Proxy == nil {
		t.Fatalf("proxy: %+v", made)
	}
	last := read("p3/proxyValidate", "service", home("archive"), "ticket", made.Response.Proxy.ProxyTicket)
	if s := last.Response.Good; s == nil || s.User != "hanako" || !slices.Equal(s.Proxies, []string{callback}) {
		t.Errorf("p3/proxyValidate: %+v", s)
	}
	if no := read("serviceValidate", "service", home("front"), "ticket", "ST-1").Response.Bad; no == nil || no.Code != "INVALID_TICKET" || no.Description == "" {
		t.Errorf("a failure: %+v", no)
	}
	if no := read("proxy", "pgt", "PGT-1", "targetService", home("archive")).Response.No; no == nil || no.Code != "INVALID_TICKET" {
		t.Errorf("a failure of proxying: %+v", no)
	}
	if kind, text := g.ask("proxy", "pgt", pgt, "targetService", home("archive"), "format", "YAML"); !strings.HasPrefix(kind, "application/xml") || !strings.Contains(text, "INVALID_REQUEST") {
		t.Errorf("an unknown format: %s %s", kind, text)
	}
}

// With warn nobody enters a service unseen.
func TestWarn(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	at := home("wiki") + "page?x=%E5%B1%B1&y=1"
	if b.Get(enter(at, "warn", "true")); b.Left() || !strings.Contains(b.Body, `name="username"`) {
		t.Fatalf("nobody is signed in: %s", b.Text())
	}
	if signIn(b, "hanako"); !b.Left() || b.URL.Query().Get("ticket") == "" {
		t.Fatalf("whoever has just signed in is asked again: %s", b.Text())
	}
	for _, method := range []string{"GET", "POST"} {
		b.Get(enter(at, "warn", "true", "method", method))
		b.Want("Go on to wiki?", "hanako")
		if b.Left() {
			t.Fatalf("%s: the browser left for %s", method, b.Location())
		}
		b.Click("Go on")
		ticket := b.Field("ticket")
		if method == "GET" {
			ticket = b.URL.Query().Get("ticket")
		}
		if r := g.validate("serviceValidate", "service", at, "ticket", ticket); r.User != "hanako" || b.Left() == (method == "POST") {
			t.Errorf("%s: %s %s", method, b.Location(), r.raw)
		}
	}
	if b.Get(enter(at, "warn", "false")); !b.Left() {
		t.Error("warn=false is not heeded")
	}
	if b.Get(enter(at, "warn", "true", "renew", "true")); b.Left() || !strings.Contains(b.Body, `name="password"`) {
		t.Errorf("renew is asked first: %s", b.Text())
	}
	if b.Post("/cas/login", url.Values{"service": {at}, "warn": {"true"}}); b.Left() {
		t.Error("a posted warn is not heeded")
	}
	b.Want("Go on to wiki?")
}

// Somebody without a value for the name does not enter as nobody.
func TestWithoutAName(t *testing.T) {
	g := open(t)
	g.service("wiki", members{"user": "employeeNumber"}, func(p *rp.Party) { p.Release = []rp.Release{{Attribute: "employeeNumber", Required: true}} })
	b := signIn(g.browser().Get(enter(home("wiki"))), "hanako")
	if b.Left() || b.Status != http.StatusForbidden || !regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}`).MatchString(b.Text()) {
		t.Errorf("%s (%d): %s", b.Location(), b.Status, b.Text())
	}
	if got := g.events("request.refused"); len(got) != 1 {
		t.Errorf("on record: %v", got)
	}
}

func TestSignOutByAService(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	ticket := g.ticket(b, home("wiki"))
	g.validate("serviceValidate", "service", home("wiki"), "ticket", ticket)
	unused := g.ticket(b, home("wiki")+"unused")
	b.Get("/cas/logout?" + url.Values{"service": {home("wiki")}}.Encode())
	if b.Left() {
		t.Fatal("a link signed somebody out")
	}
	b.Submit("Sign out")
	if b.Location() != home("wiki") {
		t.Fatalf("%s: %s", b.Location(), b.Text())
	}
	g.work()
	if len(g.wire.bodies) != 1 || g.wire.seen[0].URL.String() != home("wiki") {
		t.Fatalf("told: %v", g.wire.bodies)
	}
	var m struct {
		XMLName xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:protocol LogoutRequest"`
		Name    string   `xml:"urn:oasis:names:tc:SAML:2.0:assertion NameID"`
		Index   string   `xml:"SessionIndex"`
	}
	if err := xml.Unmarshal([]byte(g.wire.bodies[0].Get("logoutRequest")), &m); err != nil || m.Index != ticket || m.Name != "hanako" {
		t.Errorf("%+v %v", m, err)
	}
	g.fails("INVALID_TICKET", "serviceValidate", "service", home("wiki")+"unused", "ticket", unused)
	if got := g.events("cas.logout"); len(got) != 1 || got[0] != "cas.logout.sent" {
		t.Errorf("on record: %v", got)
	}
}

// A service that is down is told later; one that answers oddly has been told.
func TestSignOutIsTriedAgain(t *testing.T) {
	for status, times := range map[int]int{http.StatusServiceUnavailable: 2, http.StatusFound: 1, http.StatusNotFound: 1} {
		g := open(t)
		g.service("wiki", nil)
		g.validate("serviceValidate", "service", home("wiki"), "ticket", g.ticket(g.browser(), home("wiki")))
		g.wire.status = status
		g.Write(func(tx *store.Tx) error { return g.Sessions.EndAll(tx, g.hanak.ID, "test", "") })
		g.work()
		g.wire.status = http.StatusOK
		g.Clock.Add(time.Hour)
		g.work()
		if len(g.wire.seen) != times {
			t.Errorf("status %d: told %d times", status, len(g.wire.seen))
		}
	}
}

func TestLanguage(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	b.Get(enter(home("wiki"), "locale", "ja"))
	if !strings.Contains(b.Body, `lang="ja"`) {
		t.Error("locale is not heeded")
	}
	for _, tag := range []lang.Tag{lang.JA, lang.EN} {
		b := g.browser()
		b.Accept = string(tag)
		if b.Get(enter("https://unknown.example.org/")); b.Left() || b.Status != http.StatusBadRequest || !strings.Contains(b.Body, `lang="`+string(tag)+`"`) {
			t.Errorf("%s: %d %s", tag, b.Status, b.Text())
		}
	}
}

// What we cannot carry out is said in the words of the protocol, whatever the service
// asked in, with a status for those who know no more of it (2.5.3, 2.7.3).
func TestOurOwnFaults(t *testing.T) {
	g, callback := proxying(t)
	b := g.browser()
	pgt := g.grant(g.ticket(b, home("front")), home("front"), callback)
	ticket := g.ticket(b, home("front"))
	g.Write(func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE cas_ticket SET sealed = $1", []byte("broken"))
		return err
	})
	asked := url.Values{"service": {home("front")}, "ticket": {ticket}}.Encode()
	soap := `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><p:Request xmlns:p="urn:oasis:names:tc:SAML:1.0:protocol" RequestID="r"><p:AssertionArtifact>` + ticket + `</p:AssertionArtifact></p:Request></S:Body></S:Envelope>`
	for _, c := range []struct{ method, target, body, want string }{
		{http.MethodGet, "/cas/serviceValidate?" + asked, "", `<cas:authenticationFailure code="INTERNAL_ERROR">`},
		{http.MethodGet, "/cas/p3/proxyValidate?" + asked, "", `<cas:authenticationFailure code="INTERNAL_ERROR">`},
		{http.MethodGet, "/cas/p3/serviceValidate?format=JSON&" + asked, "", `{"authenticationFailure":{"code":"INTERNAL_ERROR"`},
		{http.MethodGet, "/cas/validate?" + asked, "", "no\n\n"},
		{http.MethodPost, "/cas/samlValidate?" + url.Values{"TARGET": {home("front")}}.Encode(), soap, `Value="saml1p:Responder"`},
		{http.MethodGet, "/cas/proxy?" + url.Values{"pgt": {pgt}, "targetService": {home("archive")}}.Encode(), "", `<cas:proxyFailure code="INTERNAL_ERROR">`},
	} {
		rec := g.call(c.method, c.target, c.body)
		if rec.Code != http.StatusInternalServerError || !strings.Contains(rec.Body.String(), c.want) || strings.Contains(rec.Body.String(), "hanako") {
			t.Errorf("%s: %d %s", c.target, rec.Code, rec.Body)
		}
	}
}

// "url" of CAS 2 is no way back, though its address be registered (2.3.1).
func TestLogoutKnowsNoURL(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	g.ticket(b, home("wiki"))
	b.Get("/cas/logout?" + url.Values{"url": {home("wiki")}}.Encode()).Submit("Sign out")
	if b.Left() || b.Status != http.StatusOK {
		t.Errorf("%d %s", b.Status, b.Location())
	}
	b.Want("signed out")
}
