package saml_test

import (
	"net/http"
	"net/url"
	"testing"
)

// TestForeignTextBreaksNothing: PostgreSQL takes neither NUL nor broken UTF-8 in texts.
// Whoever sends them is told that the request is wrong, not that the house is.
func TestForeignTextBreaksNothing(t *testing.T) {
	g := open(t)
	b := g.browser()
	g.service("https://sp.example.org/sp", nil)
	b.Get(origin + g.redirect(&asking{issuer: "https://sp.example.org/sp"}))
	begun := b.Location()
	for _, bad := range []string{"%00", "x%00y", "%ff", "%c0%ae", "%ed%a0%80"} {
		for _, address := range []string{
			"/saml/start?providerId=" + bad, "/saml/start?providerId=" + url.QueryEscape("https://sp.example.org/sp") + "&target=" + bad,
			"/saml/start?providerId=" + url.QueryEscape("https://sp.example.org/sp") + "&shire=" + bad,
			"/saml/slo/next?id=" + bad, "/saml/slo/on?id=" + bad, "/saml/go?r=" + bad, "/saml/slo?SAMLRequest=" + bad,
			"/login/" + bad, "/login/" + bad + "/again", "/certificate/" + bad, begun + "?way=" + bad, begun + "?way=clientcert&back=" + bad,
			"/login?lang=" + bad, "/help/certificates/" + bad, "/enter/" + bad, "/" + bad,
		} {
			if b.Tab().Get(address); b.Status >= http.StatusInternalServerError {
				t.Errorf("%s: %d", address, b.Status)
			}
			c := b.Tab()
			if c.Get(address); c.Status >= http.StatusInternalServerError {
				t.Errorf("%s: %d", address, c.Status)
			}
		}
		raw, err := url.QueryUnescape(bad)
		if err != nil {
			t.Fatal(err)
		}
		c := b.Tab()
		c.Get(begun)
		if c.Submit("Continue", "username", raw); c.Status >= http.StatusInternalServerError {
			t.Errorf("user name %q: %d", raw, c.Status)
		}
		for _, field := range []string{"pass"} {
			c := b.Tab()
			c.Get(begun)
			if c.Submit("Continue", "username", "hanako", field, raw); c.Status >= http.StatusInternalServerError {
				t.Errorf("field %s %q: %d", field, raw, c.Status)
			}
		}
	}
}
