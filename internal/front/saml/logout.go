package saml

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/login"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// leaving is a LogoutRequest that was found sound (SAML Core 2.0, 3.7.1).
type leaving struct {
	Party   string   `json:"party"`
	ID      string   `json:"id"`
	Relay   string   `json:"relay,omitempty"`
	Name    string   `json:"name"`
	Indexes []string `json:"indexes,omitempty"`
	Opened  string   `json:"opened,omitempty"` // the key of ours for which the name was encrypted
	At      int64    `json:"at"`
}

// logoutByRedirect takes what comes to the logout endpoint by Redirect.
func (f *Front) logoutByRedirect(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Has("SAMLResponse") {
		m, err := f.redirected(r.URL.RawQuery, "SAMLResponse", doorOut)
		if err != nil {
			return err
		}
		return f.left(w, r, m)
	}
	m, err := f.redirected(r.URL.RawQuery, "SAMLRequest", doorOut)
	if err != nil {
		return err
	}
	q, err := f.acceptLogout(r, m)
	if err != nil {
		return err
	}
	return f.leave(w, r, q)
}

// logoutByPost takes what comes by POST. A request goes on by GET, sealed, so that the
// person's session is seen.
func (f *Front) logoutByPost(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err == nil && r.PostForm.Has("SAMLResponse") {
		m, err := posted(r, "SAMLResponse", doorOut)
		if err != nil {
			return err
		}
		return f.left(w, r, m)
	}
	m, err := posted(r, "SAMLRequest", doorOut)
	if err != nil {
		return err
	}
	q, err := f.acceptLogout(r, m)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(q)
	if err != nil {
		return err
	}
	http.Redirect(w, r, pathLeave+"?r="+base64.RawURLEncoding.EncodeToString(f.Ring.Seal(pathLeave, plain)), http.StatusSeeOther)
	return nil
}

// resumeLogout goes on with a request that came by POST.
func (f *Front) resumeLogout(w http.ResponseWriter, r *http.Request) error {
	sealed, err := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("r"))
	var plain []byte
	if err == nil {
		plain, err = f.Ring.Unseal(pathLeave, sealed)
	}
	if err != nil {
		return fault(badLogout, "", "r", "").Because(err)
	}
	var q leaving
	if err := json.Unmarshal(plain, &q); err != nil {
		return err
	}
	if f.DB.Now().Unix()-q.At > int64(requestLife.Seconds()) {
		return fault(badLogout, q.Party, "IssueInstant", "")
	}
	return f.leave(w, r, &q)
}

// acceptLogout verifies a LogoutRequest. It must be signed (SAML Profiles 2.0, 4.4.4.1).
// With a fault it gives a request only when the service that signed it is known.
func (f *Front) acceptLogout(r *http.Request, m *message) (*leaving, error) {
	signed := m.query != "" || xmlsig.Signed(m.root)
	s, n, err := f.verified(r, m, "LogoutRequest")
	switch {
	case s == nil || n == nil:
		return nil, err
	case !signed:
		return nil, fault(badLogout, s.ID, "Signature", "missing")
	}
	q := &leaving{Party: s.ID, ID: n.Attr("ID"), Relay: m.relay, At: f.DB.Now().Unix()}
	if err != nil {
		return q, err
	}
	name, key, err := f.nameIn(n)
	if err != nil {
		return q, fault(badLogout, s.ID, "NameID", "").Because(err)
	}
	q.Name, q.Opened = name.Text(), key
	if err := notOver(s.ID, n, f.DB.Now()); err != nil {
		return q, err
	}
	for _, i := range n.All(metadata.SAMLP, "SessionIndex") {
		q.Indexes = append(q.Indexes, i.Text())
	}
	if q.ID == "" || len(q.ID) > 256 || q.Name == "" || len(q.Indexes) > 100 {
		return q, fault(badLogout, s.ID, "NameID", q.Name)
	}
	for attr, ours := range map[string]string{"NameQualifier": f.EntityID(), "SPNameQualifier": s.ID} { // SAML Core 2.0, 8.3.7
		if v := name.Attr(attr); v != "" && v != ours {
			return q, fault(badLogout, s.ID, attr, v)
		}
	}
	return q, nil
}

// known is what a visit remembers of the assertion that it began with.
type known struct {
	Name nameID `json:"name"`
	Key  string `json:"key,omitempty"` // of ours that signed it
}

// meant tells whether a request is about a visit: by its index when it names any, and
// by the name in any case. named are the sessions in which the service had that name,
// which may have had another form then.
func (q *leaving) meant(v session.Visit, named []string) bool {
	var k known
	if v.Front != Name || v.Party != q.Party || json.Unmarshal(v.Detail, &k) != nil || len(q.Indexes) > 0 && !slices.Contains(q.Indexes, v.ID) {
		return false
	}
	return slices.Contains(named, v.Session) || subtle.ConstantTimeCompare([]byte(k.Name.Value), []byte(q.Name)) == 1
}

// leave ends the browser's session at the wish of a service, and begins to tell the
// others (SAML Profiles 2.0, 4.4.3).
func (f *Front) leave(w http.ResponseWriter, r *http.Request, q *leaving) error {
	g := &farewell{ID: newID(), Asker: q.Party, Request: q.ID, Relay: q.Relay}
	current, err := f.Hall.Current(r)
	switch {
	case errors.Is(err, session.ErrNone): // it is over already
		return f.finish(w, r, g)
	case err != nil:
		return err
	}
	g.Browser = current.Browser
	found := false
	err = f.DB.Write(r.Context(), func(tx *store.Tx) error {
		found, g.Pending, g.Told, g.Jobs = false, nil, nil, nil
		visits, err := f.Sessions.Visits(tx, current.ID)
		if err != nil {
			return err
		}
		named, err := q.sessions(tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(visits, func(v session.Visit) bool { return q.meant(v, named) })
		if found = i >= 0; !found {
			return nil
		}
		if first, err := q.once(tx, current.ID); err != nil || !first {
			found = false // a request of an earlier session, sent again
			return err
		}
		if err := q.took(tx, visits[i]); err != nil {
			return err
		}
		who, err := f.audience(tx, visits, q.Party)
		if err != nil {
			return err
		}
		g.expect(who)
		if err := g.store(tx); err != nil {
			return err
		}
		return f.endSession(tx, r, current, q)
	})
	if err != nil {
		return err
	}
	if !found {
		g.Refused = true // somebody else is signed in here
		return f.finish(w, r, g)
	}
	web.ClearCookie(w, login.SessionCookie)
	return f.next(w, r, g)
}

// whyAsked begins the reason of sessions that a service ended; it needs no telling.
const whyAsked = "saml:"

// Farewell implements signout.Farewell: it gives the address of the page that leads the
// browser to services that can be told there alone; empty when there are none.
func (f *Front) Farewell(tx *store.Tx, sid, asker, back string) (string, error) {
	ending, err := f.Sessions.Get(tx, sid)
	if err != nil {
		return "", err
	}
	visits, err := f.Sessions.Visits(tx, sid)
	if err != nil {
		return "", err
	}
	who, err := f.audience(tx, visits, asker)
	if err != nil || len(who.Browser) == 0 {
		return "", err
	}
	g := &farewell{ID: newID(), Browser: ending.Browser, Back: back}
	g.expect(who)
	return pathNext + "?id=" + g.ID, g.store(tx)
}

// audience finds out how the services of visits can be told, all but one.
func (f *Front) audience(tx *store.Tx, visits []session.Visit, but string) (out audience, err error) {
	for _, v := range visits {
		if v.Party == but {
			continue
		}
		p, err := f.Parties.Get(tx, v.Party)
		if errors.Is(err, rp.ErrNone) {
			continue
		}
		if err != nil {
			return out, err
		}
		var k known
		if v.Front != Name {
			err = out.hear(tx, f.Hall.Front(v.Front), v)
		} else if json.Unmarshal(v.Detail, &k) == nil {
			var s *service
			if s, err = f.services.of(p); err == nil {
				if _, ok := s.logout(metadata.SOAP); ok {
					out.byJob(v)
				} else {
					out.Browser = append(out.Browser, stop{Party: v.Party, Name: k.Name, Index: v.ID})
				}
			}
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// logout finds an endpoint of the service for one of the bindings, in their order.
func (s *service) logout(bindings ...string) (metadata.Endpoint, bool) {
	for _, b := range bindings {
		if i := slices.IndexFunc(s.Logout, func(e metadata.Endpoint) bool { return e.Binding == b }); i >= 0 {
			return s.Logout[i], true
		}
	}
	return metadata.Endpoint{}, false
}

// logoutRequest writes what tells a service that a session is over, without signature.
func (f *Front) logoutRequest(s *service, t stop, to string) (text []byte, id string, at int, err error) {
	now := f.DB.Now()
	w := xmldoc.NewWriter(spaces())
	id = newID()
	w.Start("samlp:LogoutRequest", "ID", id, "Version", "2.0", "IssueInstant", instant(now), "Destination", to,
		"NotOnOrAfter", instant(now.Add(responseLife)))
	w.Leaf("saml:Issuer", f.EntityID())
	at = w.Len()
	if err := f.writeName(w, s, t.Name); err != nil {
		return nil, "", 0, err
	}
	w.Leaf("samlp:SessionIndex", t.Index).End()
	return w.Bytes(), id, at, nil
}
