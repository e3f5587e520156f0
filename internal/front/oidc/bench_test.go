package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"seimon/internal/store"
)

// warm is a house with one live session and its cookie.
func warm(b *testing.B) (*gate, string) {
	g := open(b)
	g.client("library", members{"offline_access": "granted"})
	browser := g.browser()
	g.code(browser, asking("library"))
	return g, "__Host-session=" + browser.Cookie("__Host-session") + "; __Host-browser=" + browser.Cookie("__Host-browser")
}

// flow is one authorization request with a live session.
func (g *gate) flow(cookie string) string {
	r := httptest.NewRequest(http.MethodGet, issuer+address(asking("library")), nil)
	r.Header.Set("Cookie", cookie)
	w := httptest.NewRecorder()
	g.Site.Handler().ServeHTTP(w, r)
	u, err := url.Parse(w.Header().Get("Location"))
	if err != nil || u.Query().Get("code") == "" {
		g.T.Fatalf("%d %s", w.Code, w.Header().Get("Location"))
	}
	return u.Query().Get("code")
}

// BenchmarkFloors are the bare costs under the others: one durable write, one signature.
func BenchmarkFloors(b *testing.B) {
	b.Run("write", func(b *testing.B) {
		g, _ := warm(b)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				g.Write(func(tx *store.Tx) error {
					_, err := tx.Exec("INSERT INTO oidc_assertion (client, jti, until) VALUES ('x', $1, 1)", []byte(rand.Text()))
					return err
				})
			}
		})
	})
	b.Run("ES256", func(b *testing.B) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		sum := sha256.Sum256([]byte("x"))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := ecdsa.SignASN1(rand.Reader, key, sum[:]); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkCodeFlow is authorize and token with a live session.
func BenchmarkCodeFlow(b *testing.B) {
	g, cookie := warm(b)
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r := g.redeem("library", g.flow(cookie)); r.status != http.StatusOK {
				b.Error(r.raw)
			}
		}
	})
}

// BenchmarkAuthorize is the first half of it.
func BenchmarkAuthorize(b *testing.B) {
	g, cookie := warm(b)
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.flow(cookie)
		}
	})
}

// BenchmarkRefresh rotates one refresh token after the other, many families at once.
func BenchmarkRefresh(b *testing.B) {
	g, _ := warm(b)
	browser := g.browser()
	var mu sync.Mutex
	fresh := func() string {
		mu.Lock()
		defer mu.Unlock()
		return g.redeem("library", g.code(browser, asking("library", "scope", "openid offline_access"))).text("refresh_token")
	}
	fresh()
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		token := fresh()
		for pb.Next() {
			r := g.renew("library", token)
			if token = r.text("refresh_token"); r.status != http.StatusOK {
				b.Error(r.raw)
				return
			}
		}
	})
}

// BenchmarkIntrospection asks about one token again and again.
func BenchmarkIntrospection(b *testing.B) {
	g, cookie := warm(b)
	access := g.redeem("library", g.flow(cookie)).text("access_token")
	form := url.Values{"token": {access}}
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r := g.call("/oidc/introspect", form, basic("library")...); !strings.Contains(r.raw, `"active":true`) {
				b.Error(r.raw)
			}
		}
	})
}
