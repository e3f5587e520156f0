package certdoor

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// headerTime is how long a declared proxy may take for its header.
const headerTime = 5 * time.Second

// mostConnections bounds the connections of the listener: a person who looks for a
// card keeps one open for a minute or two.
const mostConnections = 4096

// Listener is the listener of the certificate hosts. It reads the header of the
// PROXY protocol from declared proxies, knows which try each connection is for,
// and closes all of a try's connections together.
type Listener struct {
	net.Listener
	door  *Door
	proxy bool // declared peers speak the PROXY protocol
	room  chan struct{}
	// closing: connections that end now are ended by us.
	closing atomic.Bool

	mu    sync.Mutex
	conns map[string]map[*conn]bool // by label
}

// Listen puts the door's listener around one that accepts TCP.
func (d *Door) Listen(l net.Listener) *Listener {
	return &Listener{
		Listener: l, door: d, proxy: d.PROXY, room: make(chan struct{}, mostConnections), conns: map[string]map[*conn]bool{},
	}
}

// Close ends the listener: what breaks from now on is nobody's card.
func (l *Listener) Close() error {
	l.closing.Store(true)
	return l.Listener.Close()
}

// Accept waits for the next connection. It reads nothing from it.
func (l *Listener) Accept() (net.Conn, error) {
	l.room <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	x := &conn{Conn: c, from: l}
	if l.proxy && l.door.declared(addrOf(c.RemoteAddr())) {
		x.front = bufio.NewReaderSize(c, 1024)
	}
	return x, nil
}

// closeAll ends every connection that was made for a try, but for the one that
// carries the answer.
func (l *Listener) closeAll(label string, but net.Conn) {
	l.mu.Lock()
	all := l.conns[label]
	delete(l.conns, label)
	l.mu.Unlock()
	for c := range all {
		if c != but {
			c.Close() //nolint:errcheck // it ends either way
		}
	}
}

// conn is one connection of the certificate listener.
type conn struct {
	net.Conn
	from  *Listener
	front *bufio.Reader // what a declared proxy sends first; nil without one

	head   sync.Once
	client netip.AddrPort
	broken error
	shut   sync.Once

	mu    sync.Mutex
	label string
	asked time.Time // when it was asked for a certificate
	shown bool      // the handshake came to its end
}

func (c *conn) begin() {
	c.head.Do(func() {
		if c.front == nil {
			return
		}
		c.broken = c.Conn.SetReadDeadline(time.Now().Add(headerTime))
		if c.broken == nil {
			c.client, c.broken = readProxy(c.front)
		}
		c.broken = errors.Join(c.broken, c.Conn.SetReadDeadline(time.Time{}))
	})
}

// Read gives what comes after the proxy's header.
func (c *conn) Read(p []byte) (int, error) {
	c.begin()
	if c.broken != nil {
		return 0, c.broken
	}
	if c.front != nil {
		return c.front.Read(p)
	}
	return c.Conn.Read(p)
}

// RemoteAddr is the client's address, also through a declared proxy.
func (c *conn) RemoteAddr() net.Addr {
	c.begin()
	if c.client.IsValid() {
		return net.TCPAddrFromAddrPort(c.client)
	}
	return c.Conn.RemoteAddr()
}

// Close ends the connection and tells the try when its handshake never ended.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.shut.Do(func() {
		<-c.from.room
		c.mu.Lock()
		label, asked, shown := c.label, c.asked, c.shown
		c.mu.Unlock()
		if label == "" {
			return
		}
		c.from.mu.Lock()
		delete(c.from.conns[label], c)
		if len(c.from.conns[label]) == 0 {
			delete(c.from.conns, label)
		}
		c.from.mu.Unlock()
		if !shown && !c.from.closing.Load() {
			c.from.door.stranded(label, asked)
		}
	})
	return err
}

// belongs notes which try a connection is for.
func (l *Listener) belongs(c *conn, label string) {
	c.mu.Lock()
	c.label, c.asked = label, l.door.DB.Now()
	c.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns[label] == nil {
		l.conns[label] = map[*conn]bool{}
	}
	l.conns[label][c] = true
}

// own finds our connection below TLS.
func own(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	x, _ := c.(*conn)
	return x
}

// TLS are the settings of the listener. A certificate is requested and never
// required, and it is judged by the application: a browser whose certificate is
// refused in the handshake shows a page that helps nobody.
func (d *Door) TLS(server func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	base := &tls.Config{
		GetCertificate: server,
		MinVersion:     d.MinTLS, MaxVersion: d.MaxTLS,
		// Over HTTP/2 browsers send a request for another name of the wildcard on a
		// connection that is open already, under its certificate (RFC 9113 9.1.1).
		NextProtos:             []string{"http/1.1"},
		SessionTicketsDisabled: true, // RFC 8446 4.6.1: a resumed session would keep the first choice
		ClientAuth:             tls.NoClientCert,
	}
	if base.MinVersion == 0 {
		base.MinVersion = tls.VersionTLS12
	}
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		host := bare(hello.ServerName)
		if !d.Names.ours(host) { // RFC 6066 3
			return nil, errors.New("certdoor: not a name of ours")
		}
		label, _ := d.Names.label(host, "/")
		if d.Names.Suffix != "" && !d.Attempts.Live(hello.Context(), label) {
			return base, nil // nothing is asked for a try that is over or was never made
		}
		// A name of a pool serves many people at once: its connections belong to no try yet.
		if x := own(hello.Conn); x != nil && d.Names.Suffix != "" {
			x.from.belongs(x, label)
		}
		hints, err := d.pool(hello.Context())
		if err != nil {
			return nil, err
		}
		ask := base.Clone()
		ask.GetConfigForClient = nil
		ask.ClientAuth, ask.ClientCAs = tls.RequestClientCert, hints
		return ask, nil
	}
	return base
}

// pool holds the names of the issuers whose certificates browsers offer (RFC 8446
// 4.2.4, RFC 5246 7.4.4). Nothing is verified against it.
func (d *Door) pool(ctx context.Context) (*x509.CertPool, error) {
	names, err := d.Hints(ctx)
	if err != nil {
		return nil, err
	}
	p := x509.NewCertPool()
	for _, dn := range names {
		p.AddCert(&x509.Certificate{Raw: dn, RawSubject: dn})
	}
	return p, nil
}

// declared tells whether a peer is one of the proxies that the configuration names.
func (d *Door) declared(a netip.Addr) bool {
	return slices.ContainsFunc(d.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

func addrOf(a net.Addr) netip.Addr {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}
