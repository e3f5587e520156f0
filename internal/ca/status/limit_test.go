package status_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"seimon/internal/ca/status"
)

// from sends a request as a source would.
func (h *house) from(address string, r *http.Request) int {
	r.RemoteAddr = address
	return h.do(r).Code
}

func (h *house) asking(path string) *http.Request {
	return httptest.NewRequest(http.MethodGet, base+path, nil)
}

// TestOneSourceCannotKeepTheListenerBusy floods from one address: it is turned away, no
// header makes it somebody else, everybody else is answered, and a moment later it is
// answered again.
func TestOneSourceCannotKeepTheListenerBusy(t *testing.T) {
	h := open(t)
	h.publish()
	path := "/crl/" + h.issuer.ID + "/full.crl"
	passed := 0
	for i := range 5000 {
		r := h.asking(path)
		r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i%250))
		r.Header.Set("Forwarded", fmt.Sprintf("for=198.51.100.%d", i%250))
		if h.from("192.0.2.66:"+strconv.Itoa(1024+i), r) == http.StatusOK {
			passed++
		}
	}
	if passed != 2000 {
		t.Errorf("%d of 5000 requests passed at once", passed)
	}
	w := httptest.NewRecorder()
	r := h.asking("/ocsp/" + h.issuer.ID + "/AAAA")
	r.RemoteAddr = "192.0.2.66:1"
	h.status.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if code := h.from("192.0.2.67:1", h.asking(path)); code != http.StatusOK {
		t.Errorf("a neighbour is answered %d", code)
	}
	h.clock.Add(time.Second)
	passed = 0
	for range 1000 {
		if h.from("192.0.2.66:1", h.asking(path)) == http.StatusOK {
			passed++
		}
	}
	if passed != 200 {
		t.Errorf("after a second %d requests passed", passed)
	}
}

// TestSignaturesAreDearerThanMemory: asking with nonces is bounded sooner.
func TestSignaturesAreDearerThanMemory(t *testing.T) {
	h := open(t)
	h.publish()
	q, err := ocsp.CreateRequest(h.issue().Parsed(), h.issuer.Certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	q = withNonce(t, q, octets(t, 16))
	passed := 0
	for range 1000 {
		r := with(httptest.NewRequest(http.MethodPost, base+"/ocsp/"+h.issuer.ID, bytes.NewReader(q)), "application/ocsp-request")
		if h.from("192.0.2.66:1", r) == http.StatusOK {
			passed++
		}
	}
	if passed < 330 || passed > 340 {
		t.Errorf("%d signatures at once", passed)
	}
}

// TestEveryFormOfALargeListCostsWhatItTakes: a list is turned into PEM for a HEAD as for
// a GET, and a tag of another form spares nothing.
func TestEveryFormOfALargeListCostsWhatItTakes(t *testing.T) {
	h := open(t)
	h.fill(t, 10_000) // about 400 kB: twelve units and one
	h.publish()
	path := "/crl/" + h.issuer.ID + "/full"
	tag := h.get(path + ".crl").Header().Get("ETag")
	for n, r := range []*http.Request{
		httptest.NewRequest(http.MethodHead, base+path+".pem", nil), h.asking(path + ".pem"), h.asking(path + ".crl"),
	} {
		if n == 1 {
			r.Header.Set("If-None-Match", tag)
		}
		address, passed := "198.51.100."+strconv.Itoa(n+1)+":1", 0
		for range 1000 {
			if h.from(address, r.Clone(t.Context())) == http.StatusOK {
				passed++
			}
		}
		if passed > 200 || passed < 50 {
			t.Errorf("%s %s %s: %d at once", r.Method, r.URL.Path, r.Header.Get("If-None-Match"), passed)
		}
	}
	r := h.asking(path + ".pem")
	r.Header.Set("If-None-Match", h.get(path+".pem").Header().Get("ETag"))
	if code := h.from("192.0.2.9:1", r); code != http.StatusNotModified {
		t.Errorf("a list that did not change is sent again: %d", code)
	}
}

// TestANetworkOfSixIsOneSource: whoever has a /64 has no more than anybody else, and
// millions of them do not fill the memory.
func TestANetworkOfSixIsOneSource(t *testing.T) {
	h := open(t)
	h.publish()
	path := "/ca/" + h.issuer.ID + ".cer"
	passed := 0
	for i := range 3000 {
		if h.from(fmt.Sprintf("[2001:db8::%x]:1", i+1), h.asking(path)) == http.StatusOK {
			passed++
		}
	}
	if passed != 2000 {
		t.Errorf("%d of 3000 requests passed", passed)
	}
	for i := range 50_000 {
		if code := h.from(fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16+1, i&0xffff), h.asking("/nothing")); code != http.StatusNotFound {
			t.Fatalf("source %d is answered %d", i, code)
		}
	}
	if n := h.status.Sources(); n > 20_000 {
		t.Errorf("%d sources are remembered", n)
	}
}

// TestDeclaredServersAskAsOftenAsTheyNeed: RADIUS servers ask for everybody.
func TestDeclaredServersAskAsOftenAsTheyNeed(t *testing.T) {
	h := open(t)
	h.status = status.New(h.db, h.ca, status.Config{Seal: h.ring, Rate: 2, Unlimited: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}})
	h.publish()
	path := "/ca/" + h.issuer.ID + ".cer"
	for range 100 {
		if code := h.from("[::ffff:192.0.2.5]:1", h.asking(path)); code != http.StatusOK {
			t.Fatalf("a declared server is answered %d", code)
		}
	}
	passed := 0
	for range 100 {
		if h.from("192.0.2.99:1", h.asking(path)) == http.StatusOK {
			passed++
		}
	}
	if passed != 20 {
		t.Errorf("%d requests passed", passed)
	}
}
