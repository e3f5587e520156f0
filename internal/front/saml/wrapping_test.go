package saml_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
)

// signedRequest is a sound signed message in its parts, for attackers to bend.
type signedRequest struct {
	text, signature, bare, root string
	// lie turns the bare message into what the attacker wants to be believed.
	lie func(bare string) string
}

func signMessage(t testing.TB, root string, plain []byte, id string, at int, key *pair, lie func(string) string) signedRequest {
	t.Helper()
	bare := string(plain)
	text, err := xmlsig.Sign(plain, id, at, xmlsig.Key{Signer: key.key, Certificate: key.cert})
	if err != nil {
		t.Fatal(err)
	}
	from := strings.Index(string(text), "<ds:Signature")
	to := strings.Index(string(text), "</ds:Signature>") + len("</ds:Signature>")
	return signedRequest{string(text), string(text)[from:to], bare, root, lie}
}

func (g *gate) signedRequest(key *pair) signedRequest {
	g.T.Helper()
	a := &asking{issuer: library, id: "_sound" + serial()}
	plain, at := g.plain(a)
	return signMessage(g.T, "AuthnRequest", plain, a.id, at, key, func(bare string) string {
		return strings.Replace(bare, "<samlp:AuthnRequest ", `<samlp:AuthnRequest AssertionConsumerServiceURL="`+evil+`" `, 1)
	})
}

func (s signedRequest) id() string {
	id := s.text[strings.Index(s.text, ` ID="`)+5:]
	return id[:strings.Index(id, `"`)]
}

// forged is a message that says what the attacker wants, under an id.
func (s signedRequest) forged(id string) string {
	out := s.lie(s.bare)
	from := strings.Index(out, ` ID="`) + 5
	return out[:from] + id + out[from+strings.Index(out[from:], `"`):]
}

// inside puts text before the end of a message.
func (s signedRequest) inside(message, text string) string {
	return swap(message, "</samlp:"+s.root+">", text+"</samlp:"+s.root+">")
}

// first puts text behind the Issuer of a message.
func first(message, text string) string {
	return swap(message, "</saml:Issuer>", "</saml:Issuer>"+text)
}

// wrapped lists every way to keep a signature valid while something else is read: XSW 1
// to 8 of Somorovsky and others as far as a request has a place for them, and what was
// found in libraries since.
func (s signedRequest) wrapped(other signedRequest) map[string]string {
	id := s.id()
	forged, same := s.forged("_forged"), s.forged(id)
	digest := s.text[strings.Index(s.text, "<ds:DigestValue>"):]
	digest = digest[:strings.Index(digest, "</ds:DigestValue>")+len("</ds:DigestValue>")]
	moved := strings.Replace(digest, "<ds:DigestValue>", `<ds:DigestValue xmlns:ds="`+dsig+`">`, 1)
	info := s.text[strings.Index(s.text, "<ds:SignedInfo>"):]
	info = info[:strings.Index(info, "</ds:SignedInfo>")+len("</ds:SignedInfo>")]
	return map[string]string{
		"wrap: signed original inside the signature's object": swap(s.inside(forged, s.signature), "</ds:SignatureValue>", "</ds:SignatureValue><ds:Object>"+s.bare+"</ds:Object>"),
		"wrap: forged inside the signature's object":          swap(s.text, "</ds:SignatureValue>", "</ds:SignatureValue><ds:Object>"+forged+"</ds:Object>"),
		"wrap: original with its signature in an object":      s.inside(forged, `<ds:Object xmlns:ds="`+dsig+`">`+s.text+"</ds:Object>"),
		"wrap: signed original as the last child":             s.inside(first(forged, s.signature), s.bare),
		"wrap: signed original with its signature inside":     s.inside(forged, s.text),
		"wrap: signed original first":                         first(forged, s.text),
		"wrap: forged around, signature moved up":             first(forged, s.signature+s.bare),
		"wrap: forged inside the signed original":             s.inside(s.text, forged),
		"wrap: forged first in the signed original":           first(s.text, forged),
		"wrap: original in Extensions":                        first(forged, "<samlp:Extensions>"+s.text+"</samlp:Extensions>"),
		"wrap: original without signature in Extensions":      first(forged, s.signature+"<samlp:Extensions>"+s.bare+"</samlp:Extensions>"),
		"wrap: signature alone in Extensions":                 first(s.bare, "<samlp:Extensions>"+s.signature+"</samlp:Extensions>"),
		"wrap: same id twice":                                 s.inside(first(same, s.signature), s.bare),
		"wrap: same id, forged second":                        s.inside(s.text, same),
		"wrap: same id by xml:id":                             s.inside(s.text, `<samlp:Extensions xml:id="`+id+`"></samlp:Extensions>`),
		"wrap: same id by Id":                                 s.inside(s.text, `<samlp:Extensions Id="`+id+`"></samlp:Extensions>`),
		"wrap: same id by a reference":                        s.inside(first(strings.Replace(same, ` ID="_`, ` ID="&#x5f;`, 1), s.signature), s.bare),
		"wrap: same id by a reference, decimal":               s.inside(s.text, strings.Replace(same, ` ID="_`, ` ID="&#95;`, 1)),
		"wrap: two roots":                                     s.text + forged,
		"wrap: two roots, forged first":                       forged + s.text,
		"wrap: signature in a wrapper element":                "<wrapper>" + s.text + "</wrapper>",
		"wrap: second signature of a stranger":                swap(s.text, s.signature, s.signature+other.signature),
		"wrap: stranger's signature first":                    swap(s.text, s.signature, other.signature+s.signature),
		"wrap: same signature twice":                          swap(s.text, s.signature, s.signature+s.signature),
		"wrap: signature below Issuer":                        first(swap(s.text, s.signature, ""), "<samlp:Extensions>"+s.signature+"</samlp:Extensions>"),
		"wrap: signature in the Issuer":                       swap(s.bare, "</saml:Issuer>", s.signature+"</saml:Issuer>"),
		"wrap: the digest from elsewhere":                     first(forged, s.signature+"<samlp:Extensions>"+moved+"</samlp:Extensions>"),
		"wrap: two digests":                                   swap(s.text, digest, digest+digest),
		"wrap: two SignedInfo":                                swap(s.text, info, info+info),
		"wrap: stranger's SignedInfo second":                  swap(s.text, info, info+strings.Replace(info, id, "_forged", 1)),
		"wrap: comment in the digest":                         swap(s.text, "<ds:DigestValue>", "<ds:DigestValue><!-- x -->"),
		"wrap: comment in the signature's value":              swap(s.text, "<ds:SignatureValue>", "<ds:SignatureValue><!-- x -->"),
		"wrap: signature of another namespace":                strings.ReplaceAll(s.text, dsig, "urn:evil"),
	}
}

// twisted lists what parsers, canonicalisers and keys have been confused by.
func (s signedRequest) twisted(key, stranger *pair) map[string]string {
	id, root := s.id(), "<samlp:"+s.root+" "
	mac := func(secret []byte) string {
		text := swap(s.text, "xmldsig-more#rsa-sha256", "xmldsig-more#hmac-sha256")
		info := text[strings.Index(text, "<ds:SignedInfo>"):]
		info = strings.Replace(info[:strings.Index(info, "</ds:SignedInfo>")+len("</ds:SignedInfo>")], "<ds:SignedInfo>", `<ds:SignedInfo xmlns:ds="`+dsig+`">`, 1)
		h := hmac.New(sha256.New, secret)
		h.Write([]byte(info))
		from := strings.Index(text, "<ds:SignatureValue>") + len("<ds:SignatureValue>")
		return text[:from] + base64.StdEncoding.EncodeToString(h.Sum(nil)) + text[strings.Index(text, "</ds:SignatureValue>"):]
	}
	value := func(v []byte) string {
		from := strings.Index(s.text, "<ds:SignatureValue>") + len("<ds:SignatureValue>")
		return s.text[:from] + base64.StdEncoding.EncodeToString(v) + s.text[strings.Index(s.text, "</ds:SignatureValue>"):]
	}
	public, err := x509.MarshalPKIXPublicKey(key.key.Public())
	if err != nil {
		panic(err)
	}
	other := `<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>`
	keyInfo := s.text[strings.Index(s.text, "<ds:KeyInfo>"):]
	keyInfo = keyInfo[:strings.Index(keyInfo, "</ds:KeyInfo>")+len("</ds:KeyInfo>")]
	bent := s.lie(s.text)
	return map[string]string{
		// Names and namespaces.
		"name: id of a namespace":         swap(s.text, ` ID="`, ` samlp:ID="`),
		"name: id of a namespace beside":  swap(s.text, root, root+`samlp:ID="_x" `),
		"name: id in small letters":       swap(s.text, ` ID="`, ` id="`),
		"name: attribute without a name":  swap(s.text, root, root+`:x="1" `),
		"name: two colons":                swap(s.text, root, root+`a:b:c="1" `),
		"name: element without a name":    s.inside(s.text, "<:x></:x>"),
		"name: prefix not declared":       s.inside(s.text, "<evil:x></evil:x>"),
		"name: letters beyond ASCII":      s.inside(s.text, "<\u0455aml></\u0455aml>"),
		"namespace: relative":             swap(s.text, root, root+`xmlns:x="1" x:y="1" `),
		"namespace: empty prefix":         swap(s.text, root, root+`xmlns:="urn:x" `),
		"namespace: taken back":           s.inside(s.text, `<x xmlns:samlp=""></x>`),
		"namespace: of xml":               swap(s.text, root, root+`xmlns:xml="urn:x" `),
		"namespace: of xmlns":             swap(s.text, root, root+`xmlns:x="http://www.w3.org/2000/xmlns/" x:y="1" `),
		"namespace: xmlns declared":       swap(s.text, root, root+`xmlns:xmlns="urn:x" `),
		"namespace: two for one prefix":   swap(s.text, root, root+`xmlns:samlp="urn:x" `),
		"namespace: default by reference": swap(bent, "xmlns:samlp", "xmlns&#58;samlp"),
		"attribute: twice":                swap(s.text, root, root+`Version="2.0" `),
		"attribute: twice by namespace":   swap(s.text, root, root+`xmlns:a="urn:a" xmlns:b="urn:a" a:x="1" b:x="2" `),
		"attribute: xml:space":            swap(bent, root, root+`xml:space="preserve" `),
		"attribute: xml:base":             swap(s.text, root, root+`xml:base="https://evil.example/" `),
		// Letters.
		"encoding: UTF-16 without a mark": "\x00" + strings.Join(strings.Split(s.text, ""), "\x00"),
		"encoding: UTF-16, big end first": "\xfe\xff" + s.text,
		"encoding: UTF-7 text":            strings.NewReplacer("<", "+ADw-", ">", "+AD4-").Replace(s.text),
		"encoding: two marks":             "\ufeff\ufeff" + s.text,
		"encoding: mark inside":           swap(s.text, library, library+"\ufeff"),
		"encoding: overlong":              swap(s.text, "library", "l\xc1\xa9brary"),
		"encoding: surrogate":             swap(s.text, "library", "l\xed\xa0\x80brary"),
		"encoding: late declaration":      " <?xml version=\"1.0\"?>" + s.text,
		"encoding: EBCDIC":                `<?xml version="1.0" encoding="IBM037"?>` + s.text,
		"reference: null character":       swap(s.text, library+"<", library+"&#0;<"),
		"reference: of another number":    swap(s.text, library+"<", library+"&#x110000;<"),
		"reference: endless":              swap(s.text, library+"<", library+"&#x"+strings.Repeat("0", 200)+"41;<"),
		"reference: entity of HTML":       swap(s.text, library+"<", library+"&nbsp;<"),
		// Keys and algorithms.
		"key: HMAC with the public key":      mac(public),
		"key: HMAC with the certificate":     mac(key.cert),
		"key: HMAC with its text":            mac([]byte(key.text())),
		"key: HMAC with nothing":             mac(nil),
		"key: shortened HMAC":                swap(mac(public), `hmac-sha256"></ds:SignatureMethod>`, `hmac-sha256"><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>`),
		"key: its own in KeyValue":           swap(bent, keyInfo, other),
		"key: a stranger's certificate":      swap(bent, key.text(), stranger.text()),
		"key: value of zeros":                value(make([]byte, 256)),
		"key: value of one":                  value(append(make([]byte, 255), 1)),
		"key: value too long":                value(make([]byte, 257)),
		"algorithm: DSA":                     swap(s.text, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", dsig+"dsa-sha1"),
		"algorithm: with a query":            swap(s.text, "xmldsig-more#rsa-sha256", "xmldsig-more#rsa-sha256?x"),
		"algorithm: with white space":        swap(s.text, `xmldsig-more#rsa-sha256"`, `xmldsig-more#rsa-sha256 "`),
		"algorithm: two methods":             swap(s.text, "<ds:Reference ", `<ds:SignatureMethod Algorithm="x"></ds:SignatureMethod><ds:Reference `),
		"canonical: of another namespace":    swap(s.text, "<ds:CanonicalizationMethod ", `<CanonicalizationMethod xmlns="urn:evil" `),
		"canonical: prefixes as a transform": swap(bent, "</ds:Transforms>", `<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"></ds:Transform></ds:Transforms>`),
		"reference: to the id, encoded":      swap(bent, `URI="#`+id, `URI="#%5f`+id[1:]),
		"reference: by its type":             swap(bent, `<ds:Reference `, `<ds:Reference Type="`+dsig+`Object" `),
		"reference: by name":                 swap(s.text, `URI="#`+id+`"`, `URI="#xpointer(id('`+id+`'))"`),
	}
}

// The same against sign-out by POST: whatever keeps a signature valid must not end
// anybody's session.
func TestHostileLogoutsByPost(t *testing.T) {
	g := open(t)
	g.Person("jiro")
	key, _ := pairs()
	stranger := newPair(t, freshKey(t))
	l := g.leaver("asker.example.org")
	victim, own := g.browser(), g.browser()
	name, index := l.visit(victim, "hanako")
	mine, ownIndex := l.visit(own, "jiro")
	bare, id, at := l.request(mine, ownIndex)
	lie := func(text string) string {
		return strings.NewReplacer(mine.Text(), name.Text(), ownIndex, index).Replace(text)
	}
	s := signMessage(t, "LogoutRequest", bare, id, at, key, lie)
	bare, id, at = l.request(mine, ownIndex)
	other := signMessage(t, "LogoutRequest", bare, id, at, &stranger, lie)
	corpus := s.wrapped(other)
	for what, text := range s.twisted(key, &stranger) {
		if text != s.text { // what bends the library's Issuer bends nothing here
			corpus[what] = text
		}
	}
	cutName := strings.Replace(s.text, "</saml:NameID>", "<!-- x --></saml:NameID>", 1)
	for what, text := range map[string]string{
		"forged, unsigned":      lie(s.bare),
		"forged, signed before": lie(s.text),
		"comment in the name":   cutName,
		"two names":             s.inside(s.text, `<saml:NameID xmlns:saml="`+metadata.SAML+`">`+name.Text()+`</saml:NameID>`),
		"another index":         s.inside(s.text, `<samlp:SessionIndex>`+index+`</samlp:SessionIndex>`),
		"a stranger's":          other.text,
		"as an answer":          strings.ReplaceAll(s.text, "LogoutRequest", "LogoutResponse"),
		"for the door of SOAP":  strings.Replace(s.text, slo, soapDoor, 1),
	} {
		corpus[what] = text
	}
	for what, text := range corpus {
		g.refused(t, slo, what, url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(text))}})
	}
	if len(corpus) < 80 {
		t.Errorf("only %d messages", len(corpus))
	}
	if !g.signedIn(victim, l.id) || !g.signedIn(own, l.id) {
		t.Error("a hostile message ended a session")
	}
	own.Serve(l.origin(), l)
	own.ForeignPost(l.origin(), slo, url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(s.text))}})
	if g.signedIn(own, l.id) || !g.signedIn(victim, l.id) {
		t.Error("the sound one ends another session, or none")
	}
	t.Logf("%d hostile sign-outs", len(corpus))
}

// Signatures on elliptic curves in forms that verifiers have taken: of zeros (psychic
// signatures), in ASN.1, of the group's order, cut and lengthened.
func TestHostileSignaturesOnCurves(t *testing.T) {
	g := open(t)
	_, ec := pairs()
	g.service(library, func(r *saml.Registration) { r.Signing, r.RequestsSigned = []string{ec.text()}, true })
	s := g.signedRequest(ec)
	from, to := strings.Index(s.text, "<ds:SignatureValue>")+len("<ds:SignatureValue>"), strings.Index(s.text, "</ds:SignatureValue>")
	sound, err := base64.StdEncoding.DecodeString(s.text[from:to])
	if err != nil || len(sound) != 64 {
		t.Fatal(err, len(sound))
	}
	order, _ := base64.StdEncoding.DecodeString("/////wAAAAD//////////7zm+q2nF56E87nKwvxjJVE=")
	zero := make([]byte, 32)
	for what, v := range map[string][]byte{
		"zeros": make([]byte, 64), "r of zero": append(append([]byte{}, zero...), sound[32:]...), "s of zero": append(append([]byte{}, sound[:32]...), zero...),
		"the order": append(append([]byte{}, order...), order...), "s of the order": append(append([]byte{}, sound[:32]...), order...),
		"ASN.1": append([]byte{0x30, 0x44, 0x02, 0x20}, append(append(append([]byte{}, sound[:32]...), 0x02, 0x20), sound[32:]...)...),
		"cut":   sound[:63], "lengthened": append(append([]byte{}, sound...), 0), "led by zero": append([]byte{0}, sound...), "the other way round": append(append([]byte{}, sound[32:]...), sound[:32]...),
	} {
		text := s.text[:from] + base64.StdEncoding.EncodeToString(v) + s.text[to:]
		g.refused(t, sso, what, url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(text))}})
	}
	b := g.browser()
	b.ForeignPost("https://library.example.org", "/saml/sso", url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(s.text))}})
	if b.Status >= 400 {
		t.Errorf("the sound one is refused: %s", b.Text())
	}
}

// RelayState is a service's own text: it comes back as it was, and does nothing here.
func TestRelayStateIsOnlyText(t *testing.T) {
	g := open(t)
	g.service(library, nil)
	l := g.leaver("asker.example.org")
	for _, relay := range []string{
		`"><script>alert(1)</script>`, "javascript:alert(1)", "https://evil.example/?a=b&c=d#e", "a\r\nLocation: https://evil.example/", "日本 ' \" < & >", strings.Repeat("x", 2000), "{{.Data}} ${x} %00 %0d%0a",
	} {
		b := g.browser()
		b.Get(g.redirect(&asking{issuer: library, relay: relay}))
		signIn(b, "hanako")
		r := g.response(b)
		// Forms carry line ends as CR LF.
		if strings.ReplaceAll(r.relay, "\r\n", "\n") != strings.ReplaceAll(relay, "\r\n", "\n") || strings.Contains(b.Body, "<script>alert") || !arrived(b, library) {
			t.Errorf("%q came back as %q at %s", relay, r.relay, b.Location())
		}
		b.Serve(l.origin(), l)
		name, index := l.visit(b, "hanako")
		request, _, _ := l.request(name, index)
		before := len(l.relays)
		b.Get(l.signed("SAMLRequest", request, relay))
		if len(l.relays) != before+1 || l.relays[before] != relay {
			t.Errorf("at sign-out %q came back as %q at %s", relay, l.relays[before:], b.Location())
		}
	}
}

// What nobody signed may bend nothing that canonicalisation hides: the bytes that are
// read are those that were hashed.
func TestOnlyWhatWasHashedIsRead(t *testing.T) {
	g := open(t)
	key, _ := pairs()
	s := g.signedRequest(key)
	for what, text := range map[string]string{
		"white space in tags":   strings.Replace(s.text, "<samlp:AuthnRequest ", "<samlp:AuthnRequest\n\t", 1),
		"other quotation marks": strings.Replace(s.text, `Version="2.0"`, `Version='2.0'`, 1),
		"a prefix more":         strings.Replace(s.text, "<samlp:AuthnRequest ", `<samlp:AuthnRequest xmlns:evil="urn:evil" `, 1),
		"references":            strings.Replace(s.text, library+"<", strings.Replace(library, "l", "&#108;", 1)+"<", 1),
	} {
		n, err := xmldoc.Parse([]byte(text), xmldoc.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		seen, err := xmlsig.Verify(n, []cryptoKey{key.key.Public()}, xmldoc.Limits{})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if got := string(xmldoc.Canonical(seen, nil, nil)); got != s.bare {
			t.Errorf("%s: read %s", what, got)
		}
	}
}
