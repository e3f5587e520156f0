package saml

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/login"
	"seimon/internal/login/page"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web"
)

// request is an AuthnRequest that was found sound. The hall keeps it sealed while the
// person signs in.
type request struct {
	Party    string `json:"party"`
	ID       string `json:"id,omitempty"` // empty for a start by ourselves
	Consumer string `json:"consumer"`
	Relay    string `json:"relay,omitempty"`
	Format   string `json:"format,omitempty"` // of the name; empty leaves it to us
	Sealed   bool   `json:"sealed,omitempty"` // the name is to come encrypted
	Want     wanted `json:"want,omitzero"`
	Force    bool   `json:"force,omitempty"`
	Passive  bool   `json:"passive,omitempty"`
	Subject  string `json:"subject,omitempty"` // the only name that will do
	At       int64  `json:"at"`                // when it came, Unix seconds

	no *status // what cannot be granted, to be told to the service
}

// id is the name of the request in our records.
func (q *request) record() string { return q.Party + " " + q.ID }

// judge turns a verified AuthnRequest into a request (SAML Core 2.0, 3.4.1). Where
// the answer would go is settled before anything else: whatever is wrong afterwards is
// told to the service there.
func (f *Front) judge(s *service, n *xmldoc.Node, relay string, now time.Time) (*request, error) {
	q := &request{Party: s.ID, ID: n.Attr("ID"), Relay: relay, At: now.Unix()}
	if len(q.ID) > 256 || q.ID == "" {
		return nil, fault(badRequest, s.ID, "ID", q.ID)
	}
	if err := q.consumer(s, n); err != nil {
		return nil, err
	}
	if q.no = otherWay(n); q.no != nil {
		return q, nil
	}
	q.Force, q.Passive = n.Attr("ForceAuthn") == "true" || n.Attr("ForceAuthn") == "1", n.Attr("IsPassive") == "true" || n.Attr("IsPassive") == "1"
	for _, step := range []func(*service, *xmldoc.Node) *status{f.readPolicy(q), f.readContext(q), f.readScoping, f.readSubject(q)} {
		if q.no = step(s, n); q.no != nil {
			break
		}
	}
	return q, nil
}

// consumer settles where the response goes: only to a registered address.
func (q *request) consumer(s *service, n *xmldoc.Node) error {
	address := n.Attr("AssertionConsumerServiceURL")
	var index *int
	if text, ok := n.Lookup("AssertionConsumerServiceIndex"); ok {
		i, err := strconv.Atoi(text)
		if err != nil || address != "" { // SAML Core 2.0, 3.4.1: they exclude each other
			return fault(badAddress, s.ID, "AssertionConsumerServiceIndex", text)
		}
		index = &i
	}
	e, ok := s.Consumer(address, index)
	if !ok {
		f, sent := "AssertionConsumerServiceURL", address
		if index != nil {
			f, sent = "AssertionConsumerServiceIndex", strconv.Itoa(*index)
		}
		no := fault(badAddress, s.ID, f, sent)
		no.Facts["registered"] = shorten(registered(s))
		return no
	}
	q.Consumer = e.Location
	return nil
}

// otherWay refuses what would have to be answered in another version (SAML Core 2.0,
// 4.1.3.2) or by another binding than POST; the refusal itself goes by POST.
func otherWay(n *xmldoc.Node) *status {
	if v := n.Attr("Version"); v != "2.0" {
		return versionStatus(v)
	}
	if b := n.Attr("ProtocolBinding"); b != "" && b != metadata.POST {
		return refuse(statusRequester, statusBinding, fmt.Sprintf("responses go by HTTP-POST alone, not by %.100s", b))
	}
	return nil
}

// versionStatus says how a version differs from ours; nil for what is none.
func versionStatus(v string) *status {
	major, minor, ok := strings.Cut(v, ".")
	a, err := strconv.ParseUint(major, 10, 8)
	_, err2 := strconv.ParseUint(minor, 10, 8)
	switch {
	case !ok || err != nil || err2 != nil || v == "2.0":
		return nil
	case a < 2:
		return refuse(statusVersion, statusTooLow, "only SAML 2.0 is spoken")
	}
	return refuse(statusVersion, statusTooHigh, "only SAML 2.0 is spoken")
}

func registered(s *service) string {
	var out []string
	for _, e := range s.Consumers {
		out = append(out, strconv.Itoa(e.Index)+"="+e.Location)
	}
	return strings.Join(out, " ")
}

// readPolicy: the form of the name (SAML Core 2.0, 3.4.1.1).
func (f *Front) readPolicy(q *request) func(*service, *xmldoc.Node) *status {
	return func(s *service, n *xmldoc.Node) *status {
		p := n.First(metadata.SAMLP, "NameIDPolicy")
		if p == nil {
			return nil
		}
		if v := p.Attr("SPNameQualifier"); v != "" && v != s.ID {
			return refuse(statusRequester, statusNamePolicy, "SPNameQualifier names another service")
		}
		q.Format = p.Attr("Format")
		if q.Format == metadata.Encrypted {
			q.Format, q.Sealed = "", true
			if _, ok := s.recipient(); !ok {
				return refuse(statusRequester, statusNamePolicy, "there is no certificate to encrypt the name for")
			}
		}
		if strings.HasSuffix(q.Format, ":nameid-format:unspecified") {
			q.Format = ""
		}
		if q.Format != "" && !slices.Contains(formats(), q.Format) {
			return refuse(statusRequester, statusNamePolicy, fmt.Sprintf("the name format %.100s is not offered", q.Format))
		}
		if q.Format == metadata.Persistent && s.anonymous() {
			return refuse(statusRequester, statusNamePolicy, "the service is in the category of anonymous access and asks for a persistent name: it gets transient ones")
		}
		return nil
	}
}

// readContext: how strong a sign-in is asked for (SAML Core 2.0, 3.3.2.2.1).
func (f *Front) readContext(q *request) func(*service, *xmldoc.Node) *status {
	return func(s *service, n *xmldoc.Node) *status {
		c := n.First(metadata.SAMLP, "RequestedAuthnContext")
		q.Want = wanted{exact, s.Contexts}
		if c == nil {
			return nil
		}
		q.Want = wanted{c.Attr("Comparison"), nil}
		for _, v := range c.All(metadata.SAML, "AuthnContextClassRef") {
			q.Want.Classes = append(q.Want.Classes, v.Text())
		}
		if q.Want.Comparison == "" {
			q.Want.Comparison = exact
		}
		known := slices.Contains([]string{exact, minimum, better, maximum}, q.Want.Comparison)
		if !known || len(q.Want.Classes) > 20 || len(f.answers(q.Want)) == 0 {
			return refuse(statusResponder, statusNoContext, "none of the requested authentication contexts is offered")
		}
		return nil
	}
}

// readScoping: a service may name the providers it would accept (SAML Core 2.0, 3.4.1.2).
func (f *Front) readScoping(_ *service, n *xmldoc.Node) *status {
	list := n.First(metadata.SAMLP, "Scoping").First(metadata.SAMLP, "IDPList").All(metadata.SAMLP, "IDPEntry")
	here := func(e *xmldoc.Node) bool { return e.Attr("ProviderID") == f.EntityID() }
	if len(list) > 0 && !slices.ContainsFunc(list, here) {
		return refuse(statusResponder, statusNoSupported, "IDPList does not name this provider, and it asks no other one")
	}
	return nil
}

// readSubject: the service may name whom it expects (SAML Core 2.0, 3.4.1).
func (f *Front) readSubject(q *request) func(*service, *xmldoc.Node) *status {
	return func(_ *service, n *xmldoc.Node) *status { return f.subject(q, n) }
}

func (f *Front) subject(q *request, n *xmldoc.Node) *status {
	if n.First(metadata.SAML, "Conditions") != nil {
		return refuse(statusRequester, statusUnsupported, "Conditions in requests are not supported")
	}
	sub := n.First(metadata.SAML, "Subject")
	if sub == nil {
		return nil
	}
	if len(sub.All(metadata.SAML, "SubjectConfirmation")) > 0 {
		return refuse(statusRequester, statusUnsupported, "a confirmed Subject is not supported")
	}
	name, _, err := f.nameIn(sub)
	if err != nil || name.Text() == "" {
		return refuse(statusRequester, statusPrincipal, "the name in Subject cannot be read")
	}
	q.Subject = name.Text()
	return nil
}

// ask is the request in the words of the hall.
func (q *request) ask(f *Front, sealed []byte) login.Ask {
	a := login.Ask{
		Front: Name, Party: q.Party, Request: sealed, Force: q.Force, Passive: q.Passive,
		Origins: page.Origins(q.Consumer),
	}
	if strings.Contains(q.Subject, "@") {
		a.Hint, _, _ = strings.Cut(q.Subject, "@")
	}
	if !q.Want.empty() {
		a.Wish, a.Want = ask(f.answers(q.Want))
	}
	return a
}

// moved tells what of a service, since it sent a request, has changed so that the answer
// cannot go there any more.
func (s *service) moved(q *request, now time.Time) error {
	if err := s.over(now); err != nil {
		return err
	}
	if _, ok := s.Consumer(q.Consumer, nil); !ok {
		no := fault(badAddress, s.ID, "AssertionConsumerServiceURL", q.Consumer)
		no.Facts["registered"] = shorten(registered(s))
		return no
	}
	return nil
}

// over tells whether the metadata of a service has ended.
func (s *service) over(now time.Time) error {
	if !s.ValidUntil.IsZero() && !now.Before(s.ValidUntil) {
		return fault(badMetadata, s.ID, "validUntil", s.ValidUntil.UTC().Format(time.RFC3339))
	}
	return nil
}

// service reads an enabled service of this front; a fault when there is none.
func (f *Front) service(r *http.Request, id string) (*service, error) {
	// What the university registered itself stands above every feed.
	s, err := f.read(f.DB.Glance, r, id, f.Parties.Registered)
	if errors.Is(err, rp.ErrNone) {
		if f.Feeds != nil {
			if err := f.Feeds.Ensure(r.Context(), id); err != nil {
				f.Log.Warn("a service could not be asked for", "service", shorten(id), "error", err)
			}
		}
		s, err = f.read(f.DB.Read, r, id, f.Parties.Get)
	}
	if err == rp.ErrNone { //nolint:errorlint // it comes as it is
		return nil, fault(noService, id, "Issuer", id)
	}
	if err != nil {
		return nil, err
	}
	if err := s.over(f.DB.Now()); err != nil {
		return nil, err
	}
	web.Note(r, "client", id)
	return s, nil
}

// read reads a service of this front as find knows it.
func (f *Front) read(
	look func(context.Context, func(*store.Tx) error) error, r *http.Request, id string, find func(*store.Tx, string) (rp.Party, error),
) (s *service, err error) {
	err = look(r.Context(), func(tx *store.Tx) error {
		p, err := find(tx, id)
		if err != nil {
			return err
		}
		if p.Protocol != Name || p.Disabled {
			return rp.ErrNone
		}
		s, err = f.services.of(p)
		return err
	})
	return s, err
}
