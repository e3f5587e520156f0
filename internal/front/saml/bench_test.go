package saml_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/rp"
)

// BenchmarkFloors are the bare signatures under the responses: RSA of the length that
// the front uses, and P-256.
func BenchmarkFloors(b *testing.B) {
	r, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		b.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"rsa": r, "ec": e} {
		b.Run(name, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, _, err := xmlsig.Bare(key, []byte("x")); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkResponse answers a request in a live session: everything from the request to
// the page that posts the response, on the test database.
func BenchmarkResponse(b *testing.B) {
	for _, kind := range []string{saml.RSA, saml.EC} {
		b.Run(kind, func(b *testing.B) {
			g := open(b)
			if kind == saml.EC {
				if err := g.front.AddKey(b.Context(), saml.EC); err != nil {
					b.Fatal(err)
				}
			}
			g.service(library, func(r *saml.Registration) { r.Key = kind }, func(p *rp.Party) { p.Release = nil })
			browser := g.browser()
			browser.Get(g.redirect(&asking{issuer: library}))
			signIn(browser, "hanako")
			cookie := "__Host-session=" + browser.Cookie("__Host-session") + "; __Host-browser=" + browser.Cookie("__Host-browser")
			addresses := make(chan string, 1<<16)
			for range min(b.N+64, 1<<16) {
				addresses <- g.redirect(&asking{issuer: library})
			}
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					address := <-addresses
					addresses <- address
					r := httptest.NewRequest(http.MethodGet, origin+address, nil)
					r.Header.Set("Cookie", cookie)
					w := httptest.NewRecorder()
					g.Site.Handler().ServeHTTP(w, r)
					if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "SAMLResponse") {
						b.Errorf("%d", w.Code)
						return
					}
				}
			})
		})
	}
}
