package cas

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"seimon/internal/login"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web"
)

// The failures of validation and proxying (CAS Protocol 3.0, 2.5.3 and 2.7.3).
const (
	errRequest  = "INVALID_REQUEST"
	errSpec     = "INVALID_TICKET_SPEC"
	errNoTicket = "INVALID_TICKET"
	errService  = "INVALID_SERVICE"
	errCallback = "INVALID_PROXY_CALLBACK"
	errNoProxy  = "UNAUTHORIZED_SERVICE_PROXY"
	errTarget   = "UNAUTHORIZED_SERVICE"
	errInternal = "INTERNAL_ERROR"
)

const namespace = "http://www.yale.edu/tp/cas"

// refusal is what a service is told; the text is for those who build it.
type refusal struct {
	code, text string
	status     int // of HTTP; 0 is OK, as CAS has it
}

func refuse(code, text string) *refusal { return &refusal{code: code, text: text} }

// asked is a validation request.
type asked struct {
	service, ticket, callback string
	format                    format
	renew                     bool
	proxied                   bool   // proxy tickets will do
	wrong                     string // what is wrong with the request itself
}

// asking reads a validation request (CAS Protocol 3.0, 2.5.1).
func asking(q url.Values, proxied bool) asked {
	a := asked{service: q.Get("service"), ticket: q.Get("ticket"), callback: q.Get("pgtUrl"), renew: flag(q, "renew"), proxied: proxied}
	known := false
	a.format, known = formatOf(q.Get("format"))
	if a.service == "" || a.ticket == "" {
		a.wrong = "service and ticket are needed"
	} else if !known {
		a.wrong = "format is neither XML nor JSON"
	}
	for _, name := range []string{"service", "ticket", "pgtUrl", "renew", "format"} {
		if len(q[name]) > 1 {
			a.wrong = name + " comes more than once"
		}
	}
	return a
}

// checked is what a validation found.
type checked struct {
	ticket  ticket
	receipt string // of a proxy-granting ticket that was delivered
}

// validate answers serviceValidate and proxyValidate (CAS Protocol 3.0, 2.5, 2.6, 2.8).
func (f *Front) validate(kind string, attributes bool) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		a := asking(r.URL.Query(), kind == kindProxy)
		found, no, err := f.check(r.Context(), a)
		if err != nil {
			no = f.broken(r, err)
		}
		return answer{what: "authentication", no: no, found: found, attributes: attributes}.write(w, a.format)
	}
}

// broken is the refusal for what we could not carry out. The status of the answer tells
// programs that know no more of CAS, and a proxy in between, that it is our side.
func (f *Front) broken(r *http.Request, err error) *refusal {
	f.Log.Error("a ticket could not be judged", "request", web.RequestID(r), "error", err)
	no := refuse(errInternal, "the gate could not answer; please try again later")
	no.status = http.StatusInternalServerError
	if store.Unavailable(err) {
		no.status = http.StatusServiceUnavailable
	}
	return no
}

// check spends a ticket and judges it. What is wrong with the request spends it as well
// (3.1.1). A callback is called after the ticket is spent and outside of any transaction.
func (f *Front) check(ctx context.Context, a asked) (found checked, no *refusal, err error) {
	if a.ticket == "" {
		return found, refuse(errRequest, a.wrong), nil
	}
	var s *service
	err = f.DB.Write(ctx, func(tx *store.Tx) error {
		found, no, s = checked{}, nil, nil
		t, err := f.spend(tx, a.ticket)
		if a.wrong != "" && (err == nil || errors.Is(err, errTicket)) {
			no = refuse(errRequest, a.wrong)
			return nil
		}
		if errors.Is(err, errTicket) {
			no = refuse(errNoTicket, "the ticket is not known, was used before or is over")
			return nil
		}
		if err != nil {
			return err
		}
		if s, err = f.get(tx, t.party); errors.Is(err, rp.ErrNone) {
			no = refuse(errService, "the service is not registered any more")
			return nil
		} else if err != nil {
			return err
		}
		found.ticket = t
		if no = s.judge(t, a); no != nil {
			return f.note(tx, t, "cas.ticket.refused", map[string]string{"code": no.code, "sent": shorten(a.service)})
		}
		return nil
	})
	if err != nil || no != nil || a.callback == "" {
		return found, no, err
	}
	found.receipt, no, err = f.grantTo(ctx, s, found.ticket, a.callback)
	return found, no, err
}

// judge compares a ticket that was just spent with what was asked.
func (s *service) judge(t ticket, a asked) *refusal {
	switch {
	case t.Service != a.service: // the same text, byte for byte
		return refuse(errService, "the ticket was made for another service address")
	case t.kind == kindProxy && !a.proxied: // 2.5: only proxyValidate takes these
		return refuse(errSpec, "a proxy ticket is taken at proxyValidate alone")
	case a.renew && !t.Renewed: // 2.5.1
		return refuse(errNoTicket, "the person did not sign in anew for this ticket")
	case a.callback != "" && len(s.ProxyCallbacks) == 0:
		return refuse(errNoProxy, "the service may not act for people: it has no proxy_callbacks")
	case a.callback != "" && !slices.Contains(s.ProxyCallbacks, a.callback):
		return refuse(errCallback, "pgtUrl is not registered")
	}
	return nil
}

// grantTo makes a proxy-granting ticket and delivers it to the registered callback
// (CAS Protocol 3.0, 2.5.4). The address was compared with the registration before:
// nobody can make us call another one, and redirects are not followed.
func (f *Front) grantTo(ctx context.Context, s *service, t ticket, callback string) (receipt string, no *refusal, err error) {
	grant := ticket{kind: kindGrant, party: s.ID, session: t.session, visit: t.visit, content: t.content}
	grant.Proxies = append([]string{callback}, t.Proxies...)
	receipt = kindReceipt + "-" + secret()
	var text string
	err = f.DB.Write(ctx, func(tx *store.Tx) error {
		text, err = f.issue(tx, grant, tx.Now.Add(grantLife))
		return err
	})
	if err != nil {
		return "", nil, err
	}
	address := withQuery(callback, url.Values{"pgtId": {text}, "pgtIou": {receipt}})
	if err := f.call(ctx, address); err != nil {
		f.Log.Warn("a proxy-granting ticket was not delivered", "party", s.ID, "error", err)
		return "", refuse(errCallback, "the callback could not be reached or did not answer 200"), nil
	}
	return receipt, nil, nil
}

// callWait bounds how long a callback may take.
const callWait = 5 * time.Second

func (f *Front) call(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	status, err := f.carry(r)
	if err == nil && status != http.StatusOK {
		err = errors.New("the service answered " + http.StatusText(status))
	}
	return err
}

// carry sends a request to a service without following redirects.
func (f *Front) carry(r *http.Request) (status int, err error) {
	carrier := *f.Client
	carrier.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := carrier.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address, which may carry a ticket
		}
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	return res.StatusCode, nil
}

// proxy gives a proxy ticket for a further service to whoever holds a proxy-granting
// ticket (CAS Protocol 3.0, 2.7). The further service must have said whom it takes
// people from, and the hall decides as for a browser of this session.
func (f *Front) proxy(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	as, known := formatOf(q.Get("format"))
	a := answer{what: "proxy"}
	switch {
	case len(q["pgt"]) != 1 || len(q["targetService"]) != 1 || q.Get("pgt") == "" || q.Get("targetService") == "":
		a.no = refuse(errRequest, "pgt and targetService are needed, once each")
	case !known || len(q["format"]) > 1:
		a.no = refuse(errRequest, "format is neither XML nor JSON")
	default:
		var err error
		if a.proxy, a.no, err = f.forward(r.Context(), q.Get("pgt"), q.Get("targetService")); err != nil {
			a.no = f.broken(r, err)
		}
	}
	return a.write(w, as)
}

func (f *Front) forward(ctx context.Context, grant, target string) (text string, no *refusal, err error) {
	err = f.DB.Write(ctx, func(tx *store.Tx) error {
		text, no = "", nil
		g, err := f.grant(tx, grant)
		if errors.Is(err, errTicket) {
			no = refuse(errNoTicket, "the proxy-granting ticket is not known or is over")
			return nil
		}
		if err != nil {
			return err
		}
		if err := f.mayStillProxy(tx, g); errors.Is(err, rp.ErrNone) {
			no = refuse(errNoTicket, "the service that the proxy-granting ticket was given to may not act for people any more")
			return nil
		} else if err != nil {
			return err
		}
		s, err := f.at(tx, target)
		if errors.Is(err, rp.ErrNone) || err == nil && !s.proxiedBy(g.party) {
			no = refuse(errTarget, "targetService does not take people from this service")
			return nil
		}
		if err != nil {
			return err
		}
		o, err := f.Hall.Admit(tx, login.Ask{Front: Name, Party: s.ID, Passive: true}, g.session)
		if err != nil {
			return err
		}
		if o.Fault != nil {
			no = refuse(errNoProxy, "the person may not use targetService with what was proved")
			return nil
		}
		t := ticket{kind: kindProxy, party: s.ID, session: g.session, visit: g.visit, content: f.about(s, o, request{Service: target})}
		t.Renewed, t.Proxies = false, g.Proxies
		text, err = f.issue(tx, t, tx.Now.Add(s.life()))
		return err
	})
	return text, no, err
}

// mayStillProxy tells whether everything that a proxy-granting ticket was given for is
// still registered: its service, and the callback that it went to; else rp.ErrNone.
func (f *Front) mayStillProxy(tx *store.Tx, g ticket) error {
	s, err := f.get(tx, g.party)
	if err == nil && (len(g.Proxies) == 0 || !slices.Contains(s.ProxyCallbacks, g.Proxies[0])) {
		err = rp.ErrNone
	}
	return err
}

// withQuery adds values to the query that an address may have already.
func withQuery(address string, values url.Values) string {
	joint := "?"
	if u, err := url.Parse(address); err == nil && u.RawQuery != "" {
		joint = "&"
	}
	return address + joint + values.Encode()
}
