package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"seimon/test/campus"
)

// patience is how long a connection that does nothing may be kept, with room for a
// machine that is busy.
const patience = 20 * time.Second

// wire is what anybody can try with a connection: headers of every page, bytes that
// databases and terminals stumble over, slow and endless requests, old protocols.
func (a *attack) wire() error {
	w, err := a.attacker("nobody")
	if err != nil {
		return err
	}
	defer w.http.CloseIdleConnections()
	for _, try := range []func(*attacker) error{a.headers, a.bytes, a.hosts, a.slow, a.endless} {
		if err := try(w); err != nil {
			return err
		}
	}
	return nil
}

// pages are addresses that people open, and a few that nobody has.
func pages() []string {
	return []string{
		"/", "/login", "/login/t_x", "/login/t_x/again", "/portal", "/portal/certificates", "/portal/cards", "/signout", "/help",
		"/help/certificates/windows", "/help/managed-computers", "/card/number", "/card/locked", "/certificate/t_x",
		"/cas/login", "/cas/login?service=https://evil.example.org/", "/cas/logout?service=https://evil.example.org/",
		"/saml/sso?SAMLRequest=x", "/saml/start?providerId=x", "/saml/slo?SAMLRequest=x", "/saml/slo/next?id=x", "/saml/go?r=x",
		"/oidc/authorize?client_id=x", "/nothing/here", "/cas/serviceValidate?service=x&ticket=ST-x", "/cas/proxy?pgt=x&targetService=x",
	}
}

func (a *attack) headers(w *attacker) error {
	for _, path := range pages() {
		r, body, err := w.send("GET", path, nil)
		if err != nil {
			return err
		}
		h := r.Header
		csp := h.Get("Content-Security-Policy")
		a.check(r.StatusCode < 500, "%s answers %d", path, r.StatusCode)
		a.check(strings.Contains(csp, "default-src 'none'") && strings.Contains(csp, "frame-ancestors 'none'") && strings.Contains(csp, "base-uri 'none'") &&
			!strings.Contains(csp, "unsafe") && !strings.Contains(csp, "evil"), "%s: the policy is %q", path, csp)
		a.check(h.Get("X-Content-Type-Options") == "nosniff" && strings.Contains(h.Get("Cache-Control"), "no-store") && h.Get("Strict-Transport-Security") != "" &&
			slices.Contains([]string{"same-origin", "no-referrer"}, h.Get("Referrer-Policy")), "%s: %v", path, h)
		a.check(!strings.Contains(string(body), "evil.example.org/\""), "%s leads to a stranger's address", path)
		for _, c := range r.Cookies() {
			a.check(ours(r, c), "%s sets %s", path, c)
		}
	}
	return nil
}

// ours tells whether a cookie is as all of the house are: for this host alone, out of reach
// of scripts and of other sites' requests. What the browser keeps of one sign-in comes
// back to the address of that sign-in alone, where the answer leads.
func ours(r *http.Response, c *http.Cookie) bool {
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
		return false
	}
	if c.Name == "__Secure-kept" {
		return r.StatusCode == http.StatusSeeOther && c.Path == r.Header.Get("Location") && strings.HasPrefix(c.Path, "/login/t_")
	}
	return strings.HasPrefix(c.Name, "__Host-") && c.Path == "/"
}

// bytes sends what PostgreSQL keeps in no text, what old servers take for dots and
// slashes, and line ends, in every place of an address.
func (a *attack) bytes(w *attacker) error {
	for _, bad := range []string{"%00", "%ff", "%c0%ae%c0%ae%c0%af", "%0d%0aSet-Cookie:%20a=b", "%1b%5b2J", "%ed%a0%80", strings.Repeat("%e6%ad%a3", 1000)} {
		for _, path := range []string{
			"/" + bad, "/login/" + bad, "/login/" + bad + "/again", "/certificate/" + bad, "/login?lang=" + bad, "/saml/start?providerId=" + bad,
			"/saml/slo/next?id=" + bad, "/saml/sso?SAMLRequest=" + bad, "/saml/sso?SAMLRequest=x&RelayState=" + bad, "/cas/login?service=" + bad,
			"/cas/login?service=https://wiki.seimon.test/" + bad, "/cas/serviceValidate?service=" + bad + "&ticket=" + bad, "/cas/p3/proxyValidate?service=x&ticket=ST-" + bad,
			"/oidc/authorize?client_id=" + bad, "/oidc/authorize?client_id=open&redirect_uri=" + bad, "/help/certificates/" + bad, "/portal/certificates/" + bad,
		} {
			r, _, err := w.send("GET", path, nil)
			if err != nil {
				return err
			}
			a.check(r.StatusCode < 500 && len(r.Header.Values("Set-Cookie")) < 4 && r.Header.Get("A") == "", "%.80s answers %d", path, r.StatusCode)
			for _, c := range r.Cookies() {
				a.check(ours(r, c), "%.80s sets %s", path, c)
			}
		}
	}
	return nil
}

// dial opens a connection to a listener of the campus.
func (a *attack) dial(listen, name string, change func(*tls.Config)) (*tls.Conn, error) {
	c := &tls.Config{RootCAs: a.campus.Gate.Roots, ServerName: name, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if change != nil {
		change(c)
	}
	return tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", listen, c)
}

// hosts: the certificate hosts speak HTTP/1.1 in a fresh connection for one try alone,
// and no listener speaks what is out of date.
func (a *attack) hosts(*attacker) error {
	guessed := strings.Repeat("a", 26) + ".cert." + campus.Host
	cache := tls.NewLRUClientSessionCache(4)
	for range 2 {
		asked := false
		c, err := a.dial(a.campus.CertListen, guessed, func(t *tls.Config) {
			t.NextProtos, t.ClientSessionCache = []string{"h2", "http/1.1"}, cache
			t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = true
				return &tls.Certificate{}, nil
			}
		})
		if err != nil {
			return err
		}
		s := c.ConnectionState()
		a.check(s.NegotiatedProtocol == "http/1.1" && !s.DidResume && !asked, "a guessed host: %q, resumed %v, asked %v", s.NegotiatedProtocol, s.DidResume, asked)
		status, err := ask(c, "GET /"+strings.Repeat("a", 26)+" HTTP/1.1\r\nHost: "+guessed+"\r\n\r\n")
		a.check(err == nil && status == http.StatusNotFound, "a guessed host answers %d, %v", status, err)
		c.Close()
	}
	for what, request := range map[string]string{
		"the gate's name": "GET / HTTP/1.1\r\nHost: " + campus.Host + "\r\n\r\n",
		"another host":    "GET / HTTP/1.1\r\nHost: " + strings.Repeat("b", 26) + ".cert." + campus.Host + "\r\n\r\n",
	} {
		c, err := a.dial(a.campus.CertListen, guessed, nil)
		if err != nil {
			return err
		}
		status, err := ask(c, request)
		a.check(err == nil && status == http.StatusMisdirectedRequest, "%s at a certificate host: %d, %v", what, status, err)
		c.Close()
	}
	for _, listen := range []string{a.campus.Listen, a.campus.CertListen} {
		name := campus.Host
		if listen == a.campus.CertListen {
			name = guessed
		}
		c, err := a.dial(listen, name, func(t *tls.Config) { t.MinVersion, t.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
		if a.check(err != nil, "%s speaks TLS 1.1", listen); err == nil {
			c.Close()
		}
	}
	for _, name := range []string{campus.Host, "cert." + campus.Host, "x.cert." + campus.Host} {
		c, err := a.dial(a.campus.CertListen, name, nil)
		if a.check(err != nil, "the certificate hosts answer for %s", name); err == nil {
			c.Close()
		}
	}
	return nil
}

func ask(c net.Conn, request string) (int, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(c, request); err != nil {
		return 0, err
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	return r.StatusCode, nil
}

// slow opens connections that say little or nothing and waits for their end.
func (a *attack) slow(*attacker) error {
	type held struct {
		what string
		conn net.Conn
	}
	var all []held
	for _, listen := range []string{a.campus.Listen, a.campus.CertListen} {
		for what, says := range map[string]string{"silence": "", "half a hello": "\x16\x03\x01\x02\x00\x01\x00", "plain text": "GET"} {
			c, err := net.Dial("tcp", listen)
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := io.WriteString(c, says); err != nil {
				return err
			}
			all = append(all, held{what + " at " + listen, c})
		}
	}
	for listen, name := range map[string]string{a.campus.Listen: campus.Host, a.campus.CertListen: strings.Repeat("a", 26) + ".cert." + campus.Host} {
		c, err := a.dial(listen, name, func(t *tls.Config) { t.NextProtos = []string{"http/1.1"} })
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+name+"\r\nX-Slow: "); err != nil {
			return err
		}
		all = append(all, held{"half a request at " + listen, c})
	}
	end := time.Now().Add(patience)
	for _, h := range all {
		if err := h.conn.SetReadDeadline(end); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, h.conn)
		a.check(!errors.Is(err, os.ErrDeadlineExceeded), "%s is kept for more than %s", h.what, patience)
	}
	return nil
}

// endless sends more than anybody needs.
func (a *attack) endless(w *attacker) error {
	for what, request := range map[string]string{
		"a header of 100 kB": "GET / HTTP/1.1\r\nHost: " + campus.Host + "\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n",
		"a target of 20 kB":  "GET /?" + strings.Repeat("x", 20<<10) + " HTTP/1.1\r\nHost: " + campus.Host + "\r\n\r\n",
		"10,000 headers":     "GET / HTTP/1.1\r\nHost: " + campus.Host + "\r\n" + strings.Repeat("A: b\r\n", 10_000) + "\r\n",
		"two lengths":        "POST /saml/sso HTTP/1.1\r\nHost: " + campus.Host + "\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"length and chunks":  "POST /saml/sso HTTP/1.1\r\nHost: " + campus.Host + "\r\nContent-Length: 5\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"no host":            "GET / HTTP/1.1\r\n\r\n",
		"two hosts":          "GET / HTTP/1.1\r\nHost: " + campus.Host + "\r\nHost: evil.example.org\r\n\r\n",
	} {
		c, err := a.dial(a.campus.Listen, campus.Host, func(t *tls.Config) { t.NextProtos = []string{"http/1.1"} })
		if err != nil {
			return err
		}
		status, err := ask(c, request)
		a.check(err != nil || status >= 400 && status < 500 || status == http.StatusNotImplemented, "%s: %d", what, status)
		c.Close()
	}
	for _, path := range []string{"/saml/sso", "/saml/slo", "/cas/login", "/cas/samlValidate?TARGET=x", "/saml/slo/soap", "/oidc/token"} {
		r, err := http.NewRequest("POST", a.campus.Gate.Origin+path, io.LimitReader(zeros{}, 8<<20))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		begun := time.Now()
		answer, err := w.http.Do(r)
		if err == nil {
			answer.Body.Close()
			// A service is told in the words of its protocol, which may be a page's 200 or SOAP's 500.
			a.check(answer.StatusCode != http.StatusOK || strings.HasPrefix(path, "/cas/saml"), "8 MB to %s: %d", path, answer.StatusCode)
		}
		a.check(time.Since(begun) < patience, "8 MB to %s keep the program busy for %s", path, time.Since(begun))
	}
	r, _, err := w.send("GET", "/login", nil)
	if err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	a.check(r.StatusCode < 500, "afterwards the gate answers %d", r.StatusCode)
	return nil
}

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}
