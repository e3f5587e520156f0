package certdoor

import (
	"context"
	"crypto/tls"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/login/transaction"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

//go:embed words
var words embed.FS

//go:embed templates
var templates embed.FS

// Words is what the door says.
func Words() lang.Source { return lang.Source{Room: "certdoor", Files: words} }

// handshakeTime is how long a person may take to find a certificate or a card, and
// to type a PIN, while the connection waits.
const handshakeTime = 150 * time.Second

// turnCookie remembers which name of a pool comes next in this browser.
const turnCookie = "certname"

// way is the factor that takes the answer at the gate.
const way = "clientcert"

// Attempts keeps the tries to show a certificate.
type Attempts interface {
	// Open begins a try for a sign-in, known by a label. Earlier ones of it end. host is the
	// name of a pool that it is led to, client the address of the browser.
	Open(ctx context.Context, transaction, label, host, client string) error
	// Live tells whether a try may still be answered.
	Live(ctx context.Context, label string) bool
	// Record keeps the chain (DER, leaf first; none when no certificate was chosen)
	// that was shown for a try, once. It returns the sign-in and a one-time code to
	// bring back; no code when the try is over, no sign-in when there is no such try.
	Record(ctx context.Context, label string, chain [][]byte, how string) (transaction, code string, err error)
	// Stranded notes that a connection for a try, asked for a certificate at a time,
	// ended before it was made. It returns the sign-in when somebody had chosen or was
	// typing a PIN, once for each try.
	Stranded(tx *store.Tx, label string, asked time.Time) (transaction string, err error)
	// Alone finds the one try that a connection from an address to a name of a pool can
	// belong to, "" when there is none or more than one.
	Alone(ctx context.Context, host, client string, asked time.Time) (label string, err error)
	// Untold tells whether the newest try of a sign-in broke and nobody was told why.
	Untold(ctx context.Context, transaction string) (bool, error)
}

// Rooms are what the door works with.
type Rooms struct {
	DB       *store.DB
	Site     *web.Site
	Sessions *session.Keeper
	Ring     transaction.Sealer
	Words    *lang.Words
	Log      *slog.Logger
	Attempts Attempts
	// Hints gives the names of the issuers whose certificates may be chosen, raw DER.
	Hints func(context.Context) ([][]byte, error)
	// Record keeps what broke.
	Record Record
	// Issuers gives the same names as people read them (CN), for the policies of browsers.
	Issuers func(context.Context) ([]string, error)

	Names Names
	// Proxies are the declared proxies in front of the listener.
	Proxies []netip.Prefix
	// PROXY says that they pass TLS through and send the header of the PROXY protocol.
	PROXY bool
	// Fields says that they end TLS and send the fields of RFC 9440; the listener then
	// speaks plain HTTP, to them alone.
	Fields bool
	// MinTLS and MaxTLS bound the version; zero means 1.2 and the newest.
	MinTLS, MaxTLS uint16
}

// Door is where certificates are shown.
type Door struct {
	Rooms
	shelf *transaction.Shelf
	gone  *template.Template
	hello time.Duration // for naming a try; helloTime
	most  int           // connections of one source; mostOfOne
}

// New builds the door and mounts its pages at the gate.
func New(r Rooms) (*Door, error) {
	d := &Door{Rooms: r, shelf: transaction.New(r.Ring), hello: helloTime, most: mostOfOne}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if r.Fields && (r.PROXY || len(r.Proxies) == 0) {
		return nil, errors.New("certdoor: certificate fields are believed only from declared proxies that end TLS")
	}
	if r.PROXY && len(r.Proxies) == 0 {
		return nil, errors.New("certdoor: the PROXY protocol is spoken only with declared proxies")
	}
	pages, err := fs.Sub(templates, "templates")
	if err != nil {
		return nil, err
	}
	if err := d.Site.Templates(pages); err != nil {
		return nil, err
	}
	d.gone, err = template.New("").Parse(gonePage)
	if err != nil {
		return nil, err
	}
	d.Site.Page("GET /certificate/{id}", d.start)
	d.Site.Page("GET /help/managed-computers", d.managed)
	return d, nil
}

// Path is where a sign-in begins a try.
func Path(transaction string) string { return "/certificate/" + transaction }

// start begins a try for the sign-in of this browser and sends it to the host of
// the try. Every call is a new try: browsers ask afresh.
func (d *Door) start(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	back := "/login/" + url.PathEscape(id)
	if !d.mine(r, id) || !navigation(r) {
		// The sign-in's own page says what is the matter.
		http.Redirect(w, r, back, http.StatusSeeOther)
		return nil
	}
	untold, err := d.Attempts.Untold(r.Context(), id)
	if err != nil {
		return err
	}
	if untold { // a card that locks itself is not tried again unwarned
		http.Redirect(w, r, back+"?way="+way, http.StatusSeeOther)
		return nil
	}
	try := newTry()
	turn, host := 0, ""
	if n := len(d.Names.Pool); n > 0 {
		if turn, err = strconv.Atoi(web.Cookie(r, turnCookie)); err != nil || turn < 0 || turn >= n {
			turn = 0
		}
		host = d.Names.Pool[turn]
	}
	if err := d.Attempts.Open(r.Context(), id, labelOf(try), host, web.ClientOf(r).Addr.String()); err != nil {
		return err
	}
	if host != "" {
		web.SetCookie(w, turnCookie, strconv.Itoa((turn+1)%len(d.Names.Pool)), 0)
	}
	http.Redirect(w, r, d.Names.address(try, turn), http.StatusSeeOther)
	return nil
}

// mine tells whether a sign-in is under way in this very browser.
func (d *Door) mine(r *http.Request, id string) bool {
	found := false
	err := d.DB.Read(r.Context(), func(tx *store.Tx) error {
		b, err := d.Sessions.Browser(tx, web.Cookie(r, login.BrowserCookie))
		if err != nil {
			return err
		}
		t, err := d.shelf.Load(tx, id)
		if err != nil {
			return err
		}
		found = t.Browser == b.ID && t.Done.IsZero() && !tx.Now.After(t.Expires)
		return nil
	})
	return err == nil && found
}

// navigation tells whether a person opened the address: no page's picture, script or
// prefetch may begin or answer a try (Fetch Metadata, 2).
func navigation(r *http.Request) bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return r.Header.Get("Sec-Purpose") == "" && r.Header.Get("Purpose") == "" &&
		(mode == "" || mode == "navigate") && (dest == "" || dest == "document")
}

// connKey is where a request carries its connection.
type connKey struct{}

// Server is the server of the certificate hosts, with its limits.
func (d *Door) Server() *http.Server {
	one := new(http.Protocols)
	one.SetHTTP1(true)
	return &http.Server{
		Handler: d, Protocols: one,
		ReadHeaderTimeout: handshakeTime, ReadTimeout: handshakeTime, WriteTimeout: handshakeTime, IdleTimeout: 5 * time.Second,
		MaxHeaderBytes: d.headerBytes(),
		ErrorLog:       slog.NewLogLogger(d.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, own(c))
		},
		ConnState: func(c net.Conn, s http.ConnState) {
			if x := own(c); x != nil && s == http.StateActive {
				x.mu.Lock()
				x.shown = true
				x.mu.Unlock()
				x.within(answerTime)
			}
		},
	}
}

// headerBytes leaves room for a chain only where a proxy sends one in a field.
func (d *Door) headerBytes() int {
	if d.Fields {
		return 2*mostBytes + 16<<10
	}
	return 16 << 10
}

// ServeHTTP takes what a browser shows at a certificate host and sends it back to
// the gate, whatever it was.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	head.Set("Connection", "close")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Security-Policy", "default-src 'none'; style-src 'none'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'")
	head.Set("Strict-Transport-Security", "max-age=31536000")
	host := bare(r.Host)
	switch {
	case !d.Fields && (r.TLS == nil || r.TLS.ServerName == "" || bare(r.TLS.ServerName) != host),
		d.Fields && !d.declared(peerOf(r)), r.ProtoMajor != 1, !d.Names.ours(host):
		// RFC 9110 7.4: this connection does not speak for that host.
		http.Error(w, "Misdirected request.", http.StatusMisdirectedRequest)
		return
	case r.Method != http.MethodGet:
		head.Set("Allow", http.MethodGet)
		http.Error(w, "Method not allowed.", http.StatusMethodNotAllowed)
		return
	}
	label, ok := d.Names.label(host, r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	if !navigation(r) {
		http.Error(w, "Open this address yourself.", http.StatusForbidden)
		return
	}
	d.answer(w, r, label)
}

func (d *Door) answer(w http.ResponseWriter, r *http.Request, label string) {
	chain, how, err := d.shown(r)
	if err != nil {
		d.Log.Warn("a certificate field was refused", "peer", r.RemoteAddr, "error", err)
		http.Error(w, "Bad request.", http.StatusBadRequest)
		return
	}
	id, code, err := d.Attempts.Record(r.Context(), label, chain, how)
	if err != nil {
		d.Log.Error("a certificate could not be recorded", "error", err)
		http.Error(w, "Please go back and try again.", http.StatusServiceUnavailable)
		return
	}
	if x, _ := r.Context().Value(connKey{}).(*conn); x != nil {
		defer x.from.closeAll(label, x)
	}
	if id == "" {
		d.nothing(w, r)
		return
	}
	to := d.Site.URL("/login/"+url.PathEscape(id)) + "?way=" + way
	if code != "" {
		to += "&back=" + url.QueryEscape(code)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// shown is the chain that came with a request, from TLS or from a declared proxy.
func (d *Door) shown(r *http.Request) (chain [][]byte, how string, err error) {
	if d.Fields {
		chain, err = fromFields(r.Header)
		return chain, "field", err
	}
	total := 0
	for i, c := range r.TLS.PeerCertificates {
		if total += len(c.Raw); i == mostCerts || total > mostBytes {
			break // whatever a certificate's own issuer is, it stands near the front
		}
		chain = append(chain, c.Raw)
	}
	return chain, tls.VersionName(r.TLS.Version), nil
}

func peerOf(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}

const gonePage = `<!doctype html>
<html lang="{{.Lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}}</title></head>
<body><main><h1>{{.Title}}</h1><p>{{.Text}}</p><p><a href="{{.URL}}">{{.Link}}</a></p></main></body></html>
`

// nothing answers for a try that was never made or is long forgotten.
func (d *Door) nothing(w http.ResponseWriter, r *http.Request) {
	tag := d.Words.Match(r.Header.Get("Accept-Language"))
	p := d.Words.In(tag)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	err := d.gone.Execute(w, struct{ Lang, Title, Text, URL, Link string }{
		string(tag), p.T("certdoor.gone.title"), p.T("certdoor.gone.text"), d.Site.URL("/portal"), p.T("certdoor.gone.link"),
	})
	if err != nil {
		d.Log.Debug("an answer could not be sent", "error", err)
	}
}

// Check says what is wrong with the names, for the doctor.
func (d *Door) Check(origin string) error {
	u, err := url.Parse(origin)
	if err != nil {
		return err
	}
	if d.Names.ours(u.Hostname()) {
		return fmt.Errorf("%s is the gate itself; certificates need a host of their own", u.Hostname())
	}
	return nil
}
