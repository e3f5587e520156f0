package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/desk/certdoor"
	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/factor/clientcert"
	"seimon/internal/session"
	"seimon/internal/store"
)

// CertHostConfig is the listener at which browsers show certificates. Without it
// nobody is asked for one.
type CertHostConfig struct {
	// Listen is its address; never that of the gate.
	Listen string `toml:"listen"`
	// Name is a wildcard below the gate's own name: *.cert.sso.example.ac.jp. Names is
	// a pool of fixed names, where no wildcard certificate is to be had.
	Name  string   `toml:"name"`
	Names []string `toml:"names"`
	// Port is the port that browsers use, when it is not that of Listen.
	Port int `toml:"port"`
	// Certificate and Key are for these names; those of [tls] when empty.
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
	// Proxies are the proxies in front of this listener.
	Proxies []string `toml:"proxies"`
	// ProxyProtocol: they pass TLS through and send the header of the PROXY protocol.
	ProxyProtocol bool `toml:"proxy_protocol"`
	// CertHeader: they end TLS and send Client-Cert (RFC 9440); the listener then
	// speaks plain HTTP, to them alone.
	CertHeader bool `toml:"cert_header"`
	// MinTLS and MaxTLS bound the version: "1.2" or "1.3".
	MinTLS string `toml:"min_tls"`
	MaxTLS string `toml:"max_tls"`
}

func tlsVersion(name string) (uint16, bool) {
	v, ok := map[string]uint16{"": 0, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[name]
	return v, ok
}

func (c *Config) checkCertHost(wrong complaint) {
	k := c.CertHost
	if k.Listen == "" {
		if k.Name != "" || len(k.Names) > 0 {
			wrong("certificate_host.listen", "listen is missing: the address at which certificates are shown, such as :8443")
		}
		return
	}
	if _, _, err := net.SplitHostPort(k.Listen); err != nil {
		wrong("certificate_host.listen", "listen %q is not of the form HOST:PORT", k.Listen)
	}
	if k.Listen == c.Listen {
		wrong("certificate_host.listen", "certificates need a listener of their own: browsers would take an open connection of the gate for them")
	}
	if _, err := c.certNames(); err != nil {
		wrong("certificate_host.name", "%v", err)
	}
	for _, text := range k.Proxies {
		if p, err := parsePrefix(text); err != nil {
			wrong("certificate_host.proxies", "%q is neither an address nor a range", text)
		} else if p.Bits() == 0 {
			wrong("certificate_host.proxies", "the range %s would believe everybody", text)
		}
	}
	switch {
	case (k.ProxyProtocol || k.CertHeader) && len(k.Proxies) == 0:
		wrong("certificate_host.proxies", "name the proxies whose word is believed")
	case k.ProxyProtocol && k.CertHeader:
		wrong("certificate_host.cert_header", "a proxy either passes TLS through (proxy_protocol) or ends it (cert_header)")
	}
	if (k.Certificate == "") != (k.Key == "") {
		wrong("certificate_host.certificate", "certificate and key belong together")
	}
	if k.Certificate == "" && c.TLS.Certificate == "" && !k.CertHeader {
		wrong("certificate_host.certificate", "the certificate for these names is missing")
	}
	c.needFile(wrong, "certificate_host.certificate", k.Certificate)
	c.needFile(wrong, "certificate_host.key", k.Key)
	for key, name := range map[string]string{"min_tls": k.MinTLS, "max_tls": k.MaxTLS} {
		if _, ok := tlsVersion(name); !ok {
			wrong("certificate_host."+key, "%s must be 1.2 or 1.3, not %q", key, name)
		}
	}
}

// certNames are the names of the certificate hosts, as browsers know them.
func (c *Config) certNames() (certdoor.Names, error) {
	k := c.CertHost
	port := k.Port
	if port == 0 {
		_, text, err := net.SplitHostPort(k.Listen)
		if err != nil {
			return certdoor.Names{}, err
		}
		if port, err = strconv.Atoi(text); err != nil {
			return certdoor.Names{}, err
		}
	}
	return certdoor.ParseNames(k.Name, k.Names, port)
}

// newClientcert makes the factor where certificates can be shown; elsewhere nobody
// is offered it.
func newClientcert(h *House) (factor.Factor, error) {
	known := registrar{h.People}
	h.Trust = trust.New(h.DB, h.CA, known, trust.Config{Log: h.Log, Ended: h.endedElsewhere})
	h.OnIssue = append(h.OnIssue, func(tx *store.Tx, c ca.Certificate) error { return clientcert.Register(tx, h.Bindings, c) })
	h.OnRevoke = append(h.OnRevoke, h.cutCertificate)
	h.tries = clientcert.NewAttempts(h.DB)
	h.sweeps = append(h.sweeps, h.tries.Sweep)
	if h.Config.CertHost.Listen == "" {
		return nil, nil
	}
	zone, err := h.Config.location()
	if err != nil {
		return nil, err
	}
	return clientcert.New(clientcert.Rooms{
		Zone:     zone,
		Attempts: h.tries, Bindings: h.Bindings, Judge: h.Trust, People: known, Cards: h.Cards, Start: certdoor.Path,
	}), nil
}

// cutCertificate takes a revoked certificate out of use, with every session and all
// offline access that rests on it.
func (h *House) cutCertificate(tx *store.Tx, c ca.Certificate) error {
	const why = "certificate revoked"
	if c.Reason == ca.KeyCompromise { // the device that held it may be in other hands, and be a browser that its owner trusted
		if _, err := h.Sessions.DistrustAll(tx, c.Account); err != nil {
			return err
		}
	}
	binding, err := clientcert.Unregister(tx, h.Bindings, c)
	if err != nil || binding == "" {
		return err
	}
	ended, clients, err := h.endResting(tx, c, binding, why)
	if err != nil {
		return err
	}
	return h.recordCut(tx, c, why, ended, clients)
}

// endedElsewhere is cutCertificate for a certificate of another house, when a list of
// its issuer names it. The sign-in method stays during a hold: the list refuses it for as
// long as it lasts.
func (h *House) endedElsewhere(tx *store.Tx, e trust.Ended) (held bool, err error) {
	b, name, err := clientcert.Bound(tx, h.Bindings, e.Certificate)
	if errors.Is(err, factor.ErrNone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c := ca.Certificate{ID: name, Account: b.Account, DER: e.Certificate.Raw}
	why := "certificate revoked by its issuer"
	if e.Held {
		why = "certificate put on hold by its issuer"
	} else if _, err := clientcert.Unregister(tx, h.Bindings, c); err != nil {
		return false, err
	}
	ended, clients, err := h.endResting(tx, c, b.ID, why)
	gone := b.State == factor.Removed
	if err != nil || (e.Held || gone) && len(ended)+len(clients) == 0 {
		return e.Held && !gone, err
	}
	err = h.Audit.Append(tx, audit.Event{Type: "certificate.elsewhere.ended", Account: b.Account, Actor: "system", Facts: map[string]string{
		"certificate": name, "anchor": e.Anchor, "name": e.Name, "tail": e.Tail, "reason": e.Reason, "since": e.Since.UTC().Format(time.RFC3339),
	}})
	if err != nil {
		return e.Held, err
	}
	return e.Held, h.recordCut(tx, c, why, ended, clients)
}

// endResting ends the sessions and the offline access of an account that rest on the
// binding of a certificate, and has their services told.
func (h *House) endResting(tx *store.Tx, c ca.Certificate, binding, why string) (ended []session.Session, clients []string, err error) {
	visits, err := h.visitsOf(tx, c.Account)
	if err != nil {
		return nil, nil, err
	}
	ended, err = h.Sessions.EndResting(tx, c.Account, binding, why)
	if err != nil {
		return nil, nil, err
	}
	if err := h.recordTelling(tx, c, ended, visits); err != nil {
		return nil, nil, err
	}
	for _, f := range h.Hall.Fronts() {
		if x, ok := f.(interface {
			EndResting(tx *store.Tx, account authn.AccountID, binding, why string) ([]string, error)
		}); ok {
			lost, err := x.EndResting(tx, c.Account, binding, why)
			if err != nil {
				return nil, nil, err
			}
			clients = append(clients, lost...)
		}
	}
	return ended, clients, nil
}

// openCertdoor opens the door at which certificates are shown.
func openCertdoor(h *House) error {
	k := h.Config.CertHost
	if k.Listen == "" {
		return nil
	}
	names, err := h.Config.certNames()
	if err != nil {
		return err
	}
	r := certdoor.Rooms{
		DB: h.DB, Site: h.Site, Sessions: h.Sessions, Ring: h.Ring, Words: h.Words, Log: h.Log, Attempts: h.tries, Names: names,
		PROXY: k.ProxyProtocol, Fields: k.CertHeader,
		Hints: func(ctx context.Context) (out [][]byte, err error) {
			err = h.DB.Read(ctx, func(tx *store.Tx) error {
				out, err = h.Trust.Hints(tx)
				return err
			})
			return out, err
		},
		Issuers: h.offeredIssuers,
		Record: certdoor.Record{
			Audit: h.Audit, Policy: h.Policy, Bindings: h.Bindings, Broken: h.Factors.Of(clientcert.Kind).(*clientcert.Factor).Broken,
		},
	}
	r.MinTLS, _ = tlsVersion(k.MinTLS)
	r.MaxTLS, _ = tlsVersion(k.MaxTLS)
	for _, text := range k.Proxies {
		p, err := parsePrefix(text)
		if err != nil {
			return err
		}
		r.Proxies = append(r.Proxies, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()))
	}
	if h.Door, err = certdoor.New(r); err != nil {
		return err
	}
	return h.Door.Check(h.Config.Origin)
}

// offeredIssuers are the issuers whose certificates are asked for, as choosers name them.
func (h *House) offeredIssuers(ctx context.Context) (out []string, err error) {
	err = h.DB.Read(ctx, func(tx *store.Tx) error {
		out = nil
		all, err := h.CA.Issuers(tx)
		for _, i := range all {
			if i.State == ca.IssuerActive || i.State == ca.IssuerStatusOnly {
				out = append(out, i.Name)
			}
		}
		return err
	})
	return out, err
}

// ServeCertificates answers at the certificate hosts until ctx ends. server gives
// their own certificate; nil when declared proxies end TLS.
func (h *House) ServeCertificates(ctx context.Context, l net.Listener, server func(*tls.ClientHelloInfo) (*tls.Certificate, error)) error {
	s := h.Door.Server()
	inner := net.Listener(h.Door.Listen(l))
	if server != nil {
		inner = tls.NewListener(inner, h.Door.TLS(server))
	}
	var all sync.WaitGroup
	failed := make(chan error, 1)
	all.Go(func() { failed <- s.Serve(inner) })
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = s.Close() // a person at the chooser asks again; nothing is lost
	}
	all.Wait()
	return err
}

// listenForCertificates opens the configured listener of the certificate hosts.
func (h *House) listenForCertificates(ctx context.Context) (stop func(), err error) {
	c := h.Config
	k := c.CertHost
	if k.Listen == "" {
		return func() {}, nil
	}
	var server func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	if !k.CertHeader {
		cert, key := k.Certificate, k.Key
		if cert == "" {
			cert, key = c.TLS.Certificate, c.TLS.Key
		}
		kept, err := newCertificate(c.path(cert), c.path(key), h.Log)
		if err != nil {
			return nil, fmt.Errorf("%s%w", c.at("certificate_host.certificate"), err)
		}
		server = kept.get
	}
	l, err := net.Listen("tcp", k.Listen)
	if err != nil {
		return nil, fmt.Errorf("%s%w", c.at("certificate_host.listen"), err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		if err := h.ServeCertificates(ctx, l, server); err != nil && ctx.Err() == nil {
			h.Log.Error("the certificate hosts are closed", "error", err)
		}
	})
	h.Log.Info("certificates are asked for", "listen", l.Addr().String(), "names", strings.Join(h.Door.Names.Wildcard(), " "))
	return func() { cancel(); all.Wait() }, nil
}

// registrar finds people for certificates.
type registrar struct{ people *directory.Directory }

// Known gives the subject and profile of an account.
func (r registrar) Known(tx *store.Tx, id authn.AccountID) (authn.Subject, factor.Profile, error) {
	a, p, err := r.people.ByID(tx, id)
	return authn.Subject{Person: a.Person, Account: a.ID, UserName: a.UserName}, factor.ProfileOf(a, p), err
}

// FormerMail tells until when an address was the university's one of a person.
func (r registrar) FormerMail(tx *store.Tx, person authn.PersonID, address string) (time.Time, error) {
	return r.people.FormerMail(tx, person, address)
}

// ByMail lists the accounts of everybody who has proved to own an address.
func (r registrar) ByMail(tx *store.Tx, address string) ([]authn.AccountID, error) {
	list, err := r.people.List(tx, directory.Filter{Text: address})
	var out []authn.AccountID
	for _, e := range list {
		if strings.EqualFold(e.Person.Mail, address) && !e.Person.MailVerified.IsZero() {
			out = append(out, e.Account.ID)
		}
	}
	return out, err
}

// ByUserName gives the account of a user name; "" if there is none.
func (r registrar) ByUserName(tx *store.Tx, name string) (authn.AccountID, error) {
	a, _, err := r.people.ByUserName(tx, name)
	if errors.Is(err, directory.ErrNone) {
		return "", nil
	}
	return a.ID, err
}

// Page lists accounts in the order of their user names.
func (r registrar) Page(tx *store.Tx, after string, limit int) ([]trust.Known, error) {
	list, err := r.people.List(tx, directory.Filter{After: after, Limit: limit})
	var out []trust.Known
	for _, e := range list {
		k := trust.Known{Account: e.Account.ID, UserName: e.Account.UserName}
		if !e.Person.MailVerified.IsZero() {
			k.Mail = e.Person.Mail
		}
		out = append(out, k)
	}
	return out, err
}

// managedCommand is "seimon managed-computers".
type managedCommand struct {
	Browser string `arg:"" enum:"chrome,edge,firefox" help:"chrome, edge or firefox."`
	System  string `help:"System of the computers (${enum})." enum:"windows,macos,linux" default:"linux"`
}

// Run prints the policy with which a browser shows the university's certificates without asking.
func (c managedCommand) Run(d *Desk) error {
	h, err := d.House()
	if err != nil {
		return err
	}
	if h.Door == nil {
		return errors.New("no certificate host is configured: [certificate_host]")
	}
	p, err := h.Door.Policies(d.ctx, c.System)
	if err != nil {
		return err
	}
	text := map[string]string{"chrome": p.Chrome, "edge": p.Edge, "firefox": p.Firefox}[c.Browser]
	_, err = fmt.Fprintln(d.Out(), strings.TrimSpace(text))
	return err
}

// checkCertHost looks at what the certificate hosts need: a server certificate that is
// for all their names and none of the gate's, and an issuer whose certificates count.
func (h *House) checkCertHost(ctx context.Context) ([]diagnosis.Finding, error) {
	if h.Door == nil {
		return nil, nil
	}
	issuers, err := h.offeredIssuers(ctx)
	if err != nil {
		return nil, err
	}
	if len(issuers) == 0 {
		return found("certhost.issuer", diagnosis.Warn), nil
	}
	k := h.Config.CertHost
	if k.CertHeader {
		return nil, nil
	}
	cert, key := k.Certificate, k.Key
	if cert == "" {
		cert, key = h.Config.TLS.Certificate, h.Config.TLS.Key
	}
	pair, err := tls.LoadX509KeyPair(h.Config.path(cert), h.Config.path(key))
	if err != nil {
		return found("certhost", diagnosis.Broken, "reason", err.Error()), nil
	}
	for _, name := range h.Door.Names.Wildcard() {
		if pair.Leaf.VerifyHostname(strings.Replace(name, "*", "doctor", 1)) != nil {
			return found("certhost.name", diagnosis.Broken, "host", name), nil
		}
	}
	until := pair.Leaf.NotAfter.UTC().Format(time.RFC3339)
	switch now := h.DB.Now(); {
	case now.After(pair.Leaf.NotAfter):
		return found("certhost.expired", diagnosis.Broken, "until", until), nil
	case now.Add(certificateWarning).After(pair.Leaf.NotAfter):
		return found("certhost.soon", diagnosis.Warn, "until", until), nil
	}
	return nil, nil
}
