package cas_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/audit"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web"
	"seimon/internal/web/webtest"
)

// One ticket, two nodes, many tries at the same time: one of them wins.
func TestTicketReplay(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	second := g.secondNode()
	for range 5 {
		ticket := g.ticket(b, home("wiki"))
		target := "/cas/serviceValidate?" + url.Values{"service": {home("wiki")}, "ticket": {ticket}}.Encode()
		var all sync.WaitGroup
		var mu sync.Mutex
		good := 0
		for i := range 8 {
			all.Go(func() {
				var body string
				if i%2 == 0 {
					body = g.call(http.MethodGet, target, "").Body.String()
				} else {
					body = second(target)
				}
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(body, "authenticationSuccess") {
					good++
				}
			})
		}
		all.Wait()
		if good != 1 {
			t.Errorf("a ticket served %d times", good)
		}
	}
	if len(g.events("cas.ticket.reused")) == 0 {
		t.Error("replays are not on record")
	}
}

// secondNode is the same front behind a site of its own.
func (g *gate) secondNode() func(target string) string {
	g.T.Helper()
	site, err := web.New(web.Config{Origin: "https://sso.example.ac.jp", Words: g.Words, Brand: web.Brand{}})
	if err != nil {
		g.T.Fatal(err)
	}
	g.node().Mount(site)
	handler := site.Handler()
	return func(target string) string {
		b := webtest.New(g.T, "https://sso.example.ac.jp", handler)
		return b.Get(target).Body
	}
}

// A ticket for one address is worth nothing at another, and is spent by the attempt.
func TestServiceMismatch(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	g.service("evil", nil)
	for _, other := range []string{home("evil"), home("wiki") + "x", strings.ToUpper(home("wiki")), home("wiki") + "?", home("wiki") + "%20"} {
		ticket := g.ticket(g.browser(), home("wiki"))
		g.fails("INVALID_SERVICE", "serviceValidate", "service", other, "ticket", ticket)
		g.fails("INVALID_TICKET", "serviceValidate", "service", home("wiki"), "ticket", ticket)
	}
}

// TestAnAddressThatWasTakenBackGetsNoTicket: the registration may change while a person
// signs in.
func TestAnAddressThatWasTakenBackGetsNoTicket(t *testing.T) {
	g := open(t)
	g.service("front", nil)
	b, back := g.browser(), g.browser()
	for _, b := range []*webtest.Browser{b, back} {
		b.Get(enter(home("front")))
	}
	g.service("front", members{"addresses": []members{{"url": "https://moved.example.org/", "match": "prefix"}}})
	for what, b := range map[string]*webtest.Browser{"signed in": signIn(b, "hanako"), "went back": back.Submit("Cancel")} {
		if b.Left() || b.Status != http.StatusBadRequest || strings.Contains(b.Body, "ST-") {
			t.Errorf("%s: %d at %s", what, b.Status, b.Location())
		}
	}
}

// TestAProxyThatWasClosedActsForNobody: what was granted before does not outlive the
// registration, nor the callback that it went to.
func TestAProxyThatWasClosedActsForNobody(t *testing.T) {
	for what, change := range map[string]func(g *gate, callback string){
		"closed": func(g *gate, callback string) {
			g.service("front", members{"proxy_callbacks": []string{callback}}, func(p *rp.Party) { p.Disabled = true })
		},
		"removed": func(g *gate, _ string) {
			g.Write(func(tx *store.Tx) error { return g.book.Remove(tx, "front") })
		},
		"no proxy any more": func(g *gate, _ string) { g.service("front", nil) },
	} {
		g, callback := proxying(t)
		pgt := g.grant(g.ticket(g.browser(), home("front")), home("front"), callback)
		change(g, callback)
		if r := g.validate("proxy", "pgt", pgt, "targetService", home("archive")); r.Proxy != "" || r.ProxyFail.Code != "INVALID_TICKET" {
			t.Errorf("%s: %s", what, r.raw)
		}
	}
}

func TestTicketsAreShortLived(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	ticket := g.ticket(b, home("wiki"))
	g.Clock.Add(61 * time.Second)
	g.fails("INVALID_TICKET", "serviceValidate", "service", home("wiki"), "ticket", ticket)
	g.service("wiki", members{"ticket_seconds": 5})
	ticket = g.ticket(b, home("wiki"))
	g.Clock.Add(5 * time.Second)
	g.fails("INVALID_TICKET", "serviceValidate", "service", home("wiki"), "ticket", ticket)
	g.service("wiki", members{"ticket_seconds": 300})
	ticket = g.ticket(b, home("wiki"))
	g.Clock.Add(299 * time.Second)
	if r := g.validate("serviceValidate", "service", home("wiki"), "ticket", ticket); r.User != "hanako" {
		t.Errorf("within the registered life: %s", r.raw)
	}
	ticket = g.ticket(b, home("wiki"))
	g.Write(func(tx *store.Tx) error { return g.put(tx, "wiki", nil, func(p *rp.Party) { p.Disabled = true }) })
	g.fails("INVALID_SERVICE", "serviceValidate", "service", home("wiki"), "ticket", ticket)
	g.Clock.Add(72 * time.Hour)
	g.Write(g.front.Sweep)
	err := g.DB.Read(t.Context(), func(tx *store.Tx) error {
		var n int
		err := tx.QueryRow("SELECT COUNT(*) FROM cas_ticket").Scan(&n)
		if n != 0 {
			t.Errorf("%d tickets are kept", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Nobody reads a ticket, or about a person, out of the database.
func TestNothingInClear(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	ticket := g.ticket(g.browser(), home("wiki"))
	if !regexp.MustCompile(`^ST-[A-Za-z0-9-]{32,250}$`).MatchString(ticket) { // CAS Protocol 3.0, 3.1.1, 3.7
		t.Errorf("services may not take %q for a ticket", ticket)
	}
	err := g.DB.Read(t.Context(), func(tx *store.Tx) error {
		var hash, sealed []byte
		err := tx.QueryRow("SELECT hash, sealed FROM cas_ticket").Scan(&hash, &sealed)
		if row := string(hash) + string(sealed); strings.Contains(row, ticket) || strings.Contains(row, ticket[3:]) || strings.Contains(row, "hanako") {
			t.Errorf("in clear: %q", row)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Addresses that somebody could read as below a registered prefix, or as a registered
// host, lead nowhere: neither from login nor after sign-out.
func TestAddressTricks(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	g.service("exact", members{"addresses": []string{"https://exact.example.org/cas"}})
	b := g.browser()
	g.ticket(b, home("wiki"))
	for _, address := range tricks() {
		b.Address = g.Stranger()
		if b.Get(enter(address)); b.Left() || b.Status != http.StatusBadRequest {
			t.Errorf("%q: %d %s", address, b.Status, b.Location())
		}
		// The wish to leave is heard, the way back is not.
		b.Get("/cas/logout?" + url.Values{"service": {address}}.Encode())
		if b.Left() || b.Status != http.StatusOK || !strings.Contains(b.Body, `action="/signout"`) || strings.Contains(b.Header.Get("Content-Security-Policy"), "evil") {
			t.Errorf("logout to %q: %d %s", address, b.Status, b.Location())
		}
	}
	for _, address := range []string{home("wiki"), home("wiki") + "a/b;c=d?e=f&g", home("wiki") + "%E6%AD%A3%E9%96%80?tickets=1&my-ticket=2", "https://exact.example.org/cas"} {
		if b.Get(enter(address)); !b.Left() || !strings.HasPrefix(b.Location(), address) {
			t.Errorf("%q is not taken: %d %s", address, b.Status, b.Location())
		}
	}
	if b.Get("/cas/logout?" + url.Values{"service": {"https://evil.example.org/app/"}}.Encode()).Submit("Sign out"); b.Left() || b.Status != http.StatusOK {
		t.Errorf("after sign-out the browser is at %s", b.Location())
	}
	if len(g.events("request.refused")) < len(tricks()) {
		t.Error("refused requests are not on record")
	}
}

func tricks() []string {
	return []string{
		"https://evil.example.org/app/",
		"https://wiki.example.org.evil.org/app/",
		"https://wiki.example.org@evil.org/app/",
		"https://evil.org@wiki.example.org/app/",
		"https://wiki.example.org:443@evil.org/app/",
		"https://wiki.example.org:8443/app/",
		"https://wiki.example.org:443/app/",
		"https://wiki.example.org:/app/",
		"https://wiki.example.org./app/",
		"https://WIKI.example.org/app/",
		"https://wiki。example.org/app/",
		"https://wiki.example.org%2eevil.org/app/",
		"http://wiki.example.org/app/",
		"HTTPS://wiki.example.org/app/",
		"javascript://wiki.example.org/app/%0aalert(1)",
		"//wiki.example.org/app/",
		"https:wiki.example.org/app/",
		"https:/wiki.example.org/app/",
		"https:///wiki.example.org/app/",
		"https:\\\\wiki.example.org\\app\\",
		"https://evil.org\\@wiki.example.org/app/",
		"https://wiki.example.org/app",
		"https://wiki.example.org/application/",
		"https://wiki.example.org/app/../admin",
		"https://wiki.example.org/app/./x",
		"https://wiki.example.org/app/x/..",
		"https://wiki.example.org/app/..;/admin",
		"https://wiki.example.org/app/..;x=y/admin",
		"https://wiki.example.org/app/%2e%2e/admin",
		"https://wiki.example.org/app/%2E./admin",
		"https://wiki.example.org/app/..%2fadmin",
		"https://wiki.example.org/app/..%5cadmin",
		"https://wiki.example.org/app/..\\admin",
		"https://wiki.example.org/app/%252e%252e/admin",
		"https://wiki.example.org/app//evil.org/",
		"https://wiki.example.org//app/",
		"https://wiki.example.org/%61pp/",
		"https://wiki.example.org/app%2f",
		"https://wiki.example.org/app/%00",
		"https://wiki.example.org/app/\r\nSet-Cookie: a=b",
		"https://wiki.example.org/app/\tx",
		"https://wiki.example.org/app/ x",
		" https://wiki.example.org/app/",
		"https://wiki.example.org/app/#fragment",
		"https://wiki.example.org/app/#@evil.org/",
		"https://wiki.example.org?/app/",
		"https://wiki.example.org/app/?ticket=ST-1",
		"https://wiki.example.org/app/?Ticket=ST-1",
		"https://wiki.example.org/app/?%74icket=ST-1",
		"https://wiki.example.org/app/?+ticket=ST-1",
		"https://wiki.example.org/app/?a=1;ticket=ST-1",
		"https://wiki.example.org/app/?a=%zz&ticket=ST-1",
		"https://wiki.example.org/app/?SAMLart=x",
		"https://wiki.example.org/app/..%3b/admin",
		"https://wiki.example.org/app/..%3Bx=y/admin",
		"https://wiki.example.org/app/%c0%ae%c0%ae/admin",
		"https://wiki.example.org/app/%c0%afadmin",
		"https://wiki.example.org/app/%e0%80%ae./admin",
		"https://wiki.example.org/app/%0d%0aSet-Cookie:a=b",
		"https://wiki.example.org/app/%09/admin",
		"https://wiki.example.org/app/%7f",
		"https://wiki.example.org/app/<script>",
		"https://wiki.example.org/app/\x7f",
		"https://wiki.example.org/app/\xff",
		"https://[::1]/app/",
		"https://exact.example.org/cas/",
		"https://exact.example.org/cas?x=1",
		"https://exact.example.org/cas;x=1",
		"https://exact.example.org/cas2",
		"https://wiki.example.org/app/" + strings.Repeat("x", 3000),
	}
}

// pgtUrl makes the gate call an address: only one that the very service registered.
func TestCallbackAbuse(t *testing.T) {
	g, callback := proxying(t)
	b := g.browser()
	for _, address := range []string{
		"https://169.254.169.254/latest/meta-data/", "http://127.0.0.1:9090/metrics", "https://localhost/", "file:///etc/passwd",
		callback + "/", callback + "?a=b", callback + "#", "https://front.example.org@evil.org/pgt", home("archive"), "gopher://x/",
	} {
		g.fails("INVALID_PROXY_CALLBACK", "serviceValidate", "service", home("front"), "ticket", g.ticket(b, home("front")), "pgtUrl", address)
	}
	// The callback of one service is none of another's.
	g.fails("UNAUTHORIZED_SERVICE_PROXY", "serviceValidate", "service", home("archive"), "ticket", g.ticket(b, home("archive")), "pgtUrl", callback)
	g.service("other", members{"proxy_callbacks": []string{"https://other.example.org/pgt"}})
	g.fails("INVALID_PROXY_CALLBACK", "serviceValidate", "service", home("other"), "ticket", g.ticket(b, home("other")), "pgtUrl", callback)
	if len(g.wire.seen) != 0 {
		t.Errorf("the gate was made to call %v", g.wire.seen[0].URL)
	}
	// A callback that leads elsewhere is not followed, and gets nothing.
	g.wire.status = http.StatusFound
	g.fails("INVALID_PROXY_CALLBACK", "serviceValidate", "service", home("front"), "ticket", g.ticket(b, home("front")), "pgtUrl", callback)
	if len(g.wire.seen) != 1 {
		t.Errorf("a redirect was followed: %d calls", len(g.wire.seen))
	}
	// Without a ticket nobody is called at all.
	g.fails("INVALID_TICKET", "serviceValidate", "service", home("front"), "ticket", "ST-"+strings.Repeat("A", 52), "pgtUrl", callback)
	if len(g.wire.seen) != 1 {
		t.Error("called without a good ticket")
	}
}

// A registration that would open the door too far is refused.
func TestRegistrations(t *testing.T) {
	g := open(t)
	for what, bad := range map[string]members{
		"no address":                      {"addresses": []members{}},
		"http":                            {"addresses": []members{{"url": "http://a.example.org/"}}},
		"no path":                         {"addresses": []members{{"url": "https://a.example.org"}}},
		"a prefix without slash":          {"addresses": []members{{"url": "https://a.example.org/app", "match": "prefix"}}},
		"a prefix with a query":           {"addresses": []members{{"url": "https://a.example.org/app/?a=/", "match": "prefix"}}},
		"a pattern":                       {"addresses": []members{{"url": "https://*.example.org/", "match": "prefix"}}},
		"another kind of match":           {"addresses": []members{{"url": "https://a.example.org/", "match": "regex"}}},
		"dot segments":                    {"addresses": []members{{"url": "https://a.example.org/a/../"}}},
		"a callback by http":              {"proxy_callbacks": []string{"http://a.example.org/pgt"}},
		"a callback in the house":         {"proxy_callbacks": []string{"https://localhost:x/"}},
		"a name not released":             {"user": "employeeNumber"},
		"a ticket that lives too long":    {"ticket_seconds": 301},
		"a ticket that lives too short":   {"ticket_seconds": 4},
		"an odd logout":                   {"logout": "front"},
		"an unknown member":               {"evaluation_order": 1},
		"an unknown member of an address": {"addresses": []members{{"url": "https://a.example.org/", "regex": true}}},
	} {
		err := g.DB.Write(t.Context(), func(tx *store.Tx) error { return g.put(tx, "bad", bad) })
		if err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}

// An exact address wins over a prefix of another service, a longer prefix over a shorter one.
func TestTheNearestServiceWins(t *testing.T) {
	g := open(t)
	g.service("all", members{"addresses": []members{{"url": "https://shared.example.org/", "match": "prefix"}}})
	g.service("part", members{"addresses": []members{{"url": "https://shared.example.org/part/", "match": "prefix"}}})
	g.service("one", members{"addresses": []members{{"url": "https://shared.example.org/part/one"}}})
	g.Apply(policyText + "\n[[rule]]\nname = \"strict\"\nservice = \"one\"\nphishing_resistant = true\n")
	b := g.browser()
	g.ticket(b, "https://shared.example.org/x")
	g.ticket(b, "https://shared.example.org/part/x")
	if b.Get(enter("https://shared.example.org/part/one")); b.Left() {
		t.Error("the strict service was entered as the one around it")
	}
}

// A request that is wrong in itself spends its ticket too (CAS Protocol 3.0, 3.1.1).
func TestAWrongRequestSpendsItsTicket(t *testing.T) {
	g := open(t)
	g.service("wiki", nil)
	b := g.browser()
	for what, pairs := range map[string][]string{
		"no service":   nil,
		"two services": {"service", home("wiki"), "service", home("wiki")},
		"a format":     {"service", home("wiki"), "format", "YAML"},
		"two formats":  {"service", home("wiki"), "format", "XML", "format", "JSON"},
	} {
		ticket := g.ticket(b, home("wiki"))
		r := g.validate("serviceValidate", append(pairs, "ticket", ticket)...)
		again := g.validate("serviceValidate", "service", home("wiki"), "ticket", ticket)
		if r.Failure.Code != "INVALID_REQUEST" || again.Failure.Code != "INVALID_TICKET" {
			t.Errorf("%s: %s\n%s", what, r.raw, again.raw)
		}
	}
	ticket := g.ticket(b, home("wiki"))
	body := `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><p:Request xmlns:p="urn:oasis:names:tc:SAML:1.0:protocol"><p:AssertionArtifact>` + ticket + `</p:AssertionArtifact></p:Request></e:Body></e:Envelope>`
	if text := g.call(http.MethodPost, "/cas/samlValidate", body).Body.String(); !strings.Contains(text, "saml1p:Requester") {
		t.Errorf("without TARGET: %s", text)
	}
	g.fails("INVALID_TICKET", "serviceValidate", "service", home("wiki"), "ticket", ticket)
}

// Neither the access log nor the audit log holds a ticket, and no page that has one
// tells it to another host.
func TestTicketsStayOutOfLogs(t *testing.T) {
	var log bytes.Buffer
	g := open(t)
	g.listen(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	callback := "https://front.example.org/pgt"
	g.service("front", members{"proxy_callbacks": []string{callback}})
	g.service("archive", members{"proxied_by": []string{"front"}})
	b := g.browser()
	secrets := []string{g.ticket(b, home("front")), g.ticket(b, home("archive"))}
	secrets = append(secrets, g.grant(secrets[0], home("front"), callback))
	secrets = append(secrets, g.validate("proxy", "pgt", secrets[2], "targetService", home("archive")).Proxy)
	g.fails("INVALID_SERVICE", "serviceValidate", "service", home("front")+"?t="+secrets[3], "ticket", secrets[1])
	g.fails("INVALID_TICKET", "serviceValidate", "service", home("front"), "ticket", secrets[0])
	g.wire.status = http.StatusInternalServerError
	another := g.ticket(b, home("front"))
	g.fails("INVALID_PROXY_CALLBACK", "serviceValidate", "service", home("front"), "ticket", another, "pgtUrl", callback)
	for _, address := range []string{home("front") + "?ticket=" + secrets[3], "https://evil.example.org/?x=" + secrets[3]} {
		b.Get(enter(address))
		g.call(http.MethodGet, enter(address), "")
	}
	b.Get(enter(home("front"), "method", "POST"))
	if policy := b.Header.Get("Referrer-Policy"); b.Left() || policy != "same-origin" && policy != "no-referrer" {
		t.Errorf("a page with a ticket may tell its address: %q", policy)
	}
	secrets = append(secrets, another, b.Field("ticket"))
	g.Write(func(tx *store.Tx) error { return g.Sessions.EndAll(tx, g.hanak.ID, "test", "") })
	g.work()
	said := log.String()
	err := g.DB.Read(t.Context(), func(tx *store.Tx) error {
		events, err := g.Audit.Find(tx, audit.Query{Limit: 1000})
		for _, e := range events {
			said += fmt.Sprintf("%+v\n", e)
		}
		return err
	})
	if err != nil || !strings.Contains(said, "/cas/serviceValidate") || !strings.Contains(said, "cas.ticket.refused") {
		t.Fatalf("nothing was logged: %v\n%s", err, said)
	}
	for _, s := range secrets {
		if _, bare, ok := strings.Cut(s, "-"); !ok || strings.Contains(said, bare) {
			t.Errorf("%q is in a log", s)
		}
	}
}
