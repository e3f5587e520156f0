package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"seimon/internal/authn"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// arrival is an authorization request on its way through the checks.
type arrival struct {
	client *client
	params params
	pushed []byte // hash of the request_uri it came by
}

// authorize is the authorization endpoint (OIDC Core 3.1.2).
func (f *Front) authorize(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r.URL.Query())
	r = web.Prefer(r, strings.Fields(p.get("ui_locales")))
	in, no, err := f.receive(r.Context(), p)
	if err != nil {
		return err
	}
	to := answer{in.params.get("redirect_uri"), in.params.get("response_mode"), in.params.get("state"), in.client.Party}
	if in.params.flawed("response_mode") {
		to.mode = ""
	}
	if in.params.flawed("state") {
		to.state = ""
	}
	var q *request
	if no == nil {
		q, no = f.judge(in.client, in.params, f.DB.Now())
	}
	if no != nil {
		return f.sendRefusal(w, r, to, no)
	}
	q.Pushed = in.pushed
	sealed, err := json.Marshal(q)
	if err != nil {
		return err
	}
	ask := q.ask(in.client, sealed)
	if ask.Subject, err = f.expected(r, in.client, q.Subject); err != nil {
		return err
	}
	web.Note(r, "client", in.client.ID)
	return f.Hall.Begin(w, r, ask)
}

// expected gives the account that a subject stands for when the browser's session
// belongs to it. Subjects cannot be turned back into accounts, so anybody else
// must sign in first and is compared afterwards.
func (f *Front) expected(r *http.Request, c *client, subject string) (authn.AccountID, error) {
	if subject == "" {
		return "", nil
	}
	s, err := f.Hall.Current(r)
	if errors.Is(err, session.ErrNone) {
		return "", nil
	}
	if err == nil && f.Parties.SubjectFor(c.Party, s.Subject.Account) == subject {
		return s.Subject.Account, nil
	}
	return "", err
}

// receive finds the client and the redirect address, and opens what carries the
// other parameters. An error is shown to the person, for there is no address to
// trust; a refusal goes to the client.
func (f *Front) receive(ctx context.Context, p params) (*arrival, *refusal, error) {
	if p.flawed("client_id") || p.get("client_id") == "" {
		return nil, nil, fault(noClient, "", "client_id", "")
	}
	in := &arrival{params: p}
	var stored params
	uri := p.get("request_uri")
	err := f.DB.Glance(ctx, func(tx *store.Tx) (err error) {
		if in.client, err = f.client(tx, p.get("client_id")); err != nil || !strings.HasPrefix(uri, pushedPrefix) {
			return err
		}
		in.pushed = authn.HashToken(uri)
		stored, err = f.pushedParams(tx, in.pushed, in.client.ID)
		return err
	})
	switch {
	case errors.Is(err, rp.ErrNone):
		return nil, nil, fault(noClient, p.get("client_id"), "client_id", p.get("client_id"))
	case errors.Is(err, errNoPushed):
		return nil, nil, fault(badRequest, in.client.ID, "request_uri", uri)
	case err != nil:
		return nil, nil, err
	}
	if in.pushed != nil {
		in.params = stored // RFC 9126 4: nothing else in the query counts
	}
	no := f.unwrap(in, uri)
	if no != nil && no.skew != nil {
		no.text = f.wrongClock(ctx, in.client, no.skew)
	}
	if in.params.flawed("redirect_uri") || !in.client.owns(in.params.get("redirect_uri")) {
		return nil, nil, fault(badRedirect, in.client.ID, "redirect_uri", in.params.get("redirect_uri"))
	}
	return in, no, nil
}

// unwrap opens a request object, and refuses ways of sending a request that the
// client may not use.
func (f *Front) unwrap(in *arrival, uri string) *refusal {
	if in.pushed != nil {
		return nil
	}
	if no := in.params.refusal(); no != nil {
		return no
	}
	object := in.params.get("request")
	switch {
	case uri != "" && object != "": // RFC 9101 5
		return refuse(errInvalidRequest, "request and request_uri exclude each other")
	case uri != "":
		return refuse(errNoRequestURI, "request_uri is only taken from the pushed authorization request endpoint")
	case in.client.RequirePushed:
		return refuse(errInvalidRequest, "this client must use the pushed authorization request endpoint")
	}
	return f.openRequest(in)
}

// openRequest replaces the parameters by those of the request object, if one was sent.
func (f *Front) openRequest(in *arrival) *refusal {
	object := in.params.get("request")
	if object == "" {
		if in.client.RequireSignedRequest {
			return refuse(errInvalidRequest, "this client must sign its requests")
		}
		return nil
	}
	inside, no := f.readRequestObject(in.client, object)
	if no == nil {
		in.params = inside // RFC 9101 6.3: only what was signed counts
	}
	return no
}

// client reads an enabled client of this front; rp.ErrNone when there is none.
func (f *Front) client(tx *store.Tx, id string) (*client, error) {
	if strings.ContainsRune(id, 0) || !utf8.ValidString(id) { // no database takes it
		return nil, rp.ErrNone
	}
	p, err := f.Parties.Get(tx, id)
	if err != nil {
		return nil, err
	}
	if p.Protocol != Name || p.Disabled {
		return nil, rp.ErrNone
	}
	return f.clients.of(p)
}

// owns tells whether a redirect address is registered: the same text, byte for
// byte (RFC 9700 2.1), where only the port of a native client's loopback address
// may differ (RFC 8252 7.3).
func (c *client) owns(address string) bool {
	if slices.Contains(c.RedirectURIs, address) {
		return true
	}
	if c.ApplicationType != "native" {
		return false
	}
	plain, ok := withoutPort(address)
	return ok && slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		other, ok := withoutPort(registered)
		return ok && other == plain
	})
}

// withoutPort cuts the port from an http loopback address. Only an address that
// is written in the one plain way is taken.
func withoutPort(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || !isLoopback(u.Hostname()) || u.User != nil || strings.Contains(address, "#") || u.String() != address {
		return "", false
	}
	if port := u.Port(); port != "" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	if host, _, err := net.SplitHostPort(u.Host + ":1"); err != nil || !isLoopback(host) {
		return "", false
	}
	return u.String(), true
}
