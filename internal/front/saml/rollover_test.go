package saml_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/rp"
)

// rolling signs hanako in and gives the response as it came.
func (g *gate) rolling(id string) string {
	g.T.Helper()
	b := g.browser()
	b.Get(g.redirect(&asking{issuer: id}))
	return g.response(signIn(b, "hanako")).raw
}

func TestSigningKeysRollOver(t *testing.T) {
	g := open(t)
	g.service(library, nil)
	old := g.keys()
	verifies := func(raw string, with int) bool {
		n, err := xmldoc.Parse([]byte(raw), xmldoc.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = xmlsig.Verify(n, old[with:with+1], xmldoc.Limits{})
		return err == nil
	}
	if err := g.front.Activate(t.Context(), saml.RSA); !errors.Is(err, saml.ErrKey) {
		t.Errorf("activated nothing: %v", err)
	}
	if err := g.front.AddKey(t.Context(), saml.RSA); err != nil {
		t.Fatal(err)
	}
	if n := len(g.keys()); n != 2 || !verifies(g.rolling(library), 0) {
		t.Errorf("while the new key waits: %d keys", n)
	}
	if err := g.front.AddKey(t.Context(), saml.RSA); err == nil {
		t.Error("a third key was made")
	}
	if err := g.front.Activate(t.Context(), saml.RSA); err != nil {
		t.Fatal(err)
	}
	if n := len(g.keys()); n != 2 || verifies(g.rolling(library), 0) {
		t.Errorf("after the change: %d keys", n)
	}
	if err := g.front.Retire(t.Context(), saml.RSA); err != nil {
		t.Fatal(err)
	}
	if keys := g.keys(); len(keys) != 1 {
		t.Errorf("after the end: %d keys", len(keys))
	}
	g.rolling(library)
	if err := g.front.Retire(t.Context(), saml.RSA); !errors.Is(err, saml.ErrKey) {
		t.Errorf("retired nothing: %v", err)
	}
}

func TestEllipticKeyForServicesThatRegisterIt(t *testing.T) {
	g := open(t)
	other := "https://other.example.org/sp"
	g.service(library, func(r *saml.Registration) { r.Key = saml.EC })
	g.service(other, nil)
	if !strings.Contains(g.rolling(library), xmlsig.RSASHA256) {
		t.Error("without an elliptic key the other one does not sign")
	}
	if err := g.front.AddKey(t.Context(), saml.EC); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(g.rolling(library), xmlsig.ECDSASHA256) || !strings.Contains(g.rolling(other), xmlsig.RSASHA256) {
		t.Error("the kinds of keys are not those registered")
	}
}

// spMetadata is what a service might publish.
const spMetadata = `<?xml version="1.0" encoding="UTF-8"?>
<!-- by hand -->
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://wiki.example.org/shibboleth"%s>
  <md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" AuthnRequestsSigned="true" WantAssertionsSigned="1">
    <md:Extensions><mdui:UIInfo xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui">
      <mdui:DisplayName xml:lang="ja">ウィキ</mdui:DisplayName><mdui:DisplayName xml:lang="en">Wiki</mdui:DisplayName>
      <mdui:Logo height="16" width="16">https://wiki.example.org/logo.png</mdui:Logo></mdui:UIInfo></md:Extensions>
    <md:KeyDescriptor><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>
      CERTIFICATE
    </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
    <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
    <md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact" Location="https://wiki.example.org/artifact" index="1"/>
    <md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://wiki.example.org/acs" index="2" isDefault="true"/>
    <md:AttributeConsumingService index="1"><md:ServiceName xml:lang="en">Wiki service</md:ServiceName>
      <md:RequestedAttribute Name="urn:oid:0.9.2342.19200300.100.1.3" isRequired="true"/>
      <md:RequestedAttribute Name="urn:oid:1.3.6.1.4.1.32264.1.1.3"/>
      <md:RequestedAttribute Name="urn:oid:9.9.9"/>
    </md:AttributeConsumingService>
  </md:SPSSODescriptor>
  <md:ContactPerson contactType="technical"><md:EmailAddress>mailto:wiki@example.org</md:EmailAddress></md:ContactPerson>
</md:EntityDescriptor>`

func TestMetadataOfAServiceIsImported(t *testing.T) {
	key, _ := pairs()
	text := strings.Replace(strings.Replace(spMetadata, "CERTIFICATE", key.text(), 1), "%s", ` validUntil="2126-01-01T00:00:00Z"`, 1)
	now := time.Now()
	list, notes, ok, err := saml.Check().Import([]byte(text), now)
	if err != nil || !ok || len(list) != 1 {
		t.Fatalf("%v %v %v", list, ok, err)
	}
	p := list[0]
	if p.ID != "https://wiki.example.org/shibboleth" || p.Names["ja"] != "ウィキ" || p.Names["en"] != "Wiki" || p.Contact != "wiki@example.org" || p.LogoURL == "" || len(p.Release) != 2 || !p.Release[0].Required {
		t.Errorf("%+v", p)
	}
	all := strings.Join(notes, "\n")
	for _, want := range []string{"HTTP-Artifact", "urn:oid:9.9.9 is not known", "validUntil", "expired", "SingleLogoutService"} {
		if !strings.Contains(all, want) {
			t.Errorf("no note on %s: %s", want, all)
		}
	}
	book := rp.New(nil, nil, saml.Check())
	if _, err := book.Judge(&p, nil); err != nil || !p.Pairwise {
		t.Errorf("%v", err)
	}
	// What the university decided outlives a new copy.
	mine := p
	mine.Registration = []byte(strings.Replace(string(p.Registration), "{", `{"encrypt":"never",`, 1))
	if _, err := book.Judge(&mine, nil); err != nil {
		t.Fatal(err)
	}
	again := list[0]
	if _, err := book.Judge(&again, &mine); err != nil || !strings.Contains(string(again.Registration), `"encrypt":"never"`) || strings.Contains(string(again.Registration), "renews") {
		t.Errorf("%v %s", err, again.Registration)
	}
	for name, bad := range map[string]string{
		"expired":     strings.Replace(text, "2126-01", "2016-01", 1),
		"no consumer": strings.ReplaceAll(text, "HTTP-POST", "PAOS"),
		"http":        strings.Replace(text, "https://wiki.example.org/acs", "http://wiki.example.org/acs", 1),
		"a provider":  strings.ReplaceAll(text, "SPSSODescriptor", "IDPSSODescriptor"),
		"certificate": strings.Replace(text, key.text()[:40], "AAAA", 1),
		"not XML":     text[:len(text)-10],
		"entities":    "<!DOCTYPE x>" + strings.TrimPrefix(text, `<?xml version="1.0" encoding="UTF-8"?>`),
	} {
		if _, _, ok, err := saml.Check().Import([]byte(bad), now); !ok || err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, _, ok, _ := saml.Check().Import([]byte(`{"id":"x"}`), now); ok {
		t.Error("JSON passes for metadata")
	}
}

func TestRegistrationsThatCannotWorkAreRefused(t *testing.T) {
	book := rp.New(nil, nil, saml.Check())
	key, _ := pairs()
	for name, registration := range map[string]string{
		"no consumer":     `{"assertion_consumers":[]}`,
		"other binding":   `{"assertion_consumers":[{"location":"https://a.example/","binding":"x"}]}`,
		"plain http":      `{"assertion_consumers":[{"location":"http://a.example/"}]}`,
		"script":          `{"assertion_consumers":[{"location":"javascript:alert(1)"}]}`,
		"unknown member":  `{"assertion_consumers":[{"location":"https://a.example/"}],"colour":"red"}`,
		"sign":            `{"assertion_consumers":[{"location":"https://a.example/"}],"sign":"nothing"}`,
		"key":             `{"assertion_consumers":[{"location":"https://a.example/"}],"key":"dsa"}`,
		"format":          `{"assertion_consumers":[{"location":"https://a.example/"}],"default_name_id_format":"x"}`,
		"signed by whom":  `{"assertion_consumers":[{"location":"https://a.example/"}],"requests_signed":true}`,
		"no certificate":  `{"assertion_consumers":[{"location":"https://a.example/"}],"signing_certificates":["AAAA"]}`,
		"short salt":      `{"assertion_consumers":[{"location":"https://a.example/"}],"persistent":{"salt":"x","source":"mail"}}`,
		"metadata of one": `{"metadata":"<a/>"}`,
	} {
		p := rp.Party{ID: "https://a.example/sp", Protocol: saml.Name, Names: map[langTag]string{"en": "A"}, Registration: []byte(registration)}
		if _, err := book.Judge(&p, nil); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	good := `{"assertion_consumers":[{"location":"https://a.example/"}],"signing_certificates":["` + key.text() + `"],"requests_signed":true}`
	p := rp.Party{ID: "https://a.example/sp", Protocol: saml.Name, Names: map[langTag]string{"en": "A"}, Registration: []byte(good)}
	if _, err := book.Judge(&p, nil); err != nil {
		t.Error(err)
	}
}
