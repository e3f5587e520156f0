package saml_test

import (
	"crypto/rsa"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/directory"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/login/logintest"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

const library = "https://library.example.org/sp"

func TestResponseAnswersTheRequest(t *testing.T) {
	g := open(t)
	g.service(library, nil)
	b := g.browser()
	a := &asking{issuer: library, relay: "back & forth"}
	b.Get(g.redirect(a))
	signIn(b, "hanako")
	r := g.response(b)
	if !r.signedResponse || r.signedAssertion || r.encrypted || r.relay != "back & forth" || r.status[0] != "Success" {
		t.Fatalf("%+v", r)
	}
	data, conditions := find(r.assertion, "SubjectConfirmationData"), find(r.assertion, "Conditions")
	name := find(r.assertion, "NameID")
	now := g.Clock.Now().UTC().Truncate(time.Second)
	for what, pair := range map[string][2]string{
		"Destination":     {r.root.Attr("Destination"), consumer(library)},
		"InResponseTo":    {r.root.Attr("InResponseTo"), a.id},
		"Issuer":          {text(r.root, metadata.SAML, "Issuer"), idp},
		"assertion":       {text(r.assertion, metadata.SAML, "Issuer"), idp},
		"Recipient":       {data.Attr("Recipient"), consumer(library)},
		"confirmation to": {data.Attr("InResponseTo"), a.id},
		"until":           {data.Attr("NotOnOrAfter"), now.Add(5 * time.Minute).Format(time.RFC3339)},
		"from":            {conditions.Attr("NotBefore"), now.Format(time.RFC3339)},
		"Audience":        {text(r.assertion, metadata.SAML, "Audience"), library},
		"Format":          {name.Attr("Format"), metadata.Persistent},
		"NameQualifier":   {name.Attr("NameQualifier"), idp},
		"SPNameQualifier": {name.Attr("SPNameQualifier"), library},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
	got := attributes(r.assertion)
	if !slices.Equal(got["jaDisplayName"], []string{"山田 太郎"}) || !slices.Equal(got["mail"], []string{"hanako@example.ac.jp"}) || !slices.Equal(got["displayName"], []string{"Taro Yamada"}) {
		t.Errorf("attributes %v", got)
	}
	if find(r.assertion, "AuthnStatement").Attr("SessionIndex") == "" {
		t.Error("no SessionIndex")
	}
	if len(g.browser().Get("/saml/metadata").Header.Get("Content-Security-Policy")) > 0 && b.Header.Get("Cache-Control") != "no-store" {
		t.Error("the response may be cached")
	}
	// The form may go to the service, and works without script.
	b.Submit("Go on")
	if b.Location() != consumer(library) {
		t.Errorf("the form goes to %s", b.Location())
	}
}

func TestPostBindingGoesOnWithTheSessionSeen(t *testing.T) {
	g := open(t)
	key, _ := pairs()
	g.service(library, func(r *saml.Registration) { r.Signing, r.RequestsSigned = []string{key.text()}, true })
	b := g.browser()
	b.Get(g.redirect(&asking{issuer: library, sign: key}))
	signIn(b, "hanako")
	g.response(b)
	a := &asking{issuer: library, sign: key, relay: "r"}
	b.ForeignPost("https://library.example.org", "/saml/sso", g.form(a))
	if r := g.response(b); r.assertion == nil || r.root.Attr("InResponseTo") != a.id || r.relay != "r" {
		t.Errorf("by POST with a live session: %v %s", r.status, r.message)
	}
	fresh := g.browser()
	fresh.ForeignPost("https://library.example.org", "/saml/sso", g.form(&asking{issuer: library, sign: key}))
	if r := g.response(signIn(fresh, "hanako")); r.assertion == nil {
		t.Errorf("by POST: %v", r.status)
	}
}

func TestSignaturesAndEncryptionAsRegistered(t *testing.T) {
	g := open(t)
	key, ec := pairs()
	private := key.key.(*rsa.PrivateKey)
	for name, c := range map[string]struct {
		change              func(*saml.Registration)
		whole, part, sealed bool
		method              string
	}{
		"nothing said":                     {func(*saml.Registration) {}, true, false, false, ""},
		"metadata wants assertions signed": {func(r *saml.Registration) { r.AssertionsSigned = true }, true, true, false, ""},
		"assertion alone":                  {func(r *saml.Registration) { r.Sign = "assertion" }, false, true, false, ""},
		"encrypted":                        {func(r *saml.Registration) { r.Encryption = []metadata.Recipient{{Certificate: key.text()}} }, true, false, true, xmlenc.AES128GCM},
		"encrypted, assertion alone": {func(r *saml.Registration) {
			r.Encryption, r.Sign = []metadata.Recipient{{Certificate: key.text(), Methods: []string{xmlenc.OAEPSHA256, xmlenc.AES256GCM}}}, "assertion"
		}, false, true, true, xmlenc.AES256GCM},
		"CBC by exception": {func(r *saml.Registration) {
			r.Encryption = []metadata.Recipient{{Certificate: key.text(), Methods: []string{xmlenc.AES256CBC}}}
		}, true, true, true, xmlenc.AES256CBC},
		"never": {func(r *saml.Registration) {
			r.Encryption, r.Encrypt = []metadata.Recipient{{Certificate: key.text()}}, "never"
		}, true, false, false, ""},
		"an elliptic key cannot be encrypted for": {func(r *saml.Registration) {
			r.Encryption = []metadata.Recipient{{Certificate: ec.text()}, {Certificate: key.text()}}
		}, true, false, true, xmlenc.AES128GCM},
	} {
		id := "https://" + strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", "") + ".example.org/sp"
		g.service(id, c.change)
		b := g.browser()
		b.Get(g.redirect(&asking{issuer: id}))
		r := g.response(signIn(b, "hanako"), private)
		if r.assertion == nil || r.signedResponse != c.whole || r.signedAssertion != c.part || r.encrypted != c.sealed || !strings.Contains(r.raw, c.method) {
			t.Errorf("%s: response %v, assertion %v, encrypted %v: %s", name, r.signedResponse, r.signedAssertion, r.encrypted, r.raw)
		}
	}
}

// level asks for contexts and gives the status or the class.
func (g *gate) level(user, comparison string, classes ...string) string {
	g.T.Helper()
	w := xmldoc.NewWriter(xmldoc.Spaces{"samlp": metadata.SAMLP, "saml": metadata.SAML})
	w.Start("samlp:RequestedAuthnContext", "Comparison", comparison)
	for _, c := range classes {
		w.Leaf("saml:AuthnContextClassRef", c)
	}
	b := g.browser()
	b.Get(g.redirect(&asking{issuer: library, inside: string(w.End().Bytes())}))
	for range 4 {
		switch {
		case strings.Contains(b.Body, `name="SAMLResponse"`):
			r := g.response(b)
			if r.assertion == nil {
				return r.status[len(r.status)-1]
			}
			c := text(r.assertion, metadata.SAML, "AuthnContextClassRef")
			return c[strings.LastIndexAny(c, ":/")+1:]
		case strings.Contains(b.Body, `name="code"`) && user == "hanako":
			g.Clock.Add(31 * time.Second)
			b.Submit("Continue", "code", g.Code(g.hanak.ID, 0))
		case strings.Contains(b.Body, `name="password"`):
			b.Submit("Continue", "password", logintest.Password)
		case strings.Contains(b.Body, `name="username"`):
			b.Submit("Continue", "username", user)
		case b.Has("Cancel"):
			b.Submit("Cancel")
		default:
			b.Submit("Back to The " + library)
		}
	}
	return "page: " + b.Text()
}

func TestRequestedAuthnContext(t *testing.T) {
	g := openEmpty(t, func(s *saml.Settings) { s.PhishingResistant = "https://refeds.example/phr" })
	g.hanak = g.Person("hanako")
	g.App(g.hanak.ID)
	g.Person("taro")
	g.service(library, nil)
	const (
		ppt  = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
		x509 = "urn:oasis:names:tc:SAML:2.0:ac:classes:X509"
		sfa  = "https://refeds.org/profile/sfa"
		mfa  = "https://refeds.org/profile/mfa"
		aal2 = "https://www.gakunin.jp/profile/AAL2"
		phr  = "https://refeds.example/phr"
	)
	for _, c := range []struct {
		user, comparison string
		classes          []string
		want             string
	}{
		{"hanako", "", []string{ppt}, "PasswordProtectedTransport"},
		{"hanako", "exact", []string{mfa}, "mfa"},
		{"hanako", "exact", []string{aal2}, "AAL2"},
		{"hanako", "exact", []string{"urn:unknown", mfa}, "mfa"},
		{"hanako", "exact", []string{mfa, sfa}, "mfa"},
		{"hanako", "minimum", []string{ppt}, "PasswordProtectedTransport"},
		{"hanako", "minimum", []string{mfa}, "mfa"},
		{"hanako", "better", []string{ppt}, "AAL2"},
		{"hanako", "maximum", []string{mfa}, "mfa"},
		{"hanako", "exact", []string{"urn:unknown"}, "NoAuthnContext"},
		{"hanako", "better", []string{phr}, "NoAuthnContext"},
		{"hanako", "strange", []string{ppt}, "NoAuthnContext"},
		{"hanako", "exact", nil, "NoAuthnContext"},
		{"taro", "exact", []string{ppt}, "PasswordProtectedTransport"},
		{"taro", "exact", []string{mfa, sfa}, "sfa"}, // prefers MFA, accepts SFA
		{"taro", "exact", []string{x509, ppt}, "PasswordProtectedTransport"},
	} {
		if got := g.level(c.user, c.comparison, c.classes...); got != c.want {
			t.Errorf("%s %s %v: %s, want %s", c.user, c.comparison, c.classes, got, c.want)
		}
	}
	if got := g.level("taro", "exact", mfa); got != "AuthnFailed" && got != "NoAuthnContext" {
		t.Errorf("taro, who has a password alone, got %s", got)
	}
}

func TestRefusalsThatTheServiceIsTold(t *testing.T) {
	g := open(t)
	g.service(library, nil)
	policy := func(attrs string) string {
		return `<samlp:NameIDPolicy xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ` + attrs + `></samlp:NameIDPolicy>`
	}
	scoping := func(id string) string {
		return `<samlp:Scoping xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"><samlp:IDPList><samlp:IDPEntry ProviderID="` + id + `"></samlp:IDPEntry></samlp:IDPList></samlp:Scoping>`
	}
	subject := func(name string) string {
		return `<saml:Subject xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"><saml:NameID>` + name + `</saml:NameID></saml:Subject>`
	}
	for name, c := range map[string]struct {
		a    asking
		want []string
	}{
		"passive":         {asking{attrs: []string{"IsPassive", "true"}}, []string{"Responder", "NoPassive"}},
		"name format":     {asking{inside: policy(`Format="urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos"`)}, []string{"Requester", "InvalidNameIDPolicy"}},
		"name qualifier":  {asking{inside: policy(`SPNameQualifier="https://other.example.org"`)}, []string{"Requester", "InvalidNameIDPolicy"}},
		"other provider":  {asking{inside: scoping("https://other.example.ac.jp/idp")}, []string{"Responder", "NoSupportedIDP"}},
		"somebody else":   {asking{inside: subject("jiro@example.ac.jp")}, []string{"Responder", "UnknownPrincipal"}},
		"this provider":   {asking{inside: scoping(idp)}, []string{"Success"}},
		"expected":        {asking{inside: subject("hanako@example.ac.jp")}, []string{"Success"}},
		"transient":       {asking{inside: policy(`Format="` + metadata.Transient + `" AllowCreate="true"`)}, []string{"Success"}},
		"second by index": {asking{attrs: []string{"AssertionConsumerServiceIndex", "7"}}, []string{"Success"}},
		"by address":      {asking{attrs: []string{"AssertionConsumerServiceURL", consumer(library) + "/second"}}, []string{"Success"}},
	} {
		b := g.browser()
		c.a.issuer = library
		b.Get(g.redirect(&c.a))
		if strings.Contains(b.Body, `name="username"`) || strings.Contains(b.Body, `name="password"`) {
			signIn(b, "hanako")
		}
		r := g.response(b)
		if !slices.Equal(r.status, c.want) || (r.assertion != nil) != (c.want[0] == "Success") || !r.signedResponse {
			t.Errorf("%s: %v %s", name, r.status, r.message)
		}
		if strings.Contains(name, "second") || strings.Contains(name, "address") {
			if d := r.root.Attr("Destination"); d != consumer(library)+"/second" {
				t.Errorf("%s: sent to %s", name, d)
			}
		}
	}
}

func TestForceAuthnAsksAgain(t *testing.T) {
	g := open(t)
	g.service(library, nil)
	b := g.browser()
	b.Get(g.redirect(&asking{issuer: library}))
	first := find(g.response(signIn(b, "hanako")).assertion, "AuthnStatement").Attr("AuthnInstant")
	g.Clock.Add(time.Minute)
	b.Get(g.redirect(&asking{issuer: library}))
	if r := g.response(b); find(r.assertion, "AuthnStatement").Attr("AuthnInstant") != first {
		t.Error("the time of the sign-in moved without one")
	}
	b.Get(g.redirect(&asking{issuer: library, attrs: []string{"ForceAuthn", "true"}}))
	if !strings.Contains(b.Body, `name="password"`) {
		t.Fatalf("not asked again: %s", b.Text())
	}
	if r := g.response(signIn(b, "hanako")); find(r.assertion, "AuthnStatement").Attr("AuthnInstant") == first {
		t.Error("an old sign-in was asserted")
	}
	b.Get(g.redirect(&asking{issuer: library, attrs: []string{"ForceAuthn", "1", "IsPassive", "1"}}))
	if r := g.response(b); r.assertion != nil || r.status[1] != "NoPassive" {
		t.Errorf("forced and passive: %v", r.status)
	}
}

func TestOneRequestIsAnsweredInOneSession(t *testing.T) {
	g := open(t)
	g.service(library, nil)
	b := g.browser()
	address := g.redirect(&asking{issuer: library})
	b.Get(address)
	g.response(signIn(b, "hanako"))
	if b.Get(address); g.response(b).assertion == nil {
		t.Error("a reload in the same session is not answered")
	}
	other := g.browser()
	other.Get(address)
	signIn(other, "hanako").WantStatus(http.StatusBadRequest)
	if arrived(other, library) {
		t.Error("a replayed request was answered in another session")
	}
	if e := g.events("request.refused"); len(e) != 1 || e[0].Facts["field"] != "ID" {
		t.Errorf("%+v", e)
	}
}

// TestWhatAServiceChangedMeanwhileCounts: between a request and its answer lies a sign-in
// of half an hour at most, or a page that was left open for a day.
func TestWhatAServiceChangedMeanwhileCounts(t *testing.T) {
	for what, change := range map[string]func(*saml.Registration, time.Time){
		"an address that was taken back": func(r *saml.Registration, _ time.Time) {
			r.Consumers[0].Location = "https://elsewhere.example.org/acs"
		},
		"metadata that ended": func(r *saml.Registration, now time.Time) { r.ValidUntil = now.Add(time.Minute) },
	} {
		g := open(t)
		g.service(library, nil)
		b, back := g.browser(), g.browser()
		b.Get(g.redirect(&asking{issuer: library}))
		back.Get(g.redirect(&asking{issuer: library}))
		g.service(library, func(r *saml.Registration) { change(r, g.Clock.Now()) })
		g.Clock.Add(2 * time.Minute)
		for way, b := range map[string]*webtest.Browser{"signed in": signIn(b, "hanako"), "went back": back.Submit("Cancel")} {
			if strings.Contains(b.Body, "SAMLResponse") || b.Status != http.StatusBadRequest {
				t.Errorf("%s, %s: %d\n%s", what, way, b.Status, b.Text())
			}
		}
		if e := g.events("request.refused"); len(e) != 2 || e[0].Support == "" {
			t.Errorf("%s: on record %+v", what, e)
		}
	}
}

func TestStartWithoutARequest(t *testing.T) {
	g := open(t)
	g.service(library, nil)
	b := g.browser()
	b.Get("/saml/start?" + url.Values{"providerId": {library}, "target": {"https://library.example.org/page"}}.Encode())
	r := g.response(signIn(b, "hanako"))
	if r.assertion == nil || r.root.Attr("InResponseTo") != "" || r.relay != "https://library.example.org/page" {
		t.Errorf("%+v", r)
	}
	b.Get("/idp/profile/SAML2/Unsolicited/SSO?" + url.Values{"providerId": {library}}.Encode())
	if g.response(b).assertion == nil {
		t.Error("under Shibboleth's path nothing begins")
	}
	b.Get("/saml/start?" + url.Values{"providerId": {library}, "shire": {"https://evil.example/acs"}}.Encode()).WantStatus(http.StatusBadRequest)
	if e := g.events("request.refused"); e[0].Facts["field"] != "shire" || e[0].Party != library {
		t.Errorf("%+v", e[0])
	}
}

func TestNamesAndIdentifiers(t *testing.T) {
	g := open(t)
	all := []rp.Release{
		{Attribute: "mail"}, {Attribute: "eduPersonTargetedID"}, {Attribute: "pairwise-id"}, {Attribute: "subject-id"}, {Attribute: "shoeSize"},
		{Attribute: "groups"}, {Attribute: "employeeNumber"},
	}
	other := "https://other.example.org/sp"
	for _, id := range []string{library, other} {
		g.service(id, func(r *saml.Registration) { r.Format, r.Formats = "", []string{"urn:strange", metadata.Email} }, func(p *rp.Party) { p.Release = all })
	}
	g.Write(func(tx *store.Tx) error {
		a, p, err := g.People.ByID(tx, g.hanak.ID)
		if err != nil {
			return err
		}
		a.Attributes = map[string][]string{"shoeSize": {"24", "24.5"}}
		return g.People.Update(tx, a, p)
	})
	get := func(id string) (read, map[string][]string) {
		b := g.browser()
		b.Get(g.redirect(&asking{issuer: id}))
		r := g.response(signIn(b, "hanako"))
		return r, attributes(r.assertion)
	}
	r, one := get(library)
	_, two := get(other)
	if n := find(r.assertion, "NameID"); n.Attr("Format") != metadata.Email || n.Text() != "hanako@example.ac.jp" {
		t.Errorf("the name is %s %s", n.Attr("Format"), n.Text())
	}
	if one["pairwise-id"][0] == two["pairwise-id"][0] || one["subject-id"][0] != two["subject-id"][0] || one["subject-id"][0] == one["pairwise-id"][0] {
		t.Errorf("%v %v", one, two)
	}
	for _, v := range []string{one["pairwise-id"][0], one["subject-id"][0]} {
		if !strings.HasSuffix(v, "@example.ac.jp") || strings.ToLower(v) != v || len(v) > 127+len("@example.ac.jp") {
			t.Errorf("%q is no subject identifier", v)
		}
	}
	if !slices.Equal(one["shoeSize"], []string{"24", "24.5"}) || !slices.Equal(one["isMemberOf"], []string{"student"}) || one["employeeNumber"] != nil {
		t.Errorf("%v", one)
	}
	var targeted *xmldoc.Node
	r.assertion.Walk(func(n *xmldoc.Node) bool {
		if n.Is(metadata.SAML, "NameID") && n.Parent.Local == "AttributeValue" {
			targeted = n
		}
		return true
	})
	if targeted == nil || targeted.Attr("NameQualifier") != idp || targeted.Attr("SPNameQualifier") != library || targeted.Text() == "" {
		t.Errorf("eduPersonTargetedID %+v", targeted)
	}
}

// The vectors of Shibboleth's ComputedPairwiseIdStore.
func TestPersistentNamesAsShibbolethComputesThem(t *testing.T) {
	const party = "https://sp.example.org/sp"
	for _, c := range []struct {
		how  saml.Computed
		want string
	}{
		{saml.Computed{Salt64: "AAECAwQFBgcICQoLDA0ODw==", Source: "x"}, "Vl6z6K70iLc4AuBoNeb59Dj1rGw="},
		{saml.Computed{Salt64: "AAECAwQFBgcICQoLDA0ODw==", Source: "x", Encoding: "base32"}, "KZPLH2FO6SELOOAC4BUDLZXZ6Q4PLLDM"},
		{saml.Computed{Salt: "thisisaspecialsalt", Source: "x"}, "kLyH1uEvYigEvg1ZLh/QXeW1VAs="},
	} {
		got, err := c.how.Of(party, "at1-Data")
		if err != nil || got != c.want || c.how.Check() != nil {
			t.Errorf("%q %v, want %q", got, err, c.want)
		}
	}
	for _, bad := range []saml.Computed{{Salt: "short", Source: "x"}, {Salt: "thisisaspecialsalt"}, {Salt: "thisisaspecialsalt", Source: "x", Encoding: "hex"}, {Salt64: "?", Source: "x"}} {
		if bad.Check() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestComputedStoredAndBlockedNames(t *testing.T) {
	how := saml.Computed{Salt: "thisisaspecialsalt", Source: "userName"}
	g := openEmpty(t, func(s *saml.Settings) { s.Persistent = how })
	people := map[string]directory.Account{}
	for _, n := range []string{"hanako", "jiro", "saburo"} {
		people[n] = g.Person(n)
	}
	own := "https://own.example.org/sp"
	g.service(library, nil)
	g.service(own, func(r *saml.Registration) {
		r.Persistent = &saml.Computed{Salt: "another salt of some length", Source: "mail", Encoding: "base32"}
	})
	g.Write(func(tx *store.Tx) error {
		if err := saml.StorePersistent(tx, library, people["jiro"].ID, "kept-from-before", false); err != nil {
			return err
		}
		return saml.StorePersistent(tx, library, people["saburo"].ID, "blocked-once", true)
	})
	name := func(user, id string) string {
		b := g.browser()
		b.Get(g.redirect(&asking{issuer: id}))
		r := g.response(signIn(b, user))
		if r.assertion == nil {
			return r.status[1]
		}
		return text(r.assertion, metadata.SAML, "NameID")
	}
	computed, _ := how.Of(library, "hanako")
	overridden, _ := saml.Computed{Salt: "another salt of some length", Encoding: "base32"}.Of(own, "hanako@example.ac.jp")
	for _, c := range [][3]string{
		{"hanako", library, computed}, {"hanako", own, overridden}, {"jiro", library, "kept-from-before"}, {"saburo", library, "InvalidNameIDPolicy"},
	} {
		if got := name(c[0], c[1]); got != c[2] {
			t.Errorf("%s at %s is %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func TestMetadataSaysWhoWeAre(t *testing.T) {
	g := open(t)
	n := g.metadata()
	role := n.First(metadata.MD, "IDPSSODescriptor")
	var scopes, bindings, contacts []string
	n.Walk(func(x *xmldoc.Node) bool {
		switch x.Local {
		case "Scope":
			scopes = append(scopes, x.Text())
		case "SingleSignOnService":
			bindings = append(bindings, x.Attr("Binding")+" "+x.Attr("Location"))
		case "ContactPerson":
			contacts = append(contacts, x.Attr("contactType")+" "+text(x, metadata.MD, "EmailAddress"))
		}
		return true
	})
	if n.Attr("entityID") != idp || role.Attr("errorURL") != origin+"/portal" || n.Attr("validUntil") == "" {
		t.Errorf("%s", xmldoc.Canonical(n, nil, nil))
	}
	if !slices.Equal(scopes, []string{"example.ac.jp", "med.example.ac.jp"}) || len(bindings) != 2 || !strings.HasSuffix(bindings[0], sso) {
		t.Errorf("%v %v", scopes, bindings)
	}
	if !slices.Equal(contacts, []string{"technical mailto:tech@example.ac.jp", "other mailto:cert@example.ac.jp"}) || text(n, metadata.SAML, "AttributeValue") != "https://refeds.org/sirtfi" {
		t.Errorf("%v", contacts)
	}
}

func TestAssuranceComesFromEvidenceAlone(t *testing.T) {
	g := open(t)
	g.Apply(logintest.Policy)
	g.App(g.hanak.ID)
	g.service("webmail", nil)
	campus := g.browser()
	campus.Address = logintest.Campus + ":1"
	campus.Get(g.redirect(&asking{issuer: "webmail"}))
	if r := g.response(signIn(campus, "hanako")); !strings.HasSuffix(text(r.assertion, metadata.SAML, "AuthnContextClassRef"), "PasswordProtectedTransport") {
		t.Errorf("on campus with a password alone: %s", r.raw)
	}
}
