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

const (
	// mostConnections bounds the connections of the listener: a person who looks for a
	// card keeps one open for a minute or two.
	mostConnections = 4096
	// mostOfOne bounds those of one source, which may be a whole building.
	mostOfOne = 512
	// helloTime is how long a connection may take to name a try that is under way. Only
	// then it has time for a person.
	helloTime = 10 * time.Second
	// answerTime is how long a request may take once it was read.
	answerTime = 30 * time.Second
)

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

	mu      sync.Mutex
	conns   map[string]map[*conn]bool // by label
	sources map[netip.Prefix]int      // connections of each
}

// Listen puts the door's listener around one that accepts TCP.
func (d *Door) Listen(l net.Listener) *Listener {
	return &Listener{
		Listener: l, door: d, proxy: d.PROXY, room: make(chan struct{}, mostConnections), conns: map[string]map[*conn]bool{}, sources: map[netip.Prefix]int{},
	}
}

// Close ends the listener: what breaks from now on is nobody's card.
func (l *Listener) Close() error {
	l.closing.Store(true)
	return l.Listener.Close()
}

// Accept waits for the next connection. It reads nothing from it.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		l.room <- struct{}{}
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.room
			return nil, err
		}
		x := &conn{Conn: c, from: l}
		peer := addrOf(c.RemoteAddr())
		switch declared := l.door.declared(peer); {
		case declared && l.proxy:
			x.front = bufio.NewReaderSize(c, 1024)
		case declared && l.door.Fields: // everybody comes through it
		case !x.enter(peer):
			x.Close() //nolint:errcheck // it ends either way
			continue
		}
		x.within(l.door.hello)
		return x, nil
	}
}

// enter counts a connection of a source; false when it has enough. Whoever has one
// address of an IPv6 /64 has them all.
func (c *conn) enter(a netip.Addr) bool {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	source, err := a.Prefix(bits)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from.mu.Lock()
	defer c.from.mu.Unlock()
	if err != nil || c.gone || c.from.sources[source] >= c.from.door.most {
		return false
	}
	c.from.sources[source]++
	c.source = source
	return true
}

// within gives a connection so much time for what it has to do next.
func (c *conn) within(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.gone:
	case c.patience == nil:
		c.patience = time.AfterFunc(d, func() { c.Close() }) //nolint:errcheck // it ends either way
	default:
		c.patience.Reset(d)
	}
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

	mu       sync.Mutex
	label    string
	host     string    // the name of a pool that it came to
	asked    time.Time // when it was asked for a certificate
	shown    bool      // the handshake came to its end
	gone     bool
	source   netip.Prefix // that it is counted under
	patience *time.Timer
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
		if c.client.IsValid() && !c.enter(c.client.Addr().Unmap().WithZone("")) {
			c.broken = errCrowd
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
		label, host, asked, shown, source := c.label, c.host, c.asked, c.shown, c.source
		c.gone = true
		if c.patience != nil {
			c.patience.Stop()
		}
		c.mu.Unlock()
		c.from.leave(source)
		broken := !shown && !c.from.closing.Load()
		if host != "" && broken {
			c.from.door.strandedAt(host, addrOf(c.RemoteAddr()), asked)
		}
		if label == "" {
			return
		}
		c.from.mu.Lock()
		delete(c.from.conns[label], c)
		if len(c.from.conns[label]) == 0 {
			delete(c.from.conns, label)
		}
		c.from.mu.Unlock()
		if broken {
			c.from.door.stranded(label, asked)
		}
	})
	return err
}

// errCrowd says that a source has as many connections as it may have.
var errCrowd = errors.New("certdoor: too many connections of one source")

// leave counts a connection off its source.
func (l *Listener) leave(source netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sources[source]--; l.sources[source] <= 0 {
		delete(l.sources, source)
	}
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

// cameTo notes the name of a pool that a connection came to.
func (c *conn) cameTo(host string, asked time.Time) {
	c.mu.Lock()
	c.host, c.asked = host, asked
	c.mu.Unlock()
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
		label := d.Names.first(host)
		if d.Names.Suffix != "" && !d.Attempts.Live(hello.Context(), label) {
			return base, nil // nothing is asked for a try that is over or was never made
		}
		if x := own(hello.Conn); x != nil {
			x.within(handshakeTime)
			if d.Names.Suffix != "" {
				x.from.belongs(x, label)
			} else { // a name of a pool serves many: which try it is stands in the path
				x.cameTo(host, d.DB.Now())
			}
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
