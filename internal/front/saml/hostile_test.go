package saml_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/rp"
)

const (
	dsig = "http://www.w3.org/2000/09/xmldsig#"
	evil = "https://evil.example/acs"
)

func swap(s, old, new string) string { return strings.Replace(s, old, new, 1) }

// corpus lists messages for the POST binding that no provider may act upon.
func (g *gate) corpus(key, stranger *pair) map[string]string {
	s := g.signedRequest(key)
	id := s.text[strings.Index(s.text, ` ID="`)+5:]
	id = id[:strings.Index(id, `"`)]
	other := g.signedRequest(stranger)
	forged := s.forged("_forged")
	entity := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>`
	issuer := "<saml:Issuer xmlns:saml=\"" + metadata.SAML + "\">" + library + "</saml:Issuer>"
	at := func(instant string) string {
		text, _ := g.plain(&asking{issuer: library, instant: instant})
		return string(text)
	}
	out := map[string]string{
		// The content.
		"content: consumer added":             swap(s.text, "<samlp:AuthnRequest ", `<samlp:AuthnRequest AssertionConsumerServiceURL="`+evil+`" `),
		"content: passive taken in":           swap(s.text, "<samlp:AuthnRequest ", `<samlp:AuthnRequest IsPassive="true" `),
		"content: element added":              s.inside(s.text, `<samlp:NameIDPolicy AllowCreate="true"></samlp:NameIDPolicy>`),
		"content: white space added":          s.inside(s.text, " "),
		"content: other issuer":               swap(s.text, library, "https://other.example.org/sp"),
		"content: comment in the issuer":      swap(s.text, "library.example.org/sp</saml:Issuer>", "library.example.org/sp<!-- x -->.evil.example</saml:Issuer>"),
		"content: comment cuts the issuer":    swap(s.text, "<saml:Issuer xmlns:saml=\""+metadata.SAML+"\">", "<saml:Issuer xmlns:saml=\""+metadata.SAML+"\"><!---->"),
		"content: two issuers":                swap(s.text, s.signature, s.signature+issuer),
		"content: CDATA in the issuer":        swap(s.text, library+"<", "<![CDATA["+library+"]]><"),
		"content: element in the issuer":      swap(s.text, library+"<", library+"<x></x><"),
		"content: processing instruction":     swap(s.text, s.signature, s.signature+"<?x y?>"),
		"content: namespace of another maker": strings.ReplaceAll(s.text, metadata.SAMLP, "urn:oasis:names:tc:SAML:1.0:protocol"),
		// Entities and encodings.
		"entity: document type":     `<!DOCTYPE samlp:AuthnRequest>` + s.text,
		"entity: expansion":         entity + swap(s.text, library+"<", library+"&b;<"),
		"entity: external":          `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + swap(s.text, library+"<", "&e;<"),
		"entity: parameter":         `<!DOCTYPE x [<!ENTITY % e SYSTEM "http://evil.example/x.dtd"> %e;]>` + s.text,
		"entity: default attribute": `<!DOCTYPE x [<!ATTLIST samlp:AuthnRequest ID ID #IMPLIED>]>` + s.text,
		"encoding: UTF-7":           `<?xml version="1.0" encoding="UTF-7"?>` + s.text,
		"encoding: UTF-16":          "\xff\xfe" + s.text,
		"encoding: XML 1.1":         `<?xml version="1.1"?>` + s.text,
		"encoding: broken UTF-8":    swap(s.text, "library", "libr\xe3ry"),
		"encoding: null":            swap(s.text, "library", "libr\x00ry"),
		// Transforms and algorithms.
		"transform: XSLT":                     swap(s.text, dsig+"enveloped-signature", "http://www.w3.org/TR/1999/REC-xslt-19991116"),
		"transform: XPath":                    swap(s.text, "</ds:Transforms>", `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>ancestor-or-self::x</ds:XPath></ds:Transform></ds:Transforms>`),
		"transform: base64":                   swap(s.text, "</ds:Transforms>", `<ds:Transform Algorithm="`+dsig+`base64"></ds:Transform></ds:Transforms>`),
		"transform: none":                     s.text[:strings.Index(s.text, "<ds:Transforms>")] + s.text[strings.Index(s.text, "</ds:Transforms>")+len("</ds:Transforms>"):],
		"transform: enveloped twice":          swap(s.text, "<ds:Transforms>", `<ds:Transforms><ds:Transform Algorithm="`+dsig+`enveloped-signature"></ds:Transform>`),
		"transform: inclusive":                strings.ReplaceAll(s.text, "http://www.w3.org/2001/10/xml-exc-c14n#", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
		"transform: with comments":            strings.ReplaceAll(s.text, "xml-exc-c14n#", "xml-exc-c14n#WithComments"),
		"algorithm: SHA-1 signature":          swap(s.text, "xmldsig-more#rsa-sha256", "xmldsig-more#rsa-sha1"),
		"algorithm: SHA-1 digest":             swap(s.text, "http://www.w3.org/2001/04/xmlenc#sha256", dsig+"sha1"),
		"algorithm: MD5":                      swap(s.text, "xmldsig-more#rsa-sha256", "xmldsig-more#rsa-md5"),
		"algorithm: HMAC with the public key": swap(s.text, "xmldsig-more#rsa-sha256", "xmldsig-more#hmac-sha256"),
		"algorithm: none":                     swap(s.text, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", ""),
		"algorithm: of another kind of key":   swap(s.text, "xmldsig-more#rsa-sha256", "xmldsig-more#ecdsa-sha256"),
		"algorithm: another hash":             swap(s.text, "xmldsig-more#rsa-sha256", "xmldsig-more#rsa-sha512"),
		// References.
		"reference: empty":       swap(s.text, `URI="#`+id+`"`, `URI=""`),
		"reference: none":        swap(s.text, ` URI="#`+id+`"`, ""),
		"reference: to nothing":  swap(s.text, `URI="#`+id+`"`, `URI="#nothing"`),
		"reference: external":    swap(s.text, `URI="#`+id+`"`, `URI="https://evil.example/x.xml"`),
		"reference: file":        swap(s.text, `URI="#`+id+`"`, `URI="file:///etc/passwd"`),
		"reference: pointer":     swap(s.text, `URI="#`+id+`"`, `URI="#xpointer(/)"`),
		"reference: two":         swap(s.text, "</ds:Reference>", `</ds:Reference><ds:Reference URI="#x"></ds:Reference>`),
		"reference: in manifest": swap(s.text, "<ds:Reference ", "<ds:Manifest></ds:Manifest><ds:Reference "),
		"reference: no digest":   s.text[:strings.Index(s.text, "<ds:DigestValue>")+16] + s.text[strings.Index(s.text, "</ds:DigestValue>"):],
		// Keys.
		"key: a stranger's":                         other.text,
		"key: a stranger's, our certificate inside": swap(other.text, stranger.text(), key.text()),
		"key: none":            s.bare,
		"key: empty value":     s.text[:strings.Index(s.text, "<ds:SignatureValue>")+19] + s.text[strings.Index(s.text, "</ds:SignatureValue>"):],
		"key: value cut short": swap(s.text, "</ds:SignatureValue>", "AA</ds:SignatureValue>"),
		"key: from an address": swap(swap(other.text, "<ds:X509Data>", `<ds:RetrievalMethod URI="https://evil.example/key"></ds:RetrievalMethod><ds:X509Data>`), stranger.text(), key.text()),
		// Shape and size.
		"shape: another message":    strings.ReplaceAll(s.bare, "AuthnRequest", "LogoutRequest"),
		"shape: a response":         strings.ReplaceAll(s.bare, "AuthnRequest", "Response"),
		"shape: SAML 1.1":           swap(s.bare, `Version="2.0"`, `Version="1.1"`),
		"shape: no id":              swap(s.bare, ` ID="`+id+`"`, ""),
		"shape: not XML":            "SAMLRequest",
		"shape: nothing":            " ",
		"size: deep":                s.inside(s.bare, strings.Repeat("<x>", 60)+strings.Repeat("</x>", 60)),
		"size: wide":                s.inside(s.bare, strings.Repeat("<x></x>", 20_000)),
		"size: long":                s.inside(s.bare, "<x>"+strings.Repeat("a", 70<<10)+"</x>"),
		"size: attributes":          s.inside(s.bare, "<x "+strings.Repeat("a", 1)+manyAttributes()+"></x>"),
		"time: past":                at(g.Clock.Now().Add(-time.Hour).UTC().Format(time.RFC3339)),
		"time: future":              at(g.Clock.Now().Add(time.Hour).UTC().Format(time.RFC3339)),
		"time: none":                swap(s.bare, "IssueInstant", "Instant"),
		"time: no time":             at("yesterday"),
		"place: another provider":   strings.ReplaceAll(s.bare, sso, "https://other.example.ac.jp/saml/sso"),
		"place: another path":       strings.ReplaceAll(s.bare, sso, origin+"/saml/start"),
		"place: host as prefix":     strings.ReplaceAll(s.bare, sso, origin+".evil.example/saml/sso"),
		"place: consumer unknown":   forged,
		"place: consumer's prefix":  strings.ReplaceAll(forged, evil, consumer(library)+"/../evil"),
		"place: consumer's case":    strings.ReplaceAll(forged, evil, strings.ToUpper(consumer(library))),
		"place: consumer's index":   swap(s.bare, "<samlp:AuthnRequest ", `<samlp:AuthnRequest AssertionConsumerServiceIndex="3" `),
		"place: index and address":  swap(strings.ReplaceAll(forged, evil, consumer(library)), "<samlp:AuthnRequest ", `<samlp:AuthnRequest AssertionConsumerServiceIndex="0" `),
		"place: another binding":    swap(s.bare, "<samlp:AuthnRequest ", `<samlp:AuthnRequest ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact" `),
		"place: service unknown":    strings.ReplaceAll(s.bare, library, "https://nobody.example.org/sp"),
		"place: service's white":    strings.ReplaceAll(s.bare, library, "https://library.example.org/ sp"),
		"place: issuer of a format": swap(s.bare, "<saml:Issuer ", `<saml:Issuer Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress" `),
	}
	maps.Copy(out, s.wrapped(other))
	maps.Copy(out, s.twisted(key, stranger))
	return out
}

func manyAttributes() string {
	var out strings.Builder
	for i := range 100 {
		fmt.Fprintf(&out, `="1" a%d`, i)
	}
	return out.String() + `="1"`
}

func TestHostileMessagesAreRefused(t *testing.T) {
	g := open(t)
	key, _ := pairs()
	stranger := newPair(t, freshKey(t))
	g.service(library, func(r *saml.Registration) { r.Signing, r.RequestsSigned = []string{key.text()}, true })
	b := g.browser()
	sound := g.signedRequest(key)
	b.ForeignPost("https://library.example.org", "/saml/sso", url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(sound.text))}})
	if b.Status >= 400 {
		t.Fatalf("the sound one is refused: %s", b.Text())
	}
	corpus := g.corpus(key, &stranger)
	if len(corpus) < 140 {
		t.Errorf("only %d messages", len(corpus))
	}
	for name, text := range corpus {
		if text == sound.text {
			t.Errorf("%s changes nothing", name)
		}
		g.refused(t, sso, name, url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(text))}})
	}
	t.Logf("%d hostile messages", len(corpus))
	// The ways in which base64 and forms can be bent.
	whole := base64.StdEncoding.EncodeToString([]byte(sound.text))
	for name, v := range map[string]url.Values{
		"base64: url alphabet":   {"SAMLRequest": {strings.NewReplacer("+", "-", "/", "_").Replace(base64.StdEncoding.EncodeToString([]byte(sound.text + " ??>>")))}},
		"base64: padding cut":    {"SAMLRequest": {strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(sound.text+strings.Repeat(" ", 3-len(sound.text)%3+1))), "=") + "*"}},
		"base64: junk":           {"SAMLRequest": {whole[:40] + "!" + whole[40:]}},
		"form: twice":            {"SAMLRequest": {whole, whole}},
		"form: two relays":       {"SAMLRequest": {whole}, "RelayState": {"a", "b"}},
		"form: long relay":       {"SAMLRequest": {whole}, "RelayState": {strings.Repeat("a", 5000)}},
		"form: nothing":          {},
		"base64: two pieces":     {"SAMLRequest": {whole + whole}},
		"base64: after its end":  {"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(sound.text+strings.Repeat(" ", 3-len(sound.text)%3+1))) + "AAAA"}},
		"base64: no-break space": {"SAMLRequest": {whole[:40] + "\u00a0" + whole[40:]}},
		"base64: vertical tab":   {"SAMLRequest": {whole[:40] + "\v" + whole[40:]}},
		"base64: null":           {"SAMLRequest": {whole[:40] + "\x00" + whole[40:]}},
		"base64: stray bits":     {"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(sound.text + strings.Repeat(" ", 3-len(sound.text)%3)))[:len(whole)/4*4-4] + "PR=="}},
		"base64: armour":         {"SAMLRequest": {"-----BEGIN-----\n" + whole + "\n-----END-----"}},
		"base64: twice":          {"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(whole))}},
		"base64: deflated":       {"SAMLRequest": {deflated([]byte(sound.text))}},
		"form: null in relay":    {"SAMLRequest": {whole}, "RelayState": {"a\x00b"}},
		"form: other name":       {"samlrequest": {whole}, "SAMLrequest": {whole}},
	} {
		g.refused(t, sso, name, v)
	}
}

// refused posts a message and wants a calm page: no sign-in, no response, no redirect.
func (g *gate) refused(t *testing.T, address, name string, v url.Values) {
	t.Helper()
	before := len(g.events("request.refused"))
	b := g.browser()
	b.Address = g.Stranger()
	b.ForeignPost("https://library.example.org", address, v)
	if b.Status < 400 || b.Status >= 500 || b.Left() || strings.Contains(b.Body, "SAMLResponse") || strings.Contains(b.Body, `name="username"`) {
		t.Errorf("%s: %d at %s\n%s", name, b.Status, b.Location(), b.Text())
	}
	if len(g.events("request.refused")) != before+1 && before < 100 {
		t.Errorf("%s is not on record", name)
	}
}

func TestHostileRedirects(t *testing.T) {
	g := open(t)
	key, _ := pairs()
	stranger := newPair(t, freshKey(t))
	g.service(library, func(r *saml.Registration) { r.Signing, r.RequestsSigned = []string{key.text()}, true })
	g.service("https://open.example.org/sp", func(r *saml.Registration) { r.Signing = []string{key.text()} })
	sound := g.redirect(&asking{issuer: library, sign: key, relay: "r"})
	if b := g.browser().Get(sound); !strings.Contains(b.Body, `name="username"`) {
		t.Fatalf("the sound one is refused: %s", b.Text())
	}
	parts := func() url.Values {
		u, _ := url.Parse(sound)
		return u.Query()
	}
	encode := func(v url.Values, order ...string) string {
		var out []string
		for _, k := range order {
			for _, x := range v[k] {
				out = append(out, k+"="+url.QueryEscape(x))
			}
		}
		return "/saml/sso?" + strings.Join(out, "&")
	}
	all := []string{"SAMLRequest", "RelayState", "SigAlg", "Signature"}
	other := g.redirect(&asking{issuer: library, sign: key})
	ou, _ := url.Parse(other)
	change := func(fn func(url.Values)) string {
		v := parts()
		fn(v)
		return encode(v, all...)
	}
	raw := strings.TrimPrefix(sound, "/saml/sso?")
	signed := parts().Get("SigAlg")
	bomb := deflated([]byte("<a>" + strings.Repeat("a", 10<<20) + "</a>"))
	for name, address := range map[string]string{
		"no signature":             encode(parts(), "SAMLRequest", "RelayState"),
		"signature without method": encode(parts(), "SAMLRequest", "RelayState", "Signature"),
		"method without signature": encode(parts(), "SAMLRequest", "RelayState", "SigAlg"),
		"other relay":              change(func(v url.Values) { v.Set("RelayState", "evil") }),
		"relay removed":            change(func(v url.Values) { v.Del("RelayState") }),
		"relay emptied":            change(func(v url.Values) { v.Set("RelayState", "") }),
		"another's signature":      change(func(v url.Values) { v.Set("Signature", ou.Query().Get("Signature")) }),
		"another's request":        change(func(v url.Values) { v.Set("SAMLRequest", ou.Query().Get("SAMLRequest")) }),
		"SHA-1":                    change(func(v url.Values) { v.Set("SigAlg", "http://www.w3.org/2000/09/xmldsig#rsa-sha1") }),
		"other hash":               change(func(v url.Values) { v.Set("SigAlg", xmlsig.RSASHA512) }),
		"other kind":               change(func(v url.Values) { v.Set("SigAlg", xmlsig.ECDSASHA256) }),
		"request twice":            sound + "&SAMLRequest=" + url.QueryEscape(ou.Query().Get("SAMLRequest")),
		"request twice, first":     strings.Replace(sound, "?", "?SAMLRequest="+url.QueryEscape(ou.Query().Get("SAMLRequest"))+"&", 1),
		"relay twice":              sound + "&RelayState=evil",
		"signature twice":          sound + "&Signature=AAAA",
		"other encoding":           sound + "&SAMLEncoding=urn%3Anone",
		"a stranger's":             g.redirect(&asking{issuer: library, sign: &stranger}),
		"a stranger's, optional":   g.redirect(&asking{issuer: "https://open.example.org/sp", sign: &stranger}),
		"no destination":           g.redirect(&asking{issuer: library, sign: key, destination: "-"}),
		"not deflated":             "/saml/sso?SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("<x></x>"))),
		"bomb":                     "/saml/sso?SAMLRequest=" + url.QueryEscape(bomb),
		"nothing":                  "/saml/sso",
		"forged sealed request":    "/saml/go?r=" + base64.RawURLEncoding.EncodeToString([]byte(`{"party":"`+library+`","consumer":"`+evil+`"}`)),
		"empty sealed request":     "/saml/go",
		"name in capitals":         "/saml/sso?" + strings.Replace(raw, "SAMLRequest=", "SAMLREQUEST=", 1),
		"name escaped":             "/saml/sso?" + strings.Replace(raw, "SAMLRequest=", "%53AMLRequest=", 1),
		"signature's name escaped": "/saml/sso?" + strings.Replace(raw, "Signature=", "%53ignature=", 1),
		"relay's name escaped":     "/saml/sso?" + strings.Replace(raw, "RelayState=", "Relay%53tate=", 1),
		"escaped in small letters": "/saml/sso?" + strings.Replace(raw, "%3A%2F%2F", "%3a%2f%2f", 1),
		"escaped more":             "/saml/sso?" + strings.Replace(raw, "SigAlg=http", "SigAlg=%68ttp", 1),
		"escaped less":             "/saml/sso?" + strings.Replace(raw, "%3A%2F%2F", "://", 1),
		"relay escaped otherwise":  "/saml/sso?" + strings.Replace(raw, "RelayState=r", "RelayState=%72", 1),
		"parted by semicolons":     "/saml/sso?" + strings.ReplaceAll(raw, "&", ";"),
		"method twice":             sound + "&SigAlg=" + url.QueryEscape(signed),
		"empty second request":     sound + "&SAMLRequest=",
		"method of HMAC":           change(func(v url.Values) { v.Set("SigAlg", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256") }),
		"no method":                change(func(v url.Values) { v.Set("SigAlg", "") }),
		"method with white space":  change(func(v url.Values) { v.Set("SigAlg", " "+signed) }),
		"empty signature":          change(func(v url.Values) { v.Set("Signature", "") }),
		"signature of zeros":       change(func(v url.Values) { v.Set("Signature", base64.StdEncoding.EncodeToString(make([]byte, 256))) }),
		"sealed for sign-out":      "/saml/slo/go?r=" + base64.RawURLEncoding.EncodeToString(g.Ring.Seal("/saml/go", []byte(`{"party":"`+library+`"}`))),
		"sealed for another room":  "/saml/go?r=" + base64.RawURLEncoding.EncodeToString(g.Ring.Seal("/saml/slo/go", []byte(`{"party":"`+library+`","consumer":"`+evil+`"}`))),
	} {
		b := g.browser().Get(address)
		if b.Status < 400 || b.Status >= 500 || b.Left() || strings.Contains(b.Body, "SAMLResponse") || strings.Contains(b.Body, `name="username"`) {
			t.Errorf("%s: %d at %s\n%s", name, b.Status, b.Location(), b.Text())
		}
	}
}

// What the person is told is calm; what the desk learns is exact (R3, B3).
func TestRefusalsNameTheField(t *testing.T) {
	g := open(t)
	key, _ := pairs()
	stranger := newPair(t, freshKey(t))
	home := func(p *rp.Party) { p.HomeURL = "https://home.example.org/" }
	g.service(library, func(r *saml.Registration) { r.Signing = []string{key.text()} }, home)
	g.service("https://old.example.org/sp", func(r *saml.Registration) { r.ValidUntil = g.Clock.Now().Add(time.Hour) }, home)
	now := g.Clock.Now()
	for _, c := range []struct {
		name                 string
		a                    asking
		code, field, fact, v string
		says                 string
	}{
		{"address", asking{attrs: []string{"AssertionConsumerServiceURL", evil}}, "R3.redirect", "AssertionConsumerServiceURL", "sent", evil, "not set up correctly"},
		{"unknown", asking{issuer: "https://nobody.example.org/sp"}, "R3.unknown", "Issuer", "sent", "https://nobody.example.org/sp", "not registered here"},
		{"signature", asking{sign: &stranger}, "R3.signature", "Signature", "", "", "not set up correctly"},
		{"place", asking{destination: origin + "/elsewhere"}, "R3.request", "Destination", "registered", sso, "not set up correctly"},
		{"fast", asking{instant: now.Add(10 * time.Minute).UTC().Format(time.RFC3339)}, "B3.fast", "IssueInstant", "seconds", "600", "not set up correctly"},
		{"slow", asking{instant: now.Add(-time.Hour).UTC().Format(time.RFC3339)}, "B3.slow", "IssueInstant", "seconds", "3600", "open for a long time"},
		{"metadata", asking{issuer: "https://old.example.org/sp", instant: now.Add(2 * time.Hour).UTC().Format(time.RFC3339)}, "R3.metadata", "validUntil", "", "", "not set up correctly"},
	} {
		name := c.name
		if name == "metadata" {
			g.Clock.Add(2 * time.Hour)
		}
		c.a.issuer = or(c.a.issuer, library)
		for lang, words := range map[string]string{"en": c.says, "ja": ""} {
			b := g.browser()
			b.Accept = lang
			b.Get(g.redirect(&c.a)).WantStatus(400).Want(words)
			e := g.events("request.refused")[0]
			if e.Facts["code"] != c.code || e.Facts["field"] != c.field || c.fact != "" && e.Facts[c.fact] != c.v || e.Support == "" || !strings.Contains(b.Body, e.Support) {
				t.Errorf("%s: %+v\n%s", name, e, b.Text())
			}
			// The service is named as it is registered, with a way there and somebody to ask;
			// nothing of what was sent is shown.
			known := c.code != "R3.unknown"
			if strings.Contains(b.Body, "The "+c.a.issuer) != known || strings.Contains(b.Body, `href="https://home.example.org/"`) != known {
				t.Errorf("%s: the service is named %v\n%s", name, !known, b.Body)
			}
			if !strings.Contains(b.Body, `href="/help/contact"`) || strings.Contains(b.Body, evil) || !known && (strings.Contains(b.Body, "nobody.example.org") || !strings.Contains(b.Body, `href="/portal"`)) {
				t.Errorf("%s: ways on are missing, or foreign text is shown\n%s", name, b.Body)
			}
		}
	}
}

func FuzzPost(f *testing.F) {
	g := open(f)
	key, _ := pairs()
	stranger := newPair(f, freshKey(f))
	g.service(library, func(r *saml.Registration) { r.Signing, r.RequestsSigned = []string{key.text()}, true })
	for _, text := range g.corpus(key, &stranger) {
		if len(text) < 10_000 {
			f.Add(text)
		}
	}
	sound := g.signedRequest(key)
	f.Add(sound.text)
	root, err := xmldoc.Parse([]byte(sound.bare), xmldoc.Limits{})
	if err != nil {
		f.Fatal(err)
	}
	want := string(xmldoc.Canonical(root, nil, nil))
	public := key.key.Public()
	f.Fuzz(func(t *testing.T, text string) {
		n, err := xmldoc.Parse([]byte(text), xmldoc.Limits{})
		if err != nil {
			return
		}
		seen, err := xmlsig.Verify(n, []cryptoKey{public}, xmldoc.Limits{})
		if err == nil && string(xmldoc.Canonical(seen, nil, nil)) != want {
			t.Errorf("forged: %q", text)
		}
	})
}
