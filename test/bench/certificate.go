package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"seimon/test/campus"
	"seimon/test/walk"
)

// certificates measures signing in with a certificate before any user name: authorize,
// the try, a TLS handshake of its own with the certificate, the way back, code, token.
// The floor is one bare handshake of the same kind against a static server in the
// generator, and one durable commit.
func (b *bench) certificates(ctx context.Context) error {
	c, err := b.prepared(ctx, campus.Plan{People: people, Certificates: true})
	if err != nil {
		return err
	}
	held, err := c.Held(ctx, clients)
	if err != nil {
		return err
	}
	p, err := c.Start(ctx, b.binary)
	if err != nil {
		return err
	}
	defer p.Kill() //nolint:errcheck // the campus goes away
	all := browsers(c, clients)
	bare, err := newShaker(c)
	if err != nil {
		return err
	}
	defer bare.close()
	at, err := c.Beside(ctx, b.dir)
	if err != nil {
		return err
	}
	commit, err := floorCommit(ctx, at, clients, b.span/4)
	if err != nil {
		return err
	}
	b.check("commit", commit)
	do := func(n int) error { _, err := all[n].certificate(held[n]); return err }
	b.check("certificate sign-ins, warming up", closed(ctx, clients, b.span/8, do))
	// Figure and floor take turns: whatever else the machine does falls on both.
	shaken, signed := &result{}, &result{}
	m := newMeter(p)
	for range rounds {
		shaken.join(closed(ctx, clients, b.span/(2*rounds), func(n int) error { return bare.shake(held[n]) }))
		signed.join(closed(ctx, clients, b.span/rounds, do))
	}
	used := m.cost(signed)
	b.check("bare handshakes", shaken)
	b.check("certificate sign-ins", signed)
	floor := 1 / (1/shaken.rate() + 1/commit.rate())
	b.row(row{
		what:   fmt.Sprintf("floor: bare TLS handshake with a verified client certificate, both ends in the generator, %d at a time", clients),
		figure: perSecond(shaken.rate()), latency: shaken.latency(),
	})
	b.row(row{
		what:   fmt.Sprintf("certificate sign-in before the user name, whole flow, %d at a time", clients),
		figure: perSecond(signed.rate()), latency: signed.latency(),
		floor: perSecond(floor) + ", handshake and one commit", ratio: ratio(signed.rate(), floor), cost: used,
	})
	one := b.check("certificate sign-ins, one at a time", closed(ctx, 1, b.span/4, do))
	shake := b.check("bare handshakes, one at a time", closed(ctx, 1, b.span/8, func(n int) error { return bare.shake(held[n]) }))
	b.row(row{
		what: "the same, one at a time", figure: "p50 " + millis(one.at(.5)) + " ms", latency: one.latency(),
		floor: fmt.Sprintf("one bare handshake %s ms", millis(shake.at(.5))), ratio: ratio(float64(one.at(.5)), float64(shake.at(.5))),
	})
	return p.Stop()
}

// certificate is the whole way of a fresh browser with a certificate.
func (b *browser) certificate(own *tls.Certificate) (walk.Tokens, error) {
	b.forget()
	r, err := b.get(b.authorizePath())
	if err != nil {
		return walk.Tokens{}, err
	}
	page := r.location
	id, ok := strings.CutPrefix(page, "/login/")
	if !ok {
		return walk.Tokens{}, fmt.Errorf("authorize answered %d to %q: %s", r.status, r.location, walk.Text(r.body))
	}
	for _, path := range []string{page, page + "?way=clientcert"} {
		if r, err = b.get(path); err != nil {
			return walk.Tokens{}, err
		}
	}
	if !strings.Contains(string(r.body), "/certificate/"+id) {
		return walk.Tokens{}, fmt.Errorf("the page asks for no certificate: %d %s", r.status, walk.Text(r.body))
	}
	if r, err = b.get("/certificate/" + id); err != nil {
		return walk.Tokens{}, err
	}
	back, err := show(b.campus, r.location, own)
	if err != nil {
		return walk.Tokens{}, err
	}
	if r, err = b.get(strings.TrimPrefix(back, b.campus.Gate.Origin)); err != nil {
		return walk.Tokens{}, err
	}
	if r, err = b.get(r.location); err != nil {
		return walk.Tokens{}, err
	}
	form := walk.Hidden(r.body)
	if form.Get("code") == "" {
		return walk.Tokens{}, fmt.Errorf("no answer came back: %d %s", r.status, walk.Text(r.body))
	}
	if r, err = b.post(page, form); err != nil {
		return walk.Tokens{}, err
	}
	code, err := codeIn(r)
	if err != nil {
		return walk.Tokens{}, err
	}
	return b.redeem(code)
}

// show shows a certificate at a host that asks for one, over a connection of its own,
// and returns where the browser is sent.
func show(c *campus.Campus, address string, own *tls.Certificate) (back string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return "", fmt.Errorf("the try leads to %q", address)
	}
	conn, err := shake(c.CertListen, u.Hostname(), c.Gate.Roots, own)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET "+u.RequestURI()+" HTTP/1.1\r\nHost: "+u.Host+"\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	return answer.Header.Get("Location"), nil
}

func shake(address, name string, roots *x509.CertPool, own *tls.Certificate) (*tls.Conn, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: longestWait}, "tcp", address, &tls.Config{
		RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil },
	})
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(longestWait))
}

// shaker is a static server that asks for a certificate and verifies it.
type shaker struct {
	campus *campus.Campus
	listen net.Listener
	server *http.Server
}

func newShaker(c *campus.Campus) (*shaker, error) {
	pair, err := tls.LoadX509KeyPair(c.Dir+"/tls.crt", c.Dir+"/tls.key")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &shaker{campus: c, listen: l}
	s.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		if err := verify(r.TLS.PeerCertificates); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		w.Header().Set("Location", "/")
		w.WriteHeader(http.StatusSeeOther)
	})}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert, SessionTicketsDisabled: true,
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	}
	go s.server.Serve(tls.NewListener(l, cfg)) //nolint:errcheck // it ends with close
	return s, nil
}

// verify builds the chain to its root.
func verify(chain []*x509.Certificate) error {
	if len(chain) < 3 {
		return errors.New("no chain")
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(chain[len(chain)-1])
	for _, c := range chain[1 : len(chain)-1] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

func (s *shaker) shake(own *tls.Certificate) error {
	conn, err := shake(s.listen.Addr().String(), "floor.cert."+campus.Host, s.campus.Gate.Roots, own)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		return fmt.Errorf("the static server answered %s", answer.Status)
	}
	return nil
}

func (s *shaker) close() { s.server.Close() } //nolint:errcheck // nothing is left to answer
