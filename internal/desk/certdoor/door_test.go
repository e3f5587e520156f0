package certdoor_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/ca"
	"seimon/internal/desk/certdoor"
	"seimon/internal/directory"
	"seimon/internal/login/logintest"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

// hall is a house whose certificate hosts answer on a real listener.
type hall struct {
	*logintest.House
	front   *logintest.Front
	account directory.Account
	door    *certdoor.Door
	address string
	server  tls.Certificate
	roots   *x509.CertPool
}

const user = "s1234567"

// open starts the listener, with the door changed as a test wants it.
func open(t *testing.T, change func(*certdoor.Door)) *hall {
	t.Helper()
	return openHall(t, change)
}

func openHall(t testing.TB, change func(*certdoor.Door)) *hall {
	t.Helper()
	house := logintest.New(t, nil, nil)
	h := &hall{House: house, front: house.Enter(), door: house.Door, roots: x509.NewCertPool()}
	h.Found()
	h.account = h.Person(user)
	h.Certificate(h.account) // so that the second step asks for one
	if change != nil {
		change(h.door)
	}
	h.server = h.serverCertificate("*." + logintest.CertHost)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	h.address = l.Addr().String()
	s := h.door.Server()
	var inner net.Listener = h.door.Listen(l)
	if !h.door.Fields {
		inner = tls.NewListener(inner, h.door.TLS(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &h.server, nil }))
	}
	var done sync.WaitGroup
	done.Go(func() {
		if err := s.Serve(inner); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		done.Wait()
	})
	return h
}

func (h *hall) must(err error) {
	h.T.Helper()
	if err != nil {
		h.T.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (h *hall) serverCertificate(name string) tls.Certificate {
	key := newKey(h.T)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}, &x509.Certificate{Subject: pkix.Name{CommonName: name}}, key.Public(), key)
	h.must(err)
	cert, err := x509.ParseCertificate(der)
	h.must(err)
	h.roots.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}
}

// holder is a certificate of ours with its key, as a browser has it.
func (h *hall) holder(a directory.Account) *tls.Certificate {
	key := newKey(h.T)
	c := h.Certificate(a, func(o *ca.Order) { o.Key = key.Public() })
	return &tls.Certificate{Certificate: [][]byte{c.DER}, PrivateKey: key}
}

// client is a browser at the certificate hosts. want is what it chooses; hints are
// what it was asked for.
type client struct {
	http  *http.Client
	hints [][]byte
	asked int
	state *tls.ConnectionState
}

func (h *hall) client(chosen *tls.Certificate, change func(*tls.Config)) *client {
	c := &client{}
	cfg := &tls.Config{RootCAs: h.roots, GetClientCertificate: func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c.hints, c.asked = r.AcceptableCAs, c.asked+1
		if chosen == nil {
			return &tls.Certificate{}, nil
		}
		return chosen, nil
	}}
	if change != nil {
		change(cfg)
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: cfg, ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", h.address)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       2 * time.Minute,
	}
	h.T.Cleanup(c.http.CloseIdleConnections)
	return c
}

// open opens an address and returns the status and where it leads.
func (c *client) open(t testing.TB, address string) (int, string) {
	t.Helper()
	r, err := c.http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	c.state = r.TLS
	return r.StatusCode, r.Header.Get("Location")
}

// atSecondStep is a browser at the page that asks for a certificate.
func (h *hall) atSecondStep() *webtest.Browser {
	b := webtest.New(h.T, logintest.Origin, h.Site.Handler())
	b.Address = logintest.Home + ":40000"
	b.Get("/enter/webmail").Submit("次へ", "username", user).Submit("次へ", "password", logintest.Password)
	return b.Want("クライアント証明書")
}

// begin presses the button and returns the address of the host that asks.
func begin(b *webtest.Browser) string {
	for _, a := range b.Page().All("a") {
		if strings.HasPrefix(a.Attr["href"], "/certificate/") {
			return b.Get(a.Attr["href"]).Location()
		}
	}
	return "no button on the page: " + b.Text()
}

func TestSigningInThroughTheListener(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			h := open(t, nil)
			mine := h.holder(h.account)
			b := h.atSecondStep()
			c := h.client(mine, func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version })
			status, to := c.open(t, begin(b))
			if status != http.StatusSeeOther || !strings.HasPrefix(to, logintest.Origin+"/login/") {
				t.Fatalf("%d %s", status, to)
			}
			if c.state.NegotiatedProtocol != "http/1.1" || c.state.DidResume || c.asked != 1 {
				t.Errorf("%q, resumed %v, asked %d times", c.state.NegotiatedProtocol, c.state.DidResume, c.asked)
			}
			var want [][]byte
			h.must(h.DB.Read(t.Context(), func(tx *store.Tx) (err error) { want, err = h.Trust.Hints(tx); return err }))
			if fmt.Sprintf("%x", c.hints) != fmt.Sprintf("%x", want) || len(want) != 1 {
				t.Errorf("asked for %x, not for %x", c.hints, want)
			}
			b.Get(to).Submit("次へ")
			if !b.Left() || !strings.HasPrefix(b.Location(), "https://webmail.") {
				t.Fatalf("at %s: %s", b.Location(), b.Text())
			}
		})
	}
}

// TestASpareConnectionOfATryEnds: browsers open connections in reserve.
func TestASpareConnectionOfATryEnds(t *testing.T) {
	h := open(t, nil)
	address := begin(h.atSecondStep())
	u, err := url.Parse(address)
	h.must(err)
	mine := h.holder(h.account)
	spare, err := tls.Dial("tcp", h.address, &tls.Config{RootCAs: h.roots, ServerName: u.Hostname(), Certificates: []tls.Certificate{*mine}})
	h.must(err)
	defer spare.Close()
	h.must(spare.Handshake())
	if status, _ := h.client(mine, nil).open(t, address); status != http.StatusSeeOther {
		t.Fatal(status)
	}
	h.must(spare.SetReadDeadline(time.Now().Add(time.Minute)))
	if _, err := spare.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a spare connection stays open: %v", err)
	}
}

func TestATryIsAnsweredOnce(t *testing.T) {
	h := open(t, nil)
	mine := h.holder(h.account)
	b := h.atSecondStep()
	address := begin(b)
	_, first := h.client(mine, nil).open(t, address)
	second := h.client(mine, nil)
	status, to := second.open(t, address)
	if status != http.StatusSeeOther || strings.Contains(to, "back=") || second.asked != 0 {
		t.Errorf("a second time: %d %s, asked %d times", status, to, second.asked)
	}
	b.Get(first).Submit("次へ")
	if !b.Left() {
		t.Fatal(b.Text())
	}
}

// TestALinkSentToAVictimGivesTheSenderNothing: somebody who is lured to the address
// of another's try ends at a page of their own browser; the sender has no answer.
func TestALinkSentToAVictimGivesTheSenderNothing(t *testing.T) {
	h := open(t, nil)
	h.holder(h.account) // so that the second step offers a certificate
	attacker := h.atSecondStep()
	page := attacker.Location()
	address := begin(attacker)
	_, to := h.client(h.holder(h.account), nil).open(t, address)
	victim := webtest.New(t, logintest.Origin, h.Site.Handler())
	victim.Get("/enter/library") // so that the browser keeps cookies
	victim.Get(to).Want("別のブラウザー")
	if victim.Left() {
		t.Error("the victim was signed in to the sender's sign-in")
	}
	attacker.Get(strings.Split(page, "?")[0])
	if attacker.Left() || strings.Contains(attacker.Body, `name="code"`) {
		t.Errorf("the sender has an answer: %s", attacker.Text())
	}
	// Nor does the victim's answer count in a sign-in of the victim.
	own := h.atSecondStep()
	code, err := url.Parse(to)
	h.must(err)
	id := strings.Split(own.Location(), "?")[0]
	own.Get(id + "?way=clientcert&back=" + url.QueryEscape(code.Query().Get("back")))
	if strings.Contains(own.Body, `name="code"`) {
		t.Error("an answer moved to another sign-in")
	}
}

func TestGuessedAndForeignNames(t *testing.T) {
	h := open(t, nil)
	c := h.client(h.holder(h.account), nil)
	status, _ := c.open(t, "https://"+strings.Repeat("a", 26)+"."+logintest.CertHost+"/")
	if status != http.StatusNotFound || c.asked != 0 {
		t.Errorf("a guessed name: %d, asked %d times", status, c.asked)
	}
	// DNS and TLS tell everybody on the way the host of a try; that answers nothing.
	b := h.atSecondStep()
	address := begin(b)
	u, err := url.Parse(address)
	h.must(err)
	for _, path := range []string{"/", "/" + strings.Split(u.Host, ".")[0], "/" + strings.Repeat("a", 26), u.Path + "/", u.Path + "a"} {
		if status, to := c.open(t, "https://"+u.Host+path); status != http.StatusNotFound || to != "" {
			t.Errorf("who saw the host alone gets %d %s at %s", status, to, path)
		}
	}
	if status, to := h.client(h.holder(h.account), nil).open(t, address); status != http.StatusSeeOther || !strings.Contains(to, "back=") {
		t.Errorf("the try was used up: %d %s", status, to)
	}
	for _, host := range []string{"short." + logintest.CertHost, "a.b." + logintest.CertHost, logintest.CertHost, "sso.example.ac.jp"} {
		if r, err := c.http.Get("https://" + host + "/"); err == nil {
			r.Body.Close()
			t.Errorf("%s was answered with %d", host, r.StatusCode)
		}
	}
}

// raw sends one request by hand over TLS and returns the status line.
func (h *hall) raw(name string, request string) string {
	h.T.Helper()
	c, err := tls.Dial("tcp", h.address, &tls.Config{RootCAs: h.roots, ServerName: name, NextProtos: []string{"h2", "http/1.1"}})
	h.must(err)
	defer c.Close()
	if got := c.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		h.T.Errorf("%s speaks %q", name, got)
	}
	io.WriteString(c, request) //nolint:errcheck // the answer may come, and the end, before all of it is written
	h.must(c.SetReadDeadline(time.Now().Add(time.Minute)))
	line, err := bufio.NewReader(c).ReadString('\n')
	h.must(err)
	return line
}

func TestHostAndNameOfTheConnectionAgree(t *testing.T) {
	h := open(t, nil)
	h.holder(h.account)
	one, err := url.Parse(begin(h.atSecondStep()))
	h.must(err)
	two, err := url.Parse(begin(h.atSecondStep()))
	h.must(err)
	for what, c := range map[string]struct{ request, want string }{
		"another try's host":     {"GET " + two.Path + " HTTP/1.1\r\nHost: " + two.Host + "\r\n\r\n", "421"},
		"another try's secret":   {"GET " + two.Path + " HTTP/1.1\r\nHost: " + one.Host + "\r\n\r\n", "404"},
		"the host alone":         {"GET / HTTP/1.1\r\nHost: " + one.Host + "\r\n\r\n", "404"},
		"the host's own label":   {"GET /" + strings.Split(one.Host, ".")[0] + " HTTP/1.1\r\nHost: " + one.Host + "\r\n\r\n", "404"},
		"the gate's host":        {"GET / HTTP/1.1\r\nHost: sso.example.ac.jp\r\n\r\n", "421"},
		"another path":           {"GET /login HTTP/1.1\r\nHost: " + one.Host + "\r\n\r\n", "404"},
		"the icon":               {"GET /favicon.ico HTTP/1.1\r\nHost: " + one.Host + "\r\n\r\n", "404"},
		"a form":                 {"POST " + one.Path + " HTTP/1.1\r\nHost: " + one.Host + "\r\nContent-Length: 0\r\n\r\n", "405"},
		"a picture of a page":    {"GET " + one.Path + " HTTP/1.1\r\nHost: " + one.Host + "\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n\r\n", "403"},
		"a frame":                {"GET " + one.Path + " HTTP/1.1\r\nHost: " + one.Host + "\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n\r\n", "403"},
		"a prefetch":             {"GET " + one.Path + " HTTP/1.1\r\nHost: " + one.Host + "\r\nSec-Purpose: prefetch\r\n\r\n", "403"},
		"no host":                {"GET / HTTP/1.1\r\n\r\n", "400"},
		"a certificate field":    {"GET /x HTTP/1.1\r\nHost: " + one.Host + "\r\nClient-Cert: :AAAA:\r\n\r\n", "404"},
		"headers without end":    {"GET / HTTP/1.1\r\nHost: " + one.Host + "\r\nX: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", "431"},
		"a connection of HTTP/2": {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "4"},
	} {
		if got := h.raw(one.Hostname(), c.request); !strings.Contains(got, " "+c.want) && !strings.HasPrefix(got, "HTTP/1.1 "+c.want) {
			t.Errorf("%s: %q, want %s", what, got, c.want)
		}
	}
	if !h.Tries.Live(t.Context(), strings.Split(one.Host, ".")[0]) {
		t.Error("one of these requests used the try up")
	}
}

// TestAFieldFromTheClientMeansNothing: over TLS the field of RFC 9440 is only noise.
func TestAFieldFromTheClientMeansNothing(t *testing.T) {
	h := open(t, nil)
	stolen := h.holder(h.account)
	b := h.atSecondStep()
	r, err := http.NewRequest(http.MethodGet, begin(b), nil)
	h.must(err)
	r.Header.Set("Client-Cert", field(stolen.Certificate[0]))
	answer, err := h.client(nil, nil).http.Do(r)
	h.must(err)
	answer.Body.Close()
	b.Get(answer.Header.Get("Location")).Submit("次へ").Want("証明書が選ばれませんでした。")
}

func TestHugeChains(t *testing.T) {
	h := open(t, nil)
	mine := h.holder(h.account)
	for range 40 {
		mine.Certificate = append(mine.Certificate, mine.Certificate[0])
	}
	b := h.atSecondStep()
	status, to := h.client(mine, nil).open(t, begin(b))
	if status != http.StatusSeeOther {
		t.Fatal(status)
	}
	b.Get(to).Submit("次へ") // the leaf stands first: what follows is cut off
	if !b.Left() {
		b.Want("そろっていない")
	}
	for range 6 {
		mine.Certificate = append(mine.Certificate, make([]byte, 60<<10))
	}
	b = h.atSecondStep()
	if _, err := h.client(mine, nil).http.Get(begin(b)); err == nil {
		t.Error("a chain of 360 kB was read")
	}
}

func TestAnExpiredTryLeadsBack(t *testing.T) {
	h := open(t, nil)
	mine := h.holder(h.account)
	b := h.atSecondStep()
	address := begin(b)
	h.Clock.Add(3 * time.Minute)
	c := h.client(mine, nil)
	status, to := c.open(t, address)
	if status != http.StatusSeeOther || strings.Contains(to, "back=") || c.asked != 0 {
		t.Errorf("%d %s, asked %d times", status, to, c.asked)
	}
	b.Get(to).Want("2分より長くかかった", "証明書を選ぶ")
	// An answer that is brought back late does not count either.
	_, to = h.client(mine, nil).open(t, begin(b))
	h.Clock.Add(3 * time.Minute)
	b.Get(to)
	if strings.Contains(b.Body, `name="code"`) || b.Left() {
		t.Error(b.Text())
	}
}

func TestProxyProtocol(t *testing.T) {
	h := open(t, func(d *certdoor.Door) {
		d.PROXY, d.Proxies = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	mine := h.holder(h.account)
	for name, header := range map[string]string{
		"version 1":         "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n",
		"version 1 unknown": "PROXY UNKNOWN\r\n",
		"version 2":         "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x9c\x40\x01\xbb",
		"version 2 local":   "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
	} {
		b := h.atSecondStep()
		address := begin(b)
		c := h.client(mine, nil)
		c.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", h.address)
			if err == nil {
				_, err = io.WriteString(raw, header)
			}
			return raw, err
		}
		_, to := c.open(t, address)
		b.Get(to).Submit("次へ")
		if !b.Left() {
			t.Errorf("%s: %s", name, b.Text())
		}
	}
	// A declared proxy that forgets its header is not served.
	if r, err := h.client(mine, nil).http.Get(begin(h.atSecondStep())); err == nil {
		r.Body.Close()
		t.Error("a connection without the header was served")
	}
}

func TestCertificateFieldsOfADeclaredProxy(t *testing.T) {
	h := open(t, func(d *certdoor.Door) {
		d.Fields, d.Proxies = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	mine := h.holder(h.account)
	ask := func(address string, fields ...string) (int, string) {
		u, err := url.Parse(address)
		h.must(err)
		r, err := http.NewRequest(http.MethodGet, "http://"+h.address+u.Path, nil)
		h.must(err)
		r.Host = u.Host
		for i := 0; i+1 < len(fields); i += 2 {
			r.Header.Add(fields[i], fields[i+1])
		}
		answer, err := h.client(nil, nil).http.Do(r)
		h.must(err)
		answer.Body.Close()
		return answer.StatusCode, answer.Header.Get("Location")
	}
	b := h.atSecondStep()
	leaf := field(mine.Certificate[0])
	address := begin(b)
	for what, fields := range map[string][]string{
		"repeated":            {"Client-Cert", leaf, "Client-Cert", leaf},
		"two in one":          {"Client-Cert", leaf + ", " + leaf},
		"with a parameter":    {"Client-Cert", leaf + ";a=1"},
		"bare base64":         {"Client-Cert", strings.Trim(leaf, ":")},
		"PEM":                 {"Client-Cert", "-----BEGIN CERTIFICATE-----"},
		"chain alone":         {"Client-Cert-Chain", leaf},
		"two chains":          {"Client-Cert", leaf, "Client-Cert-Chain", leaf, "Client-Cert-Chain", leaf},
		"no certificate":      {"Client-Cert", "::"},
		"URL-safe characters": {"Client-Cert", ":__--:"},
	} {
		if status, _ := ask(address, fields...); status != http.StatusBadRequest {
			t.Errorf("%s: %d", what, status)
		}
	}
	status, to := ask(address, "Client-Cert", leaf, "Client-Cert-Chain", leaf+" , "+leaf)
	if status != http.StatusSeeOther {
		t.Fatal(status)
	}
	b.Get(to).Submit("次へ")
	if !b.Left() {
		t.Error(b.Text())
	}
}

func TestFieldsFromAnUndeclaredPeer(t *testing.T) {
	h := open(t, func(d *certdoor.Door) {
		d.Fields, d.Proxies = true, []netip.Prefix{netip.MustParsePrefix("192.0.2.200/32")}
	})
	mine := h.holder(h.account)
	address := begin(h.atSecondStep())
	u, err := url.Parse(address)
	h.must(err)
	r, err := http.NewRequest(http.MethodGet, "http://"+h.address+u.Path, nil)
	h.must(err)
	r.Host = u.Host
	r.Header.Set("Client-Cert", field(mine.Certificate[0]))
	answer, err := h.client(nil, nil).http.Do(r)
	h.must(err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("an undeclared peer is served: %d", answer.StatusCode)
	}
}

func TestPoolOfNames(t *testing.T) {
	h := open(t, func(d *certdoor.Door) {
		d.Names = certdoor.Names{Pool: []string{"c1.example.ac.jp", "c2.example.ac.jp"}}
	})
	h.server = h.serverCertificate("*.example.ac.jp")
	mine := h.holder(h.account)
	b := h.atSecondStep()
	page := b.Location()
	hosts := ""
	for range 3 {
		b.Get(page)
		address := begin(b)
		u, err := url.Parse(address)
		h.must(err)
		hosts += u.Hostname() + " "
		status, to := h.client(nil, nil).open(t, address)
		if status != http.StatusSeeOther || !strings.Contains(to, "back=") {
			t.Fatalf("%d %s", status, to)
		}
	}
	if hosts != "c1.example.ac.jp c2.example.ac.jp c1.example.ac.jp " {
		t.Errorf("names in turn: %s", hosts)
	}
	b.Get(page)
	_, to := h.client(mine, nil).open(t, begin(b))
	b.Get(to).Submit("次へ")
	if !b.Left() {
		t.Error(b.Text())
	}
}
