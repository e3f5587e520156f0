package cas_test

import (
	"encoding/xml"
	"net/http"
	"net/url"
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
	b.Post(b.URL.Path, url.Values{"pass": {b.Field("pass")}})
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
		"nothing":                         {"", "", "INVALID_TICKET"},
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
