package demo

import (
	"context"
	"crypto/tls"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/app"
	"seimon/internal/app/demo/service"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/web"
)

//go:embed words templates
var files embed.FS

// The hosts of the demo, all on one listener.
const (
	ssoHost  = "sso.localhost"
	demoHost = "demo.localhost"
	certHost = "cert.sso.localhost" // the parent of the hosts that ask for certificates, on a listener of their own
)

// hosts lists every host; the gate first.
func hosts() []string {
	out := []string{ssoHost, demoHost}
	for _, s := range catalogue() {
		out = append(out, s.host())
	}
	return out
}

// Town is the demo: the house, the services, the pages around them.
type Town struct {
	dir      string
	listener net.Listener
	certs    net.Listener // where certificates are shown
	status   net.Listener // where lists and answers about certificates are given
	port     string
	ca       *authority
	leaf     tls.Certificate
	certLeaf tls.Certificate
	log      *slog.Logger
	house    *app.House
	outbox   *mail.Memory
	words    *lang.Words
	zone     *time.Location
	services []offered
	handlers map[string]http.Handler // by host

	issuer  string            // of certificates
	letters map[string]string // activation codes by user name
	cards   []*carried        // with --card
}

// Open builds the demo in dir for a listener. Serve shows it.
func Open(ctx context.Context, dir string, l net.Listener, log *slog.Logger) (*Town, error) {
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	certs, err := beside(l.Addr().String())
	if err != nil {
		return nil, err
	}
	status, err := beside(certs.Addr().String())
	if err != nil {
		return nil, errors.Join(err, certs.Close())
	}
	t := &Town{dir: dir, listener: l, certs: certs, status: status, port: port, log: log, outbox: &mail.Memory{}, handlers: map[string]http.Handler{}, letters: map[string]string{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := t.certify(); err != nil {
		return nil, err
	}
	config, err := t.configure()
	if err != nil {
		return nil, err
	}
	t.house, err = app.Open(ctx, config, app.Options{Log: log, Transport: t.outbox, Client: t.client(), Roots: t.ca.pool()})
	if err != nil {
		return nil, err
	}
	if err := t.found(ctx); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if err := errors.Join(t.publish(ctx), t.fill(ctx), t.build()); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// beside listens on the next port of the same host, or on a free one.
func beside(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if n, err := strconv.Atoi(port); err == nil {
		if l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(n+1))); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

// Close closes the house.
func (t *Town) Close() error {
	return errors.Join(t.house.Close(), ignoreClosed(t.certs.Close()), ignoreClosed(t.status.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (t *Town) certify() (err error) {
	now := time.Now()
	if t.ca, err = openAuthority(t.dir, now); err != nil {
		return err
	}
	if t.leaf, err = t.ca.issue(t.path("tls.pem"), t.path("tls.key"), now, hosts()); err != nil {
		return err
	}
	t.certLeaf, err = t.ca.issue(t.path("cert.pem"), t.path("cert.key"), now, []string{"*." + certHost})
	return err
}

// configure writes the configuration that other commands use beside the demo.
func (t *Town) configure() (*app.Config, error) {
	master := filepath.Join(t.dir, "master.key")
	if _, err := os.Lstat(master); errors.Is(err, fs.ErrNotExist) {
		if err := replaceFile(master, []byte(app.NewMaster()), 0o600); err != nil {
			return nil, err
		}
	}
	text, err := files.ReadFile("templates/seimon.toml")
	if err != nil {
		return nil, err
	}
	full := strings.NewReplacer("ORIGIN", t.origin(ssoHost), "LISTEN", t.listener.Addr().String(), "CERTS", t.certs.Addr().String(), "STATUS", t.statusAddress(), "DEMO", t.origin(demoHost)).Replace(string(text))
	file := filepath.Join(t.dir, "seimon.toml")
	if err := replaceFile(file, []byte(full), 0o600); err != nil {
		return nil, err
	}
	return app.LoadConfig(file)
}

// origin is the address of one of the hosts.
func (t *Town) origin(host string) string {
	if t.port == "443" {
		return "https://" + host
	}
	return "https://" + host + ":" + t.port
}

// client speaks to hosts below localhost wherever names would lead, and trusts the
// demo's authority.
func (t *Town) client() *http.Client {
	d := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: t.ca.pool(), MinVersion: tls.VersionTLS12},
			DialContext: func(ctx context.Context, kind, address string) (net.Conn, error) {
				host, port, err := net.SplitHostPort(address)
				if err == nil && strings.HasSuffix(host, ".localhost") { // RFC 6761 6.3
					address = net.JoinHostPort(t.door(), port)
				}
				return d.DialContext(ctx, kind, address)
			},
			MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
	}
}

// door is the host at which the listener can be reached from here. Services of
// visitors that run beside the demo are reached at the same host.
func (t *Town) door() string {
	host, _, err := net.SplitHostPort(t.listener.Addr().String())
	if err != nil || host == "" {
		return "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return host
}

// build opens the pages and the services.
func (t *Town) build() error {
	var err error
	if t.zone, err = time.LoadLocation("Asia/Tokyo"); err != nil {
		return err
	}
	if t.words, err = lang.New(t.zone, web.Words(), lang.Source{Room: "demo", Files: files}); err != nil {
		return err
	}
	t.handlers[ssoHost] = t.standing(t.house.Handler())
	if err := t.openPages(); err != nil {
		return err
	}
	for _, o := range catalogue() {
		c, err := t.config(o)
		if err != nil {
			return err
		}
		s, err := t.serviceOf(o, c)
		if err != nil {
			return fmt.Errorf("demo: %s: %w", o.id, err)
		}
		t.services = append(t.services, offered{o, c})
		t.host(o.host(), s)
	}
	return nil
}

// offered is a service that runs.
type offered struct {
	offer
	service.Config
}

// serviceOf makes the pages of a service.
func (t *Town) serviceOf(o offer, c service.Config) (http.Handler, error) {
	switch {
	case o.cas:
		return service.NewTicketed(c)
	case !o.saml:
		return service.New(c)
	}
	key, _, err := t.providerKey(o)
	if err != nil {
		return nil, err
	}
	return service.NewProvider(c, t.house.SAMLMetadata(), key)
}

// path names a file of the demo.
func (t *Town) path(name string) string { return filepath.Join(t.dir, name) }

// site makes the pages of one host.
func (t *Town) site(host string, brand web.Brand) (*web.Site, error) {
	s, err := web.New(web.Config{Origin: t.origin(host), Words: t.words, Brand: brand, Log: t.log})
	if err != nil {
		return nil, err
	}
	pages, err := fs.Sub(files, "templates")
	if err != nil {
		return nil, err
	}
	return s, s.Templates(pages)
}

// host serves a host's pages, and the part of the network switch that belongs to it.
func (t *Town) host(name string, pages http.Handler) {
	place := slices.Index(hosts(), name)
	t.handlers[name] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if network, ok := strings.CutPrefix(r.URL.Path, networkPath); ok && r.Method == http.MethodGet {
			t.move(w, r, place, network)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

// hostOf is the host that a request is for, without the port.
func hostOf(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// ServeHTTP leads a request to its host.
func (t *Town) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler, ok := t.handlers[hostOf(r)]
	if !ok { // RFC 9110 15.5.20
		http.Error(w, "This is the demo of Seimon. Open "+t.origin(demoHost)+"/", http.StatusMisdirectedRequest)
		return
	}
	handler.ServeHTTP(w, r)
}

// Serve shows the demo until ctx ends.
func (t *Town) Serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	certs := make(chan error, 1)
	go func() {
		certs <- t.house.ServeCertificates(ctx, t.certs, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &t.certLeaf, nil })
		stop()
	}()
	answers := make(chan error, 1)
	go func() { answers <- t.house.ServeStatus(ctx, t.status); stop() }()
	err := t.house.Serve(ctx, t.listener, &tls.Config{Certificates: []tls.Certificate{t.leaf}, MinVersion: tls.VersionTLS12}, t)
	stop()
	if cerr := <-certs; !errors.Is(cerr, http.ErrServerClosed) {
		err = errors.Join(err, cerr)
	}
	return errors.Join(err, <-answers)
}

// statusAddress is where lists and answers are given, as programs on this machine
// reach it whatever they make of names below localhost.
func (t *Town) statusAddress() string {
	_, port, err := net.SplitHostPort(t.status.Addr().String())
	if err != nil {
		return t.status.Addr().String()
	}
	return net.JoinHostPort(t.door(), port)
}

// certPattern is where browsers of this demo show certificates.
func (t *Town) certPattern() string {
	_, port, err := net.SplitHostPort(t.certs.Addr().String())
	if err != nil {
		return ""
	}
	return "https://*." + certHost + ":" + port + "/"
}

// wait returns when the gate answers that it is ready.
func (t *Town) wait(ctx context.Context, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.origin(ssoHost)+"/readyz", nil)
	if err != nil {
		return err
	}
	for client := t.client(); ; {
		answer, err := client.Do(r)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("status %d", answer.StatusCode)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the demo is not ready: %w", err)
		}
	}
}
