package saml_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/store"
)

const (
	soapDoor  = slo + "/soap"
	soapSpace = "http://schemas.xmlsoap.org/soap/envelope/"
)

// envelope is a SOAP message around what stands in the body.
func envelope(inside string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<s:Envelope xmlns:s="` + soapSpace + `"><s:Body>` + inside + `</s:Body></s:Envelope>`
}

// call posts to our SOAP door without a browser.
func (g *gate) call(text string, header ...string) (code int, answer *xmldoc.Node) {
	g.T.Helper()
	r := httptest.NewRequest(http.MethodPost, soapDoor, strings.NewReader(text))
	r.Header.Set("Content-Type", "text/xml; charset=UTF-8")
	r.RemoteAddr = g.Stranger()
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	g.Site.Handler().ServeHTTP(w, r)
	n, err := xmldoc.Parse(w.Body.Bytes(), xmldoc.Limits{})
	if err != nil {
		g.T.Fatalf("%d %v: %s", w.Code, err, w.Body)
	}
	if !bytes.Equal(xmldoc.Canonical(n, nil, nil), w.Body.Bytes()) || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/xml") {
		g.T.Errorf("answered %s: %s", w.Header().Get("Content-Type"), w.Body)
	}
	return w.Code, n
}

// answered reads the signed LogoutResponse of an answer; empty when it is a fault.
func (g *gate) answered(code int, n *xmldoc.Node, to string) string {
	g.T.Helper()
	body := n.First(soapSpace, "Body")
	if f := body.First(soapSpace, "Fault"); f != nil {
		if code != http.StatusInternalServerError || xmlsig.Signed(f) {
			g.T.Errorf("a fault with %d", code)
		}
		return "fault " + f.First("", "faultcode").Text()
	}
	said, err := xmlsig.Verify(body.First(metadata.SAMLP, "LogoutResponse"), g.keys(), xmldoc.Limits{})
	if err != nil || code != http.StatusOK {
		g.T.Fatalf("%d %v", code, err)
	}
	if said.Attr("InResponseTo") != to || text(said, metadata.SAML, "Issuer") != idp || said.Attr("Version") != "2.0" {
		g.T.Errorf("answered %s", xmldoc.Canonical(said, nil, nil))
	}
	return status(said)
}

// ask calls and reads the answer to the request with an id.
func (g *gate) ask(id, text string, header ...string) string {
	g.T.Helper()
	code, n := g.call(text, header...)
	return g.answered(code, n, id)
}

// byCall is a signed LogoutRequest as the service sends it by SOAP; change bends it
// before it is signed.
func (l *leaver) byCall(name *xmldoc.Node, index string, change ...string) (message, id string) {
	l.g.T.Helper()
	plain, id, _ := l.request(name, index)
	text := strings.Replace(string(plain), slo, soapDoor, 1)
	text = strings.NewReplacer(change...).Replace(text)
	at := strings.Index(text, "</saml:Issuer>") + len("</saml:Issuer>")
	signed, err := xmlsig.Sign([]byte(text), id, at, xmlsig.Key{Signer: l.key.key, Certificate: l.key.cert})
	if err != nil {
		l.g.T.Fatal(err)
	}
	return string(signed), id
}

func TestAServiceEndsTheSessionBySOAP(t *testing.T) {
	g := open(t)
	told := g.hearSOAP()
	g.working(time.Minute)
	soap := func(r *saml.Registration) {
		r.Logout = append(r.Logout, metadata.Endpoint{Binding: metadata.SOAP, Location: "https://second.example.org/soap"})
	}
	asker, second := g.leaver("asker.example.org"), g.leaver("second.example.org", soap)
	b, elsewhere := g.browser(), g.browser()
	name, index := asker.visit(b, "hanako")
	second.visit(b, "hanako")
	asker.visit(elsewhere, "hanako") // the same person and name, another session
	message, id := asker.byCall(name, index)
	if got := g.ask(id, envelope(message)); got != "Success" {
		t.Fatalf("answered %s", got)
	}
	if g.signedIn(b, asker.id) {
		t.Error("the session lives on")
	}
	if !g.signedIn(elsewhere, asker.id) {
		t.Error("a session that the index does not name has ended")
	}
	if told["second"] != 1 || told["asker"] != 0 || len(g.events("session.ended")) != 1 || g.events("session.ended")[0].Party != asker.id {
		t.Errorf("told %v, on record %+v", told, g.events("session.ended"))
	}
	// Without an index every session of that name ends.
	asker.visit(b, "hanako")
	message, id = asker.byCall(name, "")
	if got := g.ask(id, envelope(message)); got != "Success" {
		t.Fatalf("answered %s", got)
	}
	if g.signedIn(b, asker.id) || g.signedIn(elsewhere, asker.id) {
		t.Error("a session of that name lives on")
	}
	message, id = asker.byCall(name, "")
	if got := g.ask(id, envelope(message)); got != "Requester UnknownPrincipal" {
		t.Errorf("about nobody: %s", got)
	}
}

func TestPartialLogoutBySOAP(t *testing.T) {
	g := open(t)
	asker, second := g.leaver("asker.example.org"), g.leaver("second.example.org")
	b := g.browser()
	name, index := asker.visit(b, "hanako")
	second.visit(b, "hanako")
	message, id := asker.byCall(name, index)
	if got := g.ask(id, envelope(message)); got != "Success PartialLogout" {
		t.Errorf("a service that only the browser could tell: %s", got)
	}
	if g.signedIn(b, asker.id) {
		t.Error("the session lives on")
	}
}

// A transient name lasts as long as the visit and no longer. A service that was given a name
// of another form since may know the first one still.
func TestAnEarlierNameEndsTheSession(t *testing.T) {
	g := open(t)
	l := g.leaver("asker.example.org", func(r *saml.Registration) { r.Format = metadata.Transient })
	b := g.browser()
	b.Serve(l.origin(), l)
	otherwise := func() *xmldoc.Node {
		b.Get(origin + g.redirect(&asking{issuer: l.id, inside: `<samlp:NameIDPolicy Format="` + metadata.Persistent + `"></samlp:NameIDPolicy>`}))
		return find(g.response(b).assertion, "NameID")
	}
	first, index := l.visit(b, "hanako")
	if again, same := l.visit(b, "hanako"); again.Text() != first.Text() || same != index {
		t.Errorf("another name or index within the visit: %s and %s", first.Text(), again.Text())
	}
	if other := otherwise(); other.Text() == first.Text() {
		t.Error("the persistent name is the transient one")
	}
	request, _, _ := l.request(first, index)
	b.Get(l.signed("SAMLRequest", request, ""))
	if len(l.answers) != 1 || status(l.answers[0]) != "Success" || g.signedIn(b, l.id) {
		t.Errorf("%d answers at %s", len(l.answers), b.Location())
	}
	before := first.Text()
	if first, index = l.visit(b, "hanako"); first.Text() == before {
		t.Error("the name outlived the visit")
	}
	otherwise()
	message, id := l.byCall(first, index)
	if got := g.ask(id, envelope(message)); got != "Success" {
		t.Errorf("by SOAP: %s", got)
	}
}

func TestHostileCalls(t *testing.T) {
	g := open(t)
	l, other := g.leaver("asker.example.org"), g.leaver("other.example.org")
	stranger := newPair(t, freshKey(t))
	foreign := &leaver{g: g, id: l.id, key: &stranger}
	b := g.browser()
	name, index := l.visit(b, "hanako")
	otherName, otherIndex := other.visit(b, "hanako")
	bare, _, _ := l.request(name, index)
	unsigned := strings.Replace(string(bare), slo, soapDoor, 1)
	sound := func(change ...string) string { m, _ := l.byCall(name, index, change...); return m }
	now := g.Clock.Now()
	at := func(d time.Duration) string { return now.Add(d).UTC().Format(time.RFC3339) }
	signature := func(m string) string {
		return m[strings.Index(m, "<ds:Signature ") : strings.Index(m, "</ds:Signature>")+len("</ds:Signature>")]
	}
	forged := func() string { return strings.Replace(unsigned, ` ID="`, ` ID="_forged`, 1) }
	cases := map[string]struct{ message, want string }{
		// What is no question.
		"no envelope":             {sound(), "fault soap:Client"},
		"not XML":                 {"LogoutRequest", "fault soap:Client"},
		"nothing":                 {"", "fault soap:Client"},
		"empty body":              {envelope(""), "fault soap:Client"},
		"two requests":            {envelope(sound() + sound()), "fault soap:Client"},
		"two bodies":              {strings.Replace(envelope(sound()), "</s:Body>", "</s:Body><s:Body></s:Body>", 1), "fault soap:Client"},
		"two bodies, forged last": {strings.Replace(envelope(sound()), "</s:Body>", "</s:Body><s:Body>"+forged()+"</s:Body>", 1), "fault soap:Client"},
		"body before header":      {strings.Replace(envelope(sound()), "</s:Body>", "</s:Body><s:Header></s:Header>", 1), "fault soap:Client"},
		"SOAP 1.2":                {strings.ReplaceAll(envelope(sound()), soapSpace, "http://www.w3.org/2003/05/soap-envelope"), "fault soap:VersionMismatch"},
		"must be understood":      {strings.Replace(envelope(sound()), "<s:Body>", `<s:Header><x s:mustUnderstand="1"></x></s:Header><s:Body>`, 1), "fault soap:MustUnderstand"},
		"document type":           {strings.Replace(envelope(sound()), "<s:Envelope", "<!DOCTYPE x><s:Envelope", 1), "fault soap:Client"},
		"entity":                  {strings.Replace(envelope(sound()), "<s:Envelope", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><s:Envelope`, 1), "fault soap:Client"},
		"processing instruction":  {strings.Replace(envelope(sound()), "<s:Body>", "<?x?><s:Body>", 1), "fault soap:Client"},
		"comment":                 {strings.Replace(envelope(sound()), "<s:Body>", "<!-- x --><s:Body>", 1), "fault soap:Client"},
		"another message":         {envelope(strings.ReplaceAll(sound(), "LogoutRequest", "AuthnRequest")), "fault soap:Client"},
		"an answer":               {envelope(strings.ReplaceAll(sound(), "LogoutRequest", "LogoutResponse")), "fault soap:Client"},
		"too long":                {envelope(strings.Replace(sound(), "</samlp:LogoutRequest>", "<x>"+strings.Repeat("a", 70<<10)+"</x></samlp:LogoutRequest>", 1)), "fault soap:Client"},
		"UTF-16":                  {"\xff\xfe" + envelope(sound()), "fault soap:Client"},
		// Nobody knows who sent it.
		"unsigned":                 {envelope(unsigned), "fault soap:Client"},
		"a stranger's":             {envelope(firstString(foreign.byCall(name, index))), "fault soap:Client"},
		"of an unknown service":    {envelope(sound("https://asker.example.org/sp", "https://nobody.example.org/sp")), "fault soap:Client"},
		"in another's name":        {envelope(strings.Replace(sound(), "https://asker.example.org/sp<", "https://other.example.org/sp<", 1)), "fault soap:Client"},
		"bent":                     {envelope(strings.Replace(sound(), name.Text(), otherName.Text(), 1)), "fault soap:Client"},
		"index cut out":            {envelope(cut(sound(), "<samlp:SessionIndex>", "</samlp:SessionIndex>")), "fault soap:Client"},
		"wrapped in an extension":  {envelope(strings.Replace(forged(), "</saml:Issuer>", "</saml:Issuer><samlp:Extensions>"+sound()+"</samlp:Extensions>", 1)), "fault soap:Client"},
		"signed one in the header": {strings.Replace(envelope(forged()), "<s:Body>", "<s:Header>"+sound()+"</s:Header><s:Body>", 1), "fault soap:Client"},
		"signature of the header's": {func() string {
			m := sound()
			return strings.Replace(envelope(strings.Replace(forged(), "</saml:Issuer>", "</saml:Issuer>"+signature(m), 1)), "<s:Body>", "<s:Header>"+strings.Replace(m, signature(m), "", 1)+"</s:Header><s:Body>", 1)
		}(), "fault soap:Client"},
		"in the signature's object": {func() string {
			m := sound()
			inner := strings.Replace(m, signature(m), "", 1)
			sig := strings.Replace(signature(m), "</ds:Signature>", "<ds:Object>"+inner+"</ds:Object></ds:Signature>", 1)
			return envelope(strings.Replace(forged(), "</saml:Issuer>", "</saml:Issuer>"+sig, 1))
		}(), "fault soap:Client"},
		"algorithm: SHA-1": {envelope(strings.Replace(sound(), "xmldsig-more#rsa-sha256", "xmldsig-more#rsa-sha1", 1)), "fault soap:Client"},
		"algorithm: HMAC":  {envelope(strings.Replace(sound(), "xmldsig-more#rsa-sha256", "xmldsig-more#hmac-sha256", 1)), "fault soap:Client"},
		// Signed by the service, and still not granted.
		"another service's session": {envelope(firstString(l.byCall(otherName, otherIndex))), "Requester UnknownPrincipal"},
		"another service's index":   {envelope(firstString(l.byCall(name, otherIndex))), "Requester UnknownPrincipal"},
		"made-up index":             {envelope(firstString(l.byCall(name, "visit_x"))), "Requester UnknownPrincipal"},
		"another provider's name":   {envelope(sound(name.Attr("Format")+`"`, name.Attr("Format")+`" NameQualifier="https://other.example.ac.jp/idp"`)), "Requester RequestDenied"},
		"without a name":            {envelope(sound("NameID", "Other")), "Requester RequestDenied"},
		"for the browser's door":    {envelope(sound(soapDoor, slo)), "Requester RequestDenied"},
		"for another provider":      {envelope(sound(soapDoor, "https://other.example.ac.jp/slo")), "Requester RequestDenied"},
		"old":                       {envelope(sound(at(0), at(-time.Hour))), "Requester RequestDenied"},
		"from the future":           {envelope(sound(at(0), at(time.Hour))), "Requester RequestDenied"},
		"past its end":              {envelope(sound(" Version=", ` NotOnOrAfter="`+at(-time.Hour)+`" Version=`)), "Requester RequestDenied"},
		"more indexes than anybody": {envelope(sound("<samlp:SessionIndex>", strings.Repeat("<samlp:SessionIndex>x</samlp:SessionIndex>", 101)+"<samlp:SessionIndex>")), "Requester RequestDenied"},
	}
	for what, c := range cases {
		before := len(g.events("request.refused"))
		code, n := g.call(c.message)
		to := ""
		if i := strings.Index(c.message, ` ID="`); i >= 0 {
			to = c.message[i+5:]
			to = to[:strings.Index(to, `"`)]
		}
		got := g.answered(code, n, to)
		if got != c.want {
			t.Errorf("%s: %s, want %s: %s", what, got, c.want, xmldoc.Canonical(n, nil, nil))
		}
		recorded := len(g.events("request.refused")) - before
		if strings.Contains(got, "Unknown") != (recorded == 0) {
			t.Errorf("%s: %d on record", what, recorded)
		}
	}
	for _, kind := range []string{"application/x-www-form-urlencoded", "text/plain", "application/soap+xml", "text/xml; charset=utf-7", ""} {
		if got := g.ask("", envelope(sound()), "Content-Type", kind); got != "fault soap:Client" {
			t.Errorf("%q: %s", kind, got)
		}
	}
	if !g.signedIn(b, l.id) {
		t.Fatal("a hostile call ended the session")
	}
	message, id := l.byCall(name, index)
	if got := g.ask(id, envelope(message)); got != "Success PartialLogout" { // the other one is told by the browser alone
		t.Fatalf("the sound one: %s", got)
	}
	l.visit(b, "hanako")
	if got := g.ask(id, envelope(message)); got != "Requester RequestDenied" {
		t.Errorf("replayed: %s", got)
	}
	if !g.signedIn(b, l.id) {
		t.Error("a replayed call ended the next session")
	}
	t.Logf("%d hostile calls", len(cases)+6)
}

// A request that ended one session does not end the next one in the same browser.
func TestAReplayedLogoutEndsNothing(t *testing.T) {
	g := open(t)
	l := g.leaver("asker.example.org")
	b := g.browser()
	b.Serve(l.origin(), l)
	name, _ := l.visit(b, "hanako")
	request, _, _ := l.request(name, "")
	address := l.signed("SAMLRequest", request, "")
	b.Get(address)
	l.visit(b, "hanako")
	b.Get(address)
	if len(l.answers) != 2 || status(l.answers[0]) != "Success" || status(l.answers[1]) != "Requester UnknownPrincipal" {
		t.Errorf("%d answers", len(l.answers))
	}
	if !g.signedIn(b, l.id) {
		t.Error("a replayed request ended the next session")
	}
}

// Whatever ends a session, services that take SOAP hear of it.
func TestEveryEndIsToldBySOAP(t *testing.T) {
	g := open(t)
	told := g.hearSOAP()
	l := g.leaver("soap.example.org", func(r *saml.Registration) {
		r.Logout = []metadata.Endpoint{{Binding: metadata.SOAP, Location: "https://soap.example.org/soap"}}
	})
	for i, end := range []func(tx *store.Tx) error{
		func(tx *store.Tx) error { return g.Sessions.EndAll(tx, g.hanak.ID, "administrator", "") },
		func(tx *store.Tx) error { return g.Sessions.EndAll(tx, g.hanak.ID, "certificate", "") },
		func(tx *store.Tx) error { _, err := g.Sessions.Sweep(tx, 100); return err },
	} {
		b := g.browser()
		l.visit(b, "hanako")
		if i == 2 {
			g.Clock.Add(48 * time.Hour)
		}
		g.Write(end)
		if _, err := g.Jobs.RunDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if told["soap"] != i+1 {
			t.Errorf("%d: told %d times", i, told["soap"])
		}
	}
}

// Whatever is posted to the SOAP door, it answers in SOAP and ends nobody's session.
func FuzzCall(f *testing.F) {
	g := open(f)
	l := g.leaver("asker.example.org")
	b := g.browser()
	name, index := l.visit(b, "hanako")
	message, _ := l.byCall(name, index)
	bent := strings.Replace(message, index, "visit_x", 1)
	for _, seed := range []string{envelope(bent), envelope(""), envelope("<x></x>"), bent, strings.Replace(envelope(bent), "<s:Body>", `<s:Header><x s:mustUnderstand="1"></x></s:Header><s:Body>`, 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest(http.MethodPost, soapDoor, strings.NewReader(text))
		r.Header.Set("Content-Type", "text/xml")
		w := httptest.NewRecorder()
		g.Site.Handler().ServeHTTP(w, r)
		n, err := xmldoc.Parse(w.Body.Bytes(), xmldoc.Limits{})
		if err != nil {
			t.Fatalf("%d %v: %q", w.Code, err, w.Body)
		}
		if n.First(soapSpace, "Body").First(soapSpace, "Fault") == nil {
			t.Errorf("answered %q", w.Body)
		}
	})
}

func firstString(a, _ string) string { return a }

func cut(s, from, to string) string {
	i, j := strings.Index(s, from), strings.Index(s, to)
	if i < 0 || j < 0 {
		panic(fmt.Sprintf("no %s", from))
	}
	return s[:i] + s[j+len(to):]
}
