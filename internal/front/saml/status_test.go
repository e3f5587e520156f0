package saml_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/login"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// Every refusal that a service is told at once, with its status on both levels.
func TestStatusesOfRequests(t *testing.T) {
	g := open(t)
	g.service(library, nil)
	p := func(text string) string {
		return strings.Replace(text, ">", ` xmlns:samlp="`+metadata.SAMLP+`" xmlns:saml="`+metadata.SAML+`">`, 1)
	}
	scoping := func(inside string) string { return p("<samlp:Scoping>" + inside + "</samlp:Scoping>") }
	for name, c := range map[string]struct {
		a    asking
		want string
	}{
		"passive":           {asking{attrs: []string{"IsPassive", "1"}}, "Responder NoPassive"},
		"unknown context":   {asking{inside: p(`<samlp:RequestedAuthnContext><saml:AuthnContextClassRef>urn:x</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>`)}, "Responder NoAuthnContext"},
		"context by decl":   {asking{inside: p(`<samlp:RequestedAuthnContext><saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef></samlp:RequestedAuthnContext>`)}, "Responder NoAuthnContext"},
		"name format":       {asking{inside: p(`<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"></samlp:NameIDPolicy>`)}, "Requester InvalidNameIDPolicy"},
		"encrypted name":    {asking{inside: p(`<samlp:NameIDPolicy Format="` + metadata.Encrypted + `"></samlp:NameIDPolicy>`)}, "Requester InvalidNameIDPolicy"},
		"affiliation":       {asking{inside: p(`<samlp:NameIDPolicy SPNameQualifier="https://group.example.org"></samlp:NameIDPolicy>`)}, "Requester InvalidNameIDPolicy"},
		"other provider":    {asking{inside: scoping(`<samlp:IDPList><samlp:IDPEntry ProviderID="https://other.example.ac.jp/idp"></samlp:IDPEntry></samlp:IDPList>`)}, "Responder NoSupportedIDP"},
		"conditions":        {asking{inside: p(`<saml:Conditions></saml:Conditions>`)}, "Requester RequestUnsupported"},
		"confirmed subject": {asking{inside: p(`<saml:Subject><saml:NameID>x</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"></saml:SubjectConfirmation></saml:Subject>`)}, "Requester RequestUnsupported"},
		"nameless subject":  {asking{inside: p(`<saml:Subject></saml:Subject>`)}, "Requester UnknownPrincipal"},
		"artifact":          {asking{attrs: []string{"ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"}}, "Requester UnsupportedBinding"},
		"PAOS":              {asking{attrs: []string{"ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:PAOS"}}, "Requester UnsupportedBinding"},
		"version 1.1":       {asking{version: "1.1"}, "VersionMismatch RequestVersionTooLow"},
		"version 2.1":       {asking{version: "2.1"}, "VersionMismatch RequestVersionTooHigh"},
		"version 3.0":       {asking{version: "3.0"}, "VersionMismatch RequestVersionTooHigh"},
	} {
		c.a.issuer = library
		b := g.browser()
		b.Get(g.redirect(&c.a))
		r := g.response(b)
		if strings.Join(r.status, " ") != c.want || r.assertion != nil || !r.signedResponse || r.message == "" || r.root.Attr("InResponseTo") != c.a.id || !arrived(b, library) {
			t.Errorf("%s: %v %q, want %s", name, r.status, r.message, c.want)
		}
	}
	// No proxying is needed, so none is refused.
	b := g.browser()
	b.Get(g.redirect(&asking{issuer: library, inside: p(`<samlp:Scoping ProxyCount="0"></samlp:Scoping>`)}))
	if r := g.response(signIn(b, "hanako")); r.assertion == nil {
		t.Errorf("ProxyCount 0: %v", r.status)
	}
	for name, a := range map[string]asking{
		"no version": {version: "two"}, "version of three parts": {version: "2.0.1"},
		"binding at an unknown address": {attrs: []string{"ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact", "AssertionConsumerServiceURL", evil}},
	} {
		a.issuer = library
		if b := g.browser().Get(g.redirect(&a)); b.Status != http.StatusBadRequest || strings.Contains(b.Body, `name="SAMLResponse"`) {
			t.Errorf("%s: %d", name, b.Status)
		}
	}
}

// Every way in which the hall ends a sign-in without one, in SAML's words.
func TestStatusesOfOutcomes(t *testing.T) {
	g := open(t)
	g.service(library, nil)
	var party rp.Party
	g.Write(func(tx *store.Tx) (err error) {
		party, err = g.book.Get(tx, library)
		return err
	})
	const mfa = "https://refeds.org/profile/mfa"
	var respond login.Respond
	g.Site.Page("GET /respond", func(w http.ResponseWriter, r *http.Request) error { return respond(w, r) })
	for _, c := range []struct {
		code  authn.Code
		asked bool // for a context
		want  []string
	}{
		{login.NeedsLogin, false, []string{"Responder", "NoPassive"}},
		{login.NeedsConsent, false, []string{"Responder", "NoPassive"}},
		{login.NeedsInteraction, false, []string{"Responder", "NoPassive"}},
		{login.Cancelled, false, []string{"Responder", "AuthnFailed"}},
		{"R1", true, []string{"Responder", "NoAuthnContext"}},
		{"R1.none", false, []string{"Responder", "AuthnFailed"}},
		{"Z1", true, []string{"Responder", "NoAuthnContext"}},
		{"Z4", false, []string{"Responder", "AuthnFailed"}},
		{"R2", true, []string{"Responder", "RequestDenied"}},
		{"P3", false, []string{"Responder", "RequestDenied"}},
		{"O1", false, []string{"Responder"}},
		{"O2", true, []string{"Responder"}},
	} {
		request := map[string]any{"party": library, "id": "_x" + serial(), "consumer": consumer(library), "at": time.Now().Unix()}
		if c.asked {
			request["want"] = map[string]any{"comparison": "exact", "classes": []string{mfa}}
		}
		text, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		g.Write(func(tx *store.Tx) (err error) {
			respond, err = g.front.Complete(tx, login.Outcome{Request: text, Party: party, Fault: authn.NewFault(c.code, "groups", "staff")})
			return err
		})
		b := g.browser()
		b.Get("/respond")
		r := g.response(b)
		if !slices.Equal(r.status, c.want) || r.assertion != nil || r.message == "" || strings.Contains(r.message, "staff") {
			t.Errorf("%s: %v %q, want %v", c.code, r.status, r.message, c.want)
		}
	}
}

// A person whom the rules shut out of the service is told why; the service is not.
func TestRequestDeniedByTheRules(t *testing.T) {
	g := open(t)
	g.service(library, func(r *saml.Registration) {})
	g.Apply(`
[group.staff]
ja = "教職員"
en = "staff"

[[rule]]
name = "everything"
classes = 1

[service."` + library + `"]
groups = ["staff"]

[enrolment]
classes = 2
`)
	b := g.browser()
	b.Get(g.redirect(&asking{issuer: library}))
	signIn(b, "hanako")
	b.Want("staff").Submit("Back to The " + library)
	if r := g.response(b); !slices.Equal(r.status, []string{"Responder", "RequestDenied"}) || strings.Contains(r.message, "staff") {
		t.Errorf("%v %s", r.status, r.message)
	}
}
