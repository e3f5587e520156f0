package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/status"
	"seimon/internal/ca/trust"
	"seimon/internal/card"
	"seimon/internal/desk/certdoor"
	"seimon/internal/desk/portal"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/factor/clientcert"
	"seimon/internal/front/saml/feed"
	"seimon/internal/jobs"
	"seimon/internal/keyring"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/login/signout"
	"seimon/internal/mail"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/throttle"
	"seimon/internal/web"
)

// Options are what differs between a campus and the demo; the zero value is a campus.
type Options struct {
	Log *slog.Logger
	// Transport carries mail instead of the configured server.
	Transport mail.Transport
	// Client carries sign-outs to services instead of the default one.
	Client *http.Client
	// Roots are further certificate authorities that services and the mail server may use.
	Roots *x509.CertPool
}

// House is every room, opened and joined.
type House struct {
	Config   *Config
	Log      *slog.Logger
	DB       *store.DB
	Words    *lang.Words
	Ring     *keyring.Ring
	Site     *web.Site
	Jobs     *jobs.Board
	Audit    *audit.Log
	Policy   *policy.Book
	People   *directory.Directory
	Sessions *session.Keeper
	Parties  *rp.Book
	Feeds    *feed.Keeper
	CA       *ca.Authority
	Status   *status.Status
	Trust    *trust.Trust
	Door     *certdoor.Door // nil where no certificate host is configured
	Throttle *throttle.Throttle
	Bindings *factor.Bindings
	Cards    *card.Book
	Mail     *mail.Queue
	Factors  factor.Set
	Hall     *login.Hall
	Exit     *signout.Exit

	// OnIssue and OnRevoke are what other rooms hang on certificates, in order.
	OnIssue, OnRevoke []ca.Hook

	options Options
	sweeps  []func(*store.Tx) error
	outage  *outage
	told    told
	seen    *headers
	measure *measures
	tries   *clientcert.Attempts
	history func(tx *store.Tx, p lang.Printer, c ca.Certificate) ([]ca.Moment, error) // of a certificate
}

// Open opens the rooms from the ground up. The database is brought up to date; one
// that cannot be used is refused untouched.
func Open(ctx context.Context, c *Config, o Options) (*House, error) {
	h := &House{Config: c, Log: o.Log, options: o, outage: &outage{file: c.path(c.Outage.File)}, seen: &headers{}}
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	if err := h.foundation(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	for _, step := range []func() error{h.keepers, func() error { return h.issuers(ctx) }, h.frame, h.plugIn} {
		if err := step(); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	for _, p := range plugs() {
		if p.found == nil {
			continue
		}
		if err := p.found(ctx, h); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	return h, nil
}

// foundation opens database, words and keys.
func (h *House) foundation(ctx context.Context) error {
	url, err := h.Config.databaseURL()
	if err != nil {
		return err
	}
	if h.DB, err = store.Open(ctx, store.Config{URL: url}); err != nil {
		return err
	}
	if err := h.DB.Migrate(ctx, schemas()...); err != nil {
		return err
	}
	zone, err := h.Config.location()
	if err != nil {
		return err
	}
	if h.Words, err = lang.New(zone, words()...); err != nil {
		return err
	}
	if err := h.ownWords(); err != nil {
		return err
	}
	k := h.Config.Keys
	kc := keyring.Config{RotateEvery: time.Duration(k.RotateEvery), Lead: time.Duration(k.Lead), Overlap: time.Duration(k.Overlap)}
	if kc.Master, err = readMaster(h.Config.path(k.Master)); err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	for _, name := range k.Old {
		old, err := readMaster(h.Config.path(name))
		if err != nil {
			return fmt.Errorf("old master key: %w", err)
		}
		kc.Old = append(kc.Old, old)
	}
	h.Ring, err = keyring.Open(ctx, h.DB, kc)
	return err
}

// ownWords lays the university's own sentences over ours.
func (h *House) ownWords() error {
	for tag, name := range map[lang.Tag]string{lang.JA: h.Config.Words.JA, lang.EN: h.Config.Words.EN} {
		if name == "" {
			continue
		}
		text, err := os.ReadFile(h.Config.path(name))
		if err != nil {
			return err
		}
		if err := h.Words.Override(tag, text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// keepers opens the rooms that keep people, sessions, services and rules.
func (h *House) keepers() (err error) {
	node, err := os.Hostname()
	if err != nil {
		return err
	}
	h.Jobs = jobs.New(h.DB, fmt.Sprintf("%s/%d", node, os.Getpid()))
	h.Jobs.Report(func(what string, err error) { h.Log.Error("background work failed", "work", what, "error", err) })
	h.Audit = audit.New(h.DB, func(data []byte) []byte { return h.Ring.MAC("audit", data) })
	h.Policy = policy.NewBook(h.DB)
	h.People = directory.New(h.DB, h.Config.campus())
	h.Sessions = session.New(session.Config{
		Idle: time.Duration(h.Config.Session.Idle), Absolute: time.Duration(h.Config.Session.Absolute),
		PerAccount: h.Config.Session.PerAccount, Tell: h.tells, Cut: h.cut,
	}, h.Jobs)
	h.Throttle = throttle.New(throttle.Limits{Kinds: map[authn.Kind]throttle.Limit{clientcert.Kind: clientcert.Tries()}})
	h.Bindings = factor.NewBindings(h.DB, h.Ring)
	h.Cards = card.NewBook()
	h.Parties = rp.New(h.DB, h.Ring.MAC, checks()...)
	h.openFeeds()
	transport := h.options.Transport
	if transport == nil {
		if transport, err = h.smtp(); err != nil {
			return err
		}
	}
	h.Mail, err = mail.New(h.DB, h.Words, h.Ring, mail.Config{
		From: h.Config.Mail.From, ReplyTo: h.Config.Mail.ReplyTo, Origin: h.Config.Origin, Transport: transport,
		University: tagged(h.Config.University.Name), Help: tagged(h.Config.University.Help),
	})
	return err
}

func (h *House) smtp() (mail.Transport, error) {
	m := h.Config.Mail
	c := mail.SMTPConfig{Host: m.Host, Port: m.Port, Security: m.Security, User: m.User, Hello: m.Hello, Roots: h.options.Roots}
	if m.PasswordFile != "" {
		secret, err := readSecret(h.Config.path(m.PasswordFile))
		if err != nil {
			return nil, fmt.Errorf("mail password: %w", err)
		}
		c.Password = authn.Secret(secret)
	}
	return mail.NewSMTP(c)
}

// cut ends what outlives sessions, such as offline access, when somebody is cut off:
// after a changed password, a lost factor or a suspension. Signing out elsewhere
// at one's own wish leaves it alone.
func (h *House) cut(tx *store.Tx, account authn.AccountID, why string) error {
	if why == portal.SignedOut {
		return nil
	}
	for _, f := range h.Hall.Fronts() {
		if x, ok := f.(interface {
			EndAccount(tx *store.Tx, account authn.AccountID, client, why string) (int64, error)
		}); ok {
			if _, err := x.EndAccount(tx, account, "", why); err != nil {
				return err
			}
		}
	}
	return nil
}

// tells names the fronts that must hear of the end of a session.
func (h *House) tells(front string) bool {
	_, ok := h.Hall.Front(front).(login.SignOuter)
	return ok
}

// frame opens the site and the hall.
func (h *House) frame() (err error) {
	proxies, err := h.Config.proxies()
	if err != nil {
		return err
	}
	brand := web.Brand{
		Name: tagged(h.Config.University.Name), Short: tagged(h.Config.University.Short), Colour: h.Config.University.Colour,
		Help: tagged(h.Config.University.Help), HelpURL: h.Config.University.HelpURL,
	}
	if h.Config.University.Logo != "" {
		if brand.LogoSVG, err = os.ReadFile(h.Config.path(h.Config.University.Logo)); err != nil {
			return fmt.Errorf("logo: %w", err)
		}
	}
	h.measure = newMeasures()
	h.Site, err = web.New(web.Config{
		Origin: h.Config.Origin, Proxies: proxies, ProxyHeader: h.Config.proxyHeader(), Words: h.Words, Brand: brand,
		Log: h.Log, Notice: h.notices, Observe: h.measure.observe,
	})
	if err != nil {
		return err
	}
	for _, p := range plugs() {
		if p.templates != nil {
			if err := h.Site.Templates(p.templates()); err != nil {
				return err
			}
		}
		if p.factor != nil {
			f, err := p.factor(h)
			if err != nil {
				return err
			}
			if f != nil { // a kind may need what this installation does not have
				h.Factors = append(h.Factors, f)
			}
		}
	}
	h.Hall, err = login.New(login.Rooms{
		DB: h.DB, Site: h.Site, Policy: h.Policy, People: h.People, Sessions: h.Sessions, Parties: h.Parties,
		Throttle: h.Throttle, Audit: h.Audit, Bindings: h.Bindings, Factors: h.Factors, Mail: h.Mail, Ring: h.Ring,
		Words: h.Words, Log: h.Log, HelpURL: h.Config.University.HelpURL,
	})
	if err != nil {
		return err
	}
	h.Site.Failed(h.Hall.Failed)
	h.Site.Closed(h.closed)
	h.Exit, err = signout.New(signout.Rooms{
		DB: h.DB, Site: h.Site, Sessions: h.Sessions, Parties: h.Parties, Audit: h.Audit, Ring: h.Ring, Hall: h.Hall,
	})
	return err
}

// plugIn opens the fronts and desks and sets the background work going.
func (h *House) plugIn() error {
	for _, p := range plugs() {
		if p.join != nil {
			if err := p.join(h); err != nil {
				return err
			}
		}
		if p.front == nil {
			continue
		}
		f, err := p.front(h)
		if err != nil {
			return err
		}
		if err := h.Hall.Open(f); err != nil {
			return err
		}
	}
	h.mountHealth()
	h.collect()
	h.background()
	return h.Site.Check()
}

// Close closes what was opened.
func (h *House) Close() error {
	if h.DB == nil {
		return nil
	}
	return h.DB.Close()
}

// name is the university's name in a language, or the best there is.
func (h *House) name(tag lang.Tag) string {
	for _, t := range []lang.Tag{tag, lang.EN, lang.JA} {
		if n := h.Config.University.Name[string(t)]; n != "" {
			return n
		}
	}
	return "Seimon"
}
