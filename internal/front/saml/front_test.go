package saml_test

import (
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/front/fronttest"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/rp"
	"seimon/internal/web/webtest"
)

func TestFrontKeepsThePromisesOfEveryFront(t *testing.T) {
	fronttest.Run(t, func(t *testing.T) fronttest.Harness {
		g := openEmpty(t)
		told := g.hearSOAP()
		return fronttest.Harness{
			House: g.House,
			Told: func(id string) int {
				if _, err := g.Jobs.RunDue(t.Context()); err != nil {
					t.Fatal(err)
				}
				return told[id]
			},
			Register: func(id string, change func(*rp.Party)) {
				soap := func(r *saml.Registration) {
					r.Logout = []metadata.Endpoint{{Binding: metadata.SOAP, Location: "https://" + id + ".example.org/soap"}}
				}
				g.service(id, soap, func(p *rp.Party) {
					p.Release = []rp.Release{{Attribute: "mail"}}
					change(p)
				})
			},
			Ask: func(id string, passive bool) string {
				a := &asking{issuer: id}
				if passive {
					a.attrs = []string{"IsPassive", "true"}
				}
				return g.redirect(a)
			},
			Back: arrived,
			Learn: func(b *webtest.Browser, id string) (fronttest.Assertion, bool) {
				r := g.response(b)
				if r.assertion == nil {
					return fronttest.Assertion{}, false
				}
				if text(r.assertion, metadata.SAML, "Audience") != id {
					t.Errorf("an assertion for %s at %s", text(r.assertion, metadata.SAML, "Audience"), id)
				}
				at, err := time.Parse(time.RFC3339, find(r.assertion, "AuthnStatement").Attr("AuthnInstant"))
				if err != nil {
					t.Error(err)
				}
				out := fronttest.Assertion{Subject: text(r.assertion, metadata.SAML, "NameID"), At: at, Attributes: attributes(r.assertion)}
				switch text(r.assertion, metadata.SAML, "AuthnContextClassRef") {
				case "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport":
					out.Level = authn.AAL1
				case "https://refeds.org/profile/mfa":
					out.Level = authn.AAL2
				}
				return out, true
			},
		}
	})
}
