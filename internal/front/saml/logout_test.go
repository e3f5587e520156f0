package saml_test

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/jobs"
	"seimon/internal/login"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
	"seimon/internal/web/webtest"
)

const slo = origin + "/saml/slo"

// leaver is a service provider with single logout, as a handler.
type leaver struct {
	g       *gate
	id      string
	key     *pair
	status  string // of its answers
	binding string
	silent  bool // it never answers
	heard   []*xmldoc.Node
	answers []*xmldoc.Node
	relays  []string
}

func (l *leaver) origin() string {
	return "https://" + strings.TrimPrefix(strings.TrimSuffix(l.id, "/sp"), "https://")
}

func (g *gate) leaver(host string, change ...func(*saml.Registration)) *leaver {
	key, _ := pairs()
	l := &leaver{g: g, id: "https://" + host + "/sp", key: key, status: "Success", binding: metadata.Redirect}
	g.service(l.id, func(r *saml.Registration) {
		r.Signing = []string{key.text()}
		r.Logout = []metadata.Endpoint{{Binding: l.binding, Location: l.origin() + "/slo"}}
		for _, fn := range change {
			fn(r)
		}
	})
	return l
}

func inflated(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// message reads a signed message of either binding and checks it with our published keys.
func (l *leaver) message(r *http.Request, field string) *xmldoc.Node {
	t := l.g.T
	t.Helper()
	if r.Method == http.MethodPost {
		raw, _ := base64.StdEncoding.DecodeString(r.PostFormValue(field))
		n, err := xmldoc.Parse(raw, xmldoc.Limits{})
		if err == nil {
			n, err = xmlsig.Verify(n, l.g.keys(), xmldoc.Limits{})
		}
		if err != nil {
			t.Errorf("%v: %s", err, raw)
			return nil
		}
		return n
	}
	signed, _, _ := strings.Cut(r.URL.RawQuery, "&Signature=")
	sig, _ := base64.StdEncoding.DecodeString(r.URL.Query().Get("Signature"))
	if err := xmlsig.Check(r.URL.Query().Get("SigAlg"), []byte(signed), sig, l.g.keys()); err != nil {
		t.Error(err)
	}
	n, err := xmldoc.Parse(inflated(t, r.URL.Query().Get(field)), xmldoc.Limits{})
	if err != nil {
		t.Error(err)
	}
	return n
}

func (l *leaver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	if r.Form.Has("SAMLResponse") && r.URL.Path == "/slo" {
		l.answers = append(l.answers, l.message(r, "SAMLResponse"))
		l.relays = append(l.relays, r.Form.Get("RelayState"))
		_, _ = io.WriteString(w, "<p>bye</p>")
		return
	}
	n := l.message(r, "SAMLRequest")
	l.heard = append(l.heard, n)
	if l.silent || n == nil {
		_, _ = io.WriteString(w, "<p>an error page</p>")
		return
	}
	http.Redirect(w, r, l.answer(n.Attr("ID"), r.Form.Get("RelayState")), http.StatusSeeOther)
}

// answer is a LogoutResponse as an address.
func (l *leaver) answer(to, relay string) string {
	d := xmldoc.NewWriter(xmldoc.Spaces{"samlp": metadata.SAMLP, "saml": metadata.SAML})
	d.Start("samlp:LogoutResponse", "ID", serial(), "Version", "2.0", "IssueInstant", l.g.Clock.Now().UTC().Format(time.RFC3339), "Destination", slo, "InResponseTo", to)
	d.Leaf("saml:Issuer", l.id).Start("samlp:Status").Leaf("samlp:StatusCode", "", "Value", "urn:oasis:names:tc:SAML:2.0:status:"+l.status).End().End()
	return l.signed("SAMLResponse", d.Bytes(), relay)
}

// signed is the address of a signed message.
func (l *leaver) signed(field string, text []byte, relay string) string {
	q := field + "=" + url.QueryEscape(deflated(text)) + "&RelayState=" + url.QueryEscape(relay) + "&SigAlg=" + url.QueryEscape(xmlsig.RSASHA256)
	_, sig, err := xmlsig.Bare(l.key.key, []byte(q))
	if err != nil {
		l.g.T.Fatal(err)
	}
	return slo + "?" + q + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(sig))
}

// visit signs somebody in and gives name and index for a later request.
func (l *leaver) visit(b *webtest.Browser, user string) (name *xmldoc.Node, index string) {
	l.g.T.Helper()
	b.Get(origin + l.g.redirect(&asking{issuer: l.id}))
	if !arrived(b, l.id) {
		signIn(b, user)
	}
	r := l.g.response(b)
	return find(r.assertion, "NameID"), find(r.assertion, "AuthnStatement").Attr("SessionIndex")
}

// request is a LogoutRequest.
func (l *leaver) request(name *xmldoc.Node, index string) (text []byte, id string, at int) {
	d := xmldoc.NewWriter(xmldoc.Spaces{"samlp": metadata.SAMLP, "saml": metadata.SAML})
	id = serial()
	d.Start("samlp:LogoutRequest", "ID", id, "Version", "2.0", "IssueInstant", l.g.Clock.Now().UTC().Format(time.RFC3339), "Destination", slo)
	d.Leaf("saml:Issuer", l.id)
	at = d.Len()
	d.Leaf("saml:NameID", name.Text(), "Format", name.Attr("Format"))
	if index != "" {
		d.Leaf("samlp:SessionIndex", index)
	}
	return d.End().Bytes(), id, at
}

func status(n *xmldoc.Node) string {
	var out []string
	for c := n.Path(metadata.SAMLP, "Status", "StatusCode"); c != nil; c = c.First(metadata.SAMLP, "StatusCode") {
		out = append(out, strings.TrimPrefix(c.Attr("Value"), "urn:oasis:names:tc:SAML:2.0:status:"))
	}
	return strings.Join(out, " ")
}

// signedIn tells whether a service would get an assertion without a page.
func (g *gate) signedIn(b *webtest.Browser, id string) bool {
	b.Get(origin + g.redirect(&asking{issuer: id, attrs: []string{"IsPassive", "true"}}))
	return g.response(b).assertion != nil
}

func TestAServiceEndsTheSessionEverywhere(t *testing.T) {
	for _, binding := range []string{metadata.Redirect, metadata.POST} {
		g := open(t)
		asker := g.leaver("asker.example.org")
		second := g.leaver("second.example.org", func(r *saml.Registration) { r.Logout[0].Binding = binding })
		third := g.leaver("third.example.org")
		b := g.browser()
		for _, l := range []*leaver{asker, second, third} {
			b.Serve(l.origin(), l)
		}
		name, index := asker.visit(b, "hanako")
		other, _ := second.visit(b, "hanako")
		third.visit(b, "hanako")
		text, id, _ := asker.request(name, index)
		b.Get(asker.signed("SAMLRequest", text, "my relay"))
		if binding == metadata.POST {
			b.Submit("Go on")
		}
		if len(second.heard) != 1 || len(third.heard) != 1 || len(asker.heard) != 0 || len(asker.answers) != 1 {
			t.Fatalf("%s: second heard %d, third %d, asker %d and was answered %d times; at %s\n%s", binding, len(second.heard), len(third.heard), len(asker.heard), len(asker.answers), b.Location(), b.Text())
		}
		if a := asker.answers[0]; a.Attr("InResponseTo") != id || status(a) != "Success" || asker.relays[0] != "my relay" || a.Attr("Destination") != asker.origin()+"/slo" {
			t.Errorf("the answer is %s %s", status(a), a.Attr("InResponseTo"))
		}
		if h := second.heard[0]; text2(h, "NameID") != other.Text() || text2(h, "SessionIndex") == "" || h.Attr("NotOnOrAfter") == "" {
			t.Errorf("the second heard %s", xmldoc.Canonical(h, nil, nil))
		}
		if g.signedIn(b, asker.id) {
			t.Error("the session lives on")
		}
	}
}

func text2(n *xmldoc.Node, local string) string {
	if x := find(n, local); x != nil {
		return x.Text()
	}
	return ""
}

func TestPartialLogoutIsToldHonestly(t *testing.T) {
	g := open(t)
	asker, second := g.leaver("asker.example.org"), g.leaver("second.example.org")
	second.status = "Responder"
	plain := "https://plain.example.org/sp"
	g.service(plain, nil)
	b := g.browser()
	b.Serve(asker.origin(), asker)
	b.Serve(second.origin(), second)
	name, index := asker.visit(b, "hanako")
	second.visit(b, "hanako")
	b.Get(origin + g.redirect(&asking{issuer: plain}))
	text, _, _ := asker.request(name, index)
	b.Get(asker.signed("SAMLRequest", text, ""))
	if len(asker.answers) != 1 || status(asker.answers[0]) != "Success PartialLogout" {
		t.Fatalf("%d answers at %s", len(asker.answers), b.Location())
	}
}

func TestTheGateLeadsTheBrowserOn(t *testing.T) {
	g := open(t)
	g.Exit.Lead(g.front)
	good, bad := g.leaver("good.example.org"), g.leaver("bad.example.org")
	bad.silent = true
	b := g.browser()
	b.Serve(good.origin(), good)
	b.Serve(bad.origin(), bad)
	good.visit(b, "hanako")
	g.Clock.Add(time.Second)
	bad.visit(b, "hanako")
	b.Get(origin + "/signout").Submit("Sign out")
	b.Want("one after the other")
	refresh := strings.TrimPrefix(b.Header.Get("Refresh"), "0;url=")
	on := b.Location()
	if b.Get(refresh); len(bad.heard) != 1 {
		t.Fatalf("the first was not told: %s", b.Location())
	}
	if g.signedIn(b, good.id) {
		t.Error("the session lives on while services are told")
	}
	// The service does not answer; the person goes back.
	b.Get(on)
	b.Get(strings.TrimPrefix(b.Header.Get("Refresh"), "0;url="))
	if len(good.heard) != 1 {
		t.Fatalf("the second was not told: %s", b.Location())
	}
	b.Want("You are not signed out everywhere", "The "+bad.id, "close every window", "The "+good.id)
}

func TestHostileLogouts(t *testing.T) {
	g := open(t)
	g.Person("jiro")
	key, _ := pairs()
	stranger := newPair(t, freshKey(t))
	l, other := g.leaver("asker.example.org"), g.leaver("other.example.org")
	_ = key
	b := g.browser()
	b.Serve(l.origin(), l)
	b.Serve(other.origin(), other)
	name, index := l.visit(b, "hanako")
	otherName, _ := other.visit(b, "hanako")
	sound, _, at := l.request(name, index)
	text := string(sound)
	foreign := &leaver{g: g, id: l.id, key: &stranger}
	for what, address := range map[string]string{
		"unsigned":            slo + "?SAMLRequest=" + url.QueryEscape(deflated(sound)),
		"a stranger's":        foreign.signed("SAMLRequest", sound, ""),
		"old":                 l.signed("SAMLRequest", []byte(strings.Replace(text, "IssueInstant=\"2", "IssueInstant=\"1", 1)), ""),
		"past its end":        l.signed("SAMLRequest", []byte(strings.Replace(text, " Version=", ` NotOnOrAfter="2020-01-01T00:00:00Z" Version=`, 1)), ""),
		"elsewhere":           l.signed("SAMLRequest", []byte(strings.Replace(text, slo, sso, 1)), ""),
		"without a name":      l.signed("SAMLRequest", []byte(strings.ReplaceAll(text, "NameID", "Other")), ""),
		"unasked answer":      l.signed("SAMLResponse", []byte(strings.ReplaceAll(text, "LogoutRequest", "LogoutResponse")), "x"),
		"answer to a request": l.signed("SAMLResponse", sound, "x"),
		"nothing":             slo,
		"no such sign-out":    slo + "/next?id=_x",
		"forged":              slo + "/go?r=AAAA",
	} {
		c := b.Tab()
		if c.Get(address); c.Status != http.StatusBadRequest || c.Left() {
			t.Errorf("%s: %d at %s\n%s", what, c.Status, c.Location(), c.Text())
		}
	}
	// Requests about somebody else are answered, and end nothing.
	for what, q := range map[string][]byte{
		"another name":  []byte(strings.Replace(text, name.Text(), otherName.Text(), 1)),
		"another index": []byte(strings.Replace(text, index, "visit_x", 1)),
	} {
		before := len(l.answers)
		b.Get(l.signed("SAMLRequest", q, ""))
		if len(l.answers) != before+1 || status(l.answers[before]) != "Requester UnknownPrincipal" {
			t.Errorf("%s: %d answers", what, len(l.answers)-before)
		}
	}
	if !g.signedIn(b, l.id) {
		t.Error("a hostile message ended the session")
	}
	// By POST, where no cookie comes along.
	signedText, err := xmlsig.Sign(bytes.Clone(sound), find(mustParse(t, sound), "LogoutRequest").Attr("ID"), at, xmlsig.Key{Signer: l.key.key})
	if err != nil {
		t.Fatal(err)
	}
	b.ForeignPost(l.origin(), slo, url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(signedText)}})
	if g.signedIn(b, l.id) {
		t.Error("a sound request by POST ends nothing")
	}
	again := g.browser()
	again.Serve(l.origin(), l)
	before := len(l.answers)
	again.Get(l.signed("SAMLRequest", sound, ""))
	if len(l.answers) != before+1 || status(l.answers[before]) != "Success" {
		t.Error("a session that is over is not reported as over")
	}
}

// TestASignOutStaysInItsBrowser: a service knows the id of a sign-out, which is its
// RelayState. From anywhere else than the person's browser it learns nothing with it of
// where else the person was signed in, and by which name.
func TestASignOutStaysInItsBrowser(t *testing.T) {
	for _, binding := range []string{metadata.Redirect, metadata.POST} {
		g := open(t)
		g.Exit.Lead(g.front)
		g.Person("jiro")
		nosy, next := g.leaver("nosy.example.org"), g.leaver("second.example.org", func(r *saml.Registration) { r.Logout[0].Binding = binding })
		nosy.silent = true
		b := g.browser()
		b.Serve(nosy.origin(), nosy)
		b.Serve(next.origin(), next)
		next.visit(b, "hanako")
		g.Clock.Add(time.Second)
		nosy.visit(b, "hanako")
		b.Get(origin + "/signout").Submit("Sign out")
		sent := strings.TrimPrefix(b.Header.Get("Refresh"), "0;url=")
		if b.Get(sent); len(nosy.heard) != 1 {
			t.Fatalf("the first was not told: %s", b.Location())
		}
		u, err := url.Parse(sent)
		if err != nil {
			t.Fatal(err)
		}
		id, signedIn := u.Query().Get("RelayState"), g.browser()
		signIn(signedIn.Get(origin+g.redirect(&asking{issuer: next.id})), "jiro")
		for what, thief := range map[string]*webtest.Browser{"a stranger": g.browser(), "another person's browser": signedIn} {
			for _, address := range []string{slo + "/next?id=" + id, slo + "/on?id=" + id, nosy.answer(nosy.heard[0].Attr("ID"), id), slo + "/on?id=" + id} {
				if thief.Get(address); thief.Status != http.StatusBadRequest || thief.Left() || strings.Contains(thief.Body, "SAMLRequest") || thief.Header.Get("Refresh") != "" {
					t.Errorf("%s, %s: %d %s %s", what, address, thief.Status, thief.Location(), thief.Text())
				}
			}
		}
		b.Get(slo + "/on?id=" + id)
		if binding == metadata.POST {
			b.Submit("Go on")
		}
		if len(next.heard) != 1 {
			t.Errorf("%s: the person's own browser is not led on: %s", binding, b.Text())
		}
	}
}

func mustParse(t testing.TB, text []byte) *xmldoc.Node {
	t.Helper()
	n, err := xmldoc.Parse(text, xmldoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestServicesThatTakeSOAPAreToldWithoutTheBrowser(t *testing.T) {
	g := open(t)
	l := g.leaver("soap.example.org", func(r *saml.Registration) {
		r.Logout = append(r.Logout, metadata.Endpoint{Binding: metadata.SOAP, Location: "https://soap.example.org/soap"})
	})
	told := g.hearSOAP()
	told["soap"] = -1 // out of order at first
	b := g.browser()
	l.visit(b, "hanako")
	b.Get(origin + "/signout").Submit("Sign out")
	for range 3 {
		if _, err := g.Jobs.RunDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.Clock.Add(time.Hour)
	}
	if told["soap"] != 1 || len(g.events("saml.logout.told")) != 1 || len(g.events("saml.logout.failed")) != 1 {
		t.Errorf("told %d times: %+v", told["soap"], g.events("saml.logout"))
	}
}

// working lets jobs run beside the test, as they do in a gate that serves.
func (g *gate) working(patience time.Duration) {
	g.front.Settings.Patience = patience
	ctx, stop := context.WithCancel(g.T.Context())
	done := make(chan error, 1)
	go func() { done <- g.Jobs.Run(ctx) }()
	g.T.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			g.T.Error(err)
		}
	})
}

// A service that is told by a job counts as told when it has said so, and not before.
func TestSuccessWaitsForServicesThatAreToldByJobs(t *testing.T) {
	for _, c := range []struct {
		name, host, want string
		works            bool
	}{
		{"it confirms", "soap.example.org", "Success", true},
		{"it is out of order", "broken.example.org", "Success PartialLogout", true},
		{"it says no", "refusing.example.org", "Success PartialLogout", true},
		{"it has not answered yet", "soap.example.org", "Success PartialLogout", false},
	} {
		for _, bySOAP := range []bool{false, true} {
			g := open(t)
			told := g.hearSOAP()
			told["broken"] = -1
			if c.works {
				g.working(time.Minute)
			}
			asker := g.leaver("asker.example.org")
			other := g.leaver(c.host, func(r *saml.Registration) {
				r.Logout = []metadata.Endpoint{{Binding: metadata.SOAP, Location: "https://" + c.host + "/soap"}}
			})
			b := g.browser()
			b.Serve(asker.origin(), asker)
			other.visit(b, "hanako")
			name, index := asker.visit(b, "hanako")
			got := ""
			if bySOAP {
				message, id := asker.byCall(name, index)
				got = g.ask(id, envelope(message))
			} else {
				text, _, _ := asker.request(name, index)
				b.Get(asker.signed("SAMLRequest", text, ""))
				if len(asker.answers) == 1 {
					got = status(asker.answers[0])
				}
			}
			if got != c.want {
				t.Errorf("%s, by SOAP %v: answered %q, want %q", c.name, bySOAP, got, c.want)
			}
		}
	}
}

// neighbour is a front of another protocol.
type neighbour struct{ can bool }

func (neighbour) Name() string    { return "neighbour" }
func (neighbour) Mount(*web.Site) {}
func (neighbour) Complete(*store.Tx, login.Outcome) (login.Respond, error) {
	return nil, errors.New("nobody signs in here")
}
func (n neighbour) CanTell(*store.Tx, session.Visit) (bool, error) { return n.can, nil }

// The session was used for services of other protocols too: whoever asks learns that one
// of them cannot be told, and the person sees its name.
func TestServicesOfOtherProtocolsCount(t *testing.T) {
	g := open(t)
	g.Exit.Lead(g.front)
	if err := g.Hall.Open(neighbour{}); err != nil {
		t.Fatal(err)
	}
	g.Write(func(tx *store.Tx) error {
		return g.book.Put(tx, rp.Party{ID: "calendar", Protocol: "neighbour", Names: map[langTag]string{"en": "The calendar"}, Consent: rp.ConsentNone, Registration: []byte("{}")})
	})
	asker := g.leaver("asker.example.org")
	b := g.browser()
	b.Serve(asker.origin(), asker)
	use := func() (*xmldoc.Node, string) {
		name, index := asker.visit(b, "hanako")
		g.Write(func(tx *store.Tx) error {
			all, err := g.Sessions.Of(tx, g.hanak.ID)
			if err == nil {
				_, err = g.Sessions.Visit(tx, session.Visit{Session: all[0].ID, Account: g.hanak.ID, Party: "calendar", Front: "neighbour", At: tx.Now})
			}
			return err
		})
		return name, index
	}
	name, index := use()
	text, _, _ := asker.request(name, index)
	b.Get(asker.signed("SAMLRequest", text, ""))
	if len(asker.answers) != 1 || status(asker.answers[0]) != "Success PartialLogout" {
		t.Fatalf("%d answers at %s", len(asker.answers), b.Location())
	}
	use()
	b.Get(origin + "/signout").Submit("Sign out")
	b.Get(strings.TrimPrefix(b.Header.Get("Refresh"), "0;url="))
	b.Want("You are not signed out everywhere", "The calendar", "The "+asker.id)
}

// hearSOAP lets every service answer sign-outs by SOAP, and counts them by the first
// label of the host. A service below zero is out of order once.
func (g *gate) hearSOAP() map[string]int {
	told := map[string]int{}
	g.front.Client = &http.Client{Transport: answering(func(r *http.Request) *http.Response {
		w := httptest.NewRecorder()
		body, _ := io.ReadAll(r.Body)
		n, err := xmldoc.Parse(body, xmldoc.Limits{})
		if err == nil {
			n, err = xmlsig.Verify(find(n, "LogoutRequest"), g.keys(), xmldoc.Limits{})
		}
		if err != nil {
			g.T.Errorf("%v: %s", err, body)
			return w.Result()
		}
		id, _, _ := strings.Cut(r.URL.Host, ".")
		if told[id] < 0 {
			told[id] = 0
			w.WriteHeader(http.StatusServiceUnavailable)
			return w.Result()
		}
		told[id]++
		said := map[bool]string{true: "Responder", false: "Success"}[id == "refusing"]
		_, _ = io.WriteString(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><p:LogoutResponse xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" ID="_1" InResponseTo="`+
			n.Attr("ID")+`"><p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:`+said+`"/></p:Status></p:LogoutResponse></s:Body></s:Envelope>`)
		return w.Result()
	})}
	g.Jobs.Handle(session.SignOutKind(saml.Name), func(ctx context.Context, task jobs.Task) error {
		var v session.Visit
		if err := json.Unmarshal(task.Payload, &v); err != nil {
			return err
		}
		return g.front.SignOut(ctx, v)
	})
	return told
}

type answering func(*http.Request) *http.Response

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }
