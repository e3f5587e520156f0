package app

import (
	"context"
	"io/fs"
	"slices"
	"strings"

	"seimon/internal/audit"
	"seimon/internal/ca"
	"seimon/internal/ca/status"
	"seimon/internal/ca/trust"
	"seimon/internal/card"
	"seimon/internal/desk"
	"seimon/internal/desk/cards"
	"seimon/internal/desk/certdoor"
	"seimon/internal/desk/certificates"
	"seimon/internal/desk/portal"
	"seimon/internal/desk/welcome"
	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/factor/clientcert"
	"seimon/internal/factor/mailcode"
	"seimon/internal/factor/password"
	"seimon/internal/factor/totp"
	"seimon/internal/front/cas"
	"seimon/internal/front/oidc"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/jobs"
	"seimon/internal/keyring"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/login/signout"
	"seimon/internal/mail"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/rp/owners"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/throttle"
	"seimon/internal/web"
)

// plug is a plug-in: a factor, a front or a desk. A new one is one line below.
type plug struct {
	schema    func() store.Schema
	words     func() lang.Source
	templates func() fs.FS
	factor    func(*House) (factor.Factor, error)
	front     func(*House) (login.Front, error)
	check     func() rp.Check    // of a relying party's registration
	join      func(*House) error // what else belongs to opening it
	// found runs once at start, with the tables in place.
	found func(context.Context, *House) error
}

// plugs lists every plug-in of the house.
func plugs() []plug {
	return []plug{
		{words: password.Words, templates: password.Templates, factor: newPassword},
		{words: totp.Words, templates: totp.Templates, factor: newTOTP},
		{schema: mailcode.Schema, words: mailcode.Words, templates: mailcode.Templates, factor: newMailcode},
		{schema: clientcert.Schema, words: clientcert.Words, templates: clientcert.Templates, factor: newClientcert},
		{schema: card.Schema, words: card.Words},
		{schema: oidc.Schema, words: oidc.Words, templates: oidc.Templates, check: oidc.Check, front: newOIDC},
		{schema: saml.Schema, words: saml.Words, templates: saml.Templates, check: saml.Check, front: newSAML, found: foundSAML},
		{schema: cas.Schema, words: cas.Words, templates: cas.Templates, check: cas.Check, front: newCAS},
		{schema: feed.Schema},
		{words: desk.Words, join: func(h *House) error { return desk.Templates(h.Site) }},
		{schema: portal.Schema, words: portal.Words, check: portal.Check, front: newPortal, found: foundPortal},
		{schema: welcome.Schema, words: welcome.Words, join: openWelcome},
		{schema: certificates.Schema, words: certificates.Words, join: openCertificates},
		{words: cards.Words, join: openCards},
		{words: certdoor.Words, join: openCertdoor},
	}
}

func newPassword(h *House) (factor.Factor, error) {
	return password.New(h.Config.passwords(), h.Bindings), nil
}

func newTOTP(h *House) (factor.Factor, error) {
	zone, err := h.Config.location()
	return totp.New(totp.Config{Issuer: h.name(lang.JA), Zone: zone}, h.Bindings), err
}

func newMailcode(h *House) (factor.Factor, error) {
	cfg := mailcode.Config{Behind: h.Config.Mail.Behind}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	f := mailcode.New(cfg, h.Bindings, h.Mail, h.Ring)
	h.sweeps = append(h.sweeps, f.Sweep)
	return f, nil
}

func newOIDC(h *House) (login.Front, error) {
	f := oidc.New(oidc.Rooms{
		DB: h.DB, Hall: h.Hall, Exit: h.Exit, Parties: h.Parties, People: h.People, Sessions: h.Sessions,
		Ring: h.Ring, Audit: h.Audit, Words: h.Words, Client: h.options.Client, Log: h.Log,
	})
	h.sweeps = append(h.sweeps, f.Sweep)
	return f, nil
}

func newCAS(h *House) (login.Front, error) {
	f := cas.New(cas.Rooms{
		DB: h.DB, Hall: h.Hall, Exit: h.Exit, Parties: h.Parties, Sessions: h.Sessions, Ring: h.Ring, Audit: h.Audit,
		Client: h.options.Client, Log: h.Log,
	})
	h.sweeps = append(h.sweeps, f.Sweep)
	return f, nil
}

func newPortal(h *House) (login.Front, error) {
	p, err := portal.New(portal.Rooms{
		Hall: h.Hall, Loop: h.loops, Enter: h.enter,
	})
	if err == nil {
		h.sweeps = append(h.sweeps, p.Sweep)
	}
	return p, err
}

// openWelcome opens the desk for people who are not signed in; sign-in leads on to the portal.
func openWelcome(h *House) error {
	x, err := welcome.New(welcome.Rooms{
		Hall: h.Hall, Jobs: h.Jobs, Desk: h.Config.Mail.Desk, SignIn: h.Hall.Front(desk.Portal).(*portal.Portal).Start,
	})
	if err == nil {
		h.sweeps = append(h.sweeps, x.Sweep)
	}
	return err
}

func foundPortal(ctx context.Context, h *House) error {
	return h.Hall.Front(desk.Portal).(*portal.Portal).Found(ctx)
}

// loops tells whether a mailbox opens only through this very sign-in.
func (h *House) loops(address string) bool {
	_, domain, _ := strings.Cut(strings.ToLower(address), "@")
	return slices.ContainsFunc(h.Config.Mail.Behind, func(d string) bool {
		d = strings.ToLower(d)
		return domain == d || strings.HasSuffix(domain, "."+d)
	})
}

// schemas lists the tables of every room.
func schemas() []store.Schema {
	out := []store.Schema{
		policy.Schema(), throttle.Schema(), audit.Schema(), mail.Schema(), jobs.Schema(), keyring.Schema(),
		directory.Schema(), session.Schema(), rp.Schema(), ca.Schema(), status.Schema(), trust.Schema(), factor.Schema(), login.Schema(),
	}
	for _, p := range plugs() {
		if p.schema != nil {
			out = append(out, p.schema())
		}
	}
	return out
}

// words lists the sentences of every room.
func words() []lang.Source {
	out := []lang.Source{
		web.Words(), mail.Words(), session.Words(), rp.Words(), owners.Words(), policy.Words(), diagnosis.Words(), login.Words(), signout.Words(),
	}
	for _, p := range plugs() {
		if p.words != nil {
			out = append(out, p.words())
		}
	}
	return out
}

// checks lists what the fronts say of relying parties before they are stored.
func checks() []rp.Check {
	var out []rp.Check
	for _, p := range plugs() {
		if p.check != nil {
			out = append(out, p.check())
		}
	}
	return out
}
