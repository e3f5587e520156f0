package saml_test

import (
	"crypto/rsa"
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/front/saml/xmlsig"
)

// reader is the key for which our metadata lets services encrypt.
func (g *gate) reader() *x509.Certificate {
	g.T.Helper()
	for _, k := range g.metadata().First(metadata.MD, "IDPSSODescriptor").All(metadata.MD, "KeyDescriptor") {
		if k.Attr("use") == "encryption" {
			c, err := metadata.Certificate(k.Path(xmlsig.Space, "KeyInfo", "X509Data", "X509Certificate").Text())
			if err != nil {
				g.T.Fatal(err)
			}
			return c
		}
	}
	g.T.Fatal("no key to encrypt for")
	return nil
}

// sealed is a name as a service encrypts it.
func sealed(t testing.TB, to *x509.Certificate, content, inner string) string {
	t.Helper()
	data, err := xmlenc.Encrypt([]byte(inner), xmlenc.Reader{Key: to.PublicKey.(*rsa.PublicKey), Content: content, Transport: xmlenc.OAEPSHA1})
	if err != nil {
		t.Fatal(err)
	}
	w := xmldoc.NewWriter(xmldoc.Spaces{"saml": metadata.SAML})
	return string(w.Start("saml:EncryptedID").Raw(data).End().Bytes())
}

func plainName(value, format string) string {
	w := xmldoc.NewWriter(xmldoc.Spaces{"saml": metadata.SAML})
	return string(w.Leaf("saml:NameID", value, "Format", format).Bytes())
}

// hidden replaces the NameID of a LogoutRequest.
func hidden(request []byte, with string) []byte {
	text := string(request)
	from, to := strings.Index(text, "<saml:NameID "), strings.Index(text, "</saml:NameID>")+len("</saml:NameID>")
	return []byte(text[:from] + with + text[to:])
}

func TestEncryptedNamesInLogoutRequests(t *testing.T) {
	g := open(t)
	l := g.leaver("asker.example.org")
	b := g.browser()
	b.Serve(l.origin(), l)
	first := g.reader()
	// bye signs in and asks to sign out with an encrypted name; it gives the status.
	bye := func(with func(name string) string) string {
		t.Helper()
		name, index := l.visit(b, "hanako")
		request, _, _ := l.request(name, index)
		before := len(l.answers)
		b.Get(l.signed("SAMLRequest", hidden(request, with(plainName(name.Text(), name.Attr("Format")))), ""))
		if len(l.answers) == before {
			return b.Text()
		}
		return status(l.answers[before])
	}
	by := func(c *x509.Certificate, method string) func(string) string {
		return func(name string) string { return sealed(t, c, method, name) }
	}
	if got := bye(by(first, xmlenc.AES256GCM)); got != "Success" {
		t.Errorf("by the key in our metadata: %s", got)
	}
	for _, step := range []func() error{
		func() error { return g.front.AddKey(t.Context(), saml.RSA) },
		func() error { return g.front.Activate(t.Context(), saml.RSA) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]*x509.Certificate{"the former key": first, "the key in our metadata": g.reader()} {
			if got := bye(by(c, xmlenc.AES128GCM)); got != "Success" {
				t.Errorf("while keys change, by %s: %s", what, got)
			}
		}
	}
	if g.reader().Equal(first) {
		t.Error("services are still told to encrypt for the former key")
	}
	if err := g.front.Retire(t.Context(), saml.RSA); err != nil {
		t.Fatal(err)
	}
	for what, with := range map[string]func(string) string{
		"retired key":    by(first, xmlenc.AES256GCM),
		"CBC":            by(g.reader(), xmlenc.AES256CBC),
		"something else": func(string) string { return sealed(t, g.reader(), xmlenc.AES256GCM, "<x></x>") },
		"no XML":         func(string) string { return sealed(t, g.reader(), xmlenc.AES256GCM, "x") },
		"document type":  func(n string) string { return sealed(t, g.reader(), xmlenc.AES256GCM, "<!DOCTYPE x>"+n) },
		"comment": func(n string) string {
			return sealed(t, g.reader(), xmlenc.AES256GCM, strings.Replace(n, "</saml", "<!-- --></saml", 1))
		},
		"both forms":         func(n string) string { return n + sealed(t, g.reader(), xmlenc.AES256GCM, n) },
		"two":                func(n string) string { return strings.Repeat(sealed(t, g.reader(), xmlenc.AES256GCM, n), 2) },
		"two names in clear": func(n string) string { return n + n },
		"nothing in it":      func(string) string { return `<saml:EncryptedID xmlns:saml="` + metadata.SAML + `"></saml:EncryptedID>` },
	} {
		if got := bye(with); !strings.Contains(got, "its request is not right") {
			t.Errorf("%s: %s", what, got)
		}
		if !g.signedIn(b, l.id) {
			t.Errorf("%s ended the session", what)
		}
	}
	// By SOAP too.
	name, index := l.visit(b, "hanako")
	message, id := l.byCall(name, index, plainName(name.Text(), name.Attr("Format")), sealed(t, g.reader(), xmlenc.AES256GCM, plainName(name.Text(), name.Attr("Format"))))
	if strings.Contains(message, name.Text()) {
		t.Fatal("the name is in clear")
	}
	if got := g.ask(id, envelope(message)); got != "Success" {
		t.Errorf("by SOAP: %s", got)
	}
}

func TestEncryptedSubjectInRequests(t *testing.T) {
	g := open(t)
	g.service(library, nil)
	inside := func(name string) string {
		return `<saml:Subject xmlns:saml="` + metadata.SAML + `">` + name + `</saml:Subject>`
	}
	for name, c := range map[string]struct {
		subject string
		want    []string
	}{
		"who signs in":  {sealed(t, g.reader(), xmlenc.AES256GCM, plainName("hanako@example.ac.jp", "")), []string{"Success"}},
		"somebody else": {sealed(t, g.reader(), xmlenc.AES256GCM, plainName("jiro@example.ac.jp", "")), []string{"Responder", "UnknownPrincipal"}},
		"unreadable":    {sealed(t, g.reader(), xmlenc.AES256CBC, plainName("hanako@example.ac.jp", "")), []string{"Requester", "UnknownPrincipal"}},
	} {
		b := g.browser()
		b.Get(g.redirect(&asking{issuer: library, inside: inside(c.subject)}))
		if strings.Contains(b.Body, `name="password"`) || strings.Contains(b.Body, `name="username"`) {
			signIn(b, "hanako")
		}
		if r := g.response(b); !slices.Equal(r.status, c.want) {
			t.Errorf("%s: %v %s", name, r.status, r.message)
		}
	}
}

// opened reads the EncryptedID below n.
func (l *leaver) opened(n *xmldoc.Node) string {
	l.g.T.Helper()
	if find(n, "NameID") != nil {
		l.g.T.Errorf("a name in clear: %s", xmldoc.Canonical(n, nil, nil))
	}
	e := find(n, "EncryptedID")
	if e == nil {
		l.g.T.Fatalf("no encrypted name: %s", xmldoc.Canonical(n, nil, nil))
	}
	name, err := xmlenc.Decrypt(e.First(xmlenc.Space, "EncryptedData"), []*rsa.PrivateKey{l.key.key.(*rsa.PrivateKey)}, xmldoc.Limits{})
	if err != nil {
		l.g.T.Fatal(err)
	}
	if name.Attr("SPNameQualifier") != l.id || name.Attr("NameQualifier") != idp {
		l.g.T.Errorf("the name is %s", xmldoc.Canonical(name, nil, nil))
	}
	return name.Text()
}

func TestNamesAreEncryptedWhereTheServiceWantsIt(t *testing.T) {
	key, _ := pairs()
	private := key.key.(*rsa.PrivateKey)
	for how, change := range map[string]func(*saml.Registration){
		"registered":      func(r *saml.Registration) { r.Encrypt = "names" },
		"by its metadata": func(r *saml.Registration) { r.Formats = []string{metadata.Encrypted, metadata.Persistent} },
		"by its request":  func(*saml.Registration) {},
	} {
		g := open(t)
		g.Exit.Lead(g.front)
		l := g.leaver("sealed.example.org", change, func(r *saml.Registration) { r.Encryption = []metadata.Recipient{{Certificate: key.text()}} })
		b := g.browser()
		b.Serve(l.origin(), l)
		a := &asking{issuer: l.id}
		if how == "by its request" {
			a.inside = `<samlp:NameIDPolicy xmlns:samlp="` + metadata.SAMLP + `" Format="` + metadata.Encrypted + `"></samlp:NameIDPolicy>`
		}
		b.Get(g.redirect(a))
		r := g.response(signIn(b, "hanako"), private)
		name := l.opened(r.assertion.First(metadata.SAML, "Subject"))
		b.Get(origin + "/signout").Submit("Sign out")
		b.Get(strings.TrimPrefix(b.Header.Get("Refresh"), "0;url="))
		if len(l.heard) != 1 || l.opened(l.heard[0]) != name {
			t.Errorf("%s: the service heard %d requests at %s", how, len(l.heard), b.Location())
		}
	}
	g := open(t)
	g.service(library, nil)
	b := g.browser()
	b.Get(g.redirect(&asking{issuer: library, inside: `<samlp:NameIDPolicy xmlns:samlp="` + metadata.SAMLP + `" Format="` + metadata.Encrypted + `"></samlp:NameIDPolicy>`}))
	if r := g.response(b); !slices.Equal(r.status, []string{"Requester", "InvalidNameIDPolicy"}) {
		t.Errorf("without a certificate: %v", r.status)
	}
}
