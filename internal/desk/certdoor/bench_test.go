package certdoor_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"

	"seimon/internal/login/logintest"
	"seimon/internal/web/webtest"
)

// BenchmarkSecondStep is a whole second step with a certificate: the try, the
// handshake at its host, the way back, the judgement and the end of the sign-in.
func BenchmarkSecondStep(b *testing.B) {
	h := openHall(b, nil)
	mine := h.holder(h.account)
	browser := webtest.New(b, logintest.Origin, h.Site.Handler())
	browser.Address = logintest.Home + ":40000"
	browser.Get("/enter/webmail").Submit("次へ", "username", user).Submit("次へ", "password", logintest.Password)
	_, to := h.client(mine, nil).open(b, begin(browser))
	browser.Get(to).Submit("次へ")
	for b.Loop() {
		b.StopTimer()
		browser.Get("/enter/webmail?force=1").Submit("次へ", "password", logintest.Password)
		b.StartTimer()
		_, to := h.client(mine, nil).open(b, begin(browser))
		browser.Get(to).Submit("次へ")
		if !browser.Left() {
			b.Fatal(browser.Text())
		}
	}
}

// BenchmarkHandshake is the floor: one handshake with a client certificate and one
// answer from the same library, and nothing else.
func BenchmarkHandshake(b *testing.B) {
	h := openHall(b, nil)
	mine := h.holder(h.account)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{h.server}, ClientAuth: tls.RequestClientCert, SessionTicketsDisabled: true,
	})
	h.must(err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "ok") //nolint:errcheck // the client has it or fails
	})}
	go s.Serve(l) //nolint:errcheck // ends with Close
	defer s.Close()
	h.address = l.Addr().(*net.TCPAddr).String()
	for b.Loop() {
		if status, _ := h.client(mine, nil).open(b, "https://x."+logintest.CertHost+"/"); status != http.StatusOK {
			b.Fatal(status)
		}
	}
}
