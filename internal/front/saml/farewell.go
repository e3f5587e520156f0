package saml

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/login"
	"seimon/internal/login/page"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// farewell is a sign-out on its way from service to service. The session has ended
// before it begins.
type farewell struct {
	ID      string `json:"id"`
	Browser string `json:"browser"`           // whose session it was; services see the id, but no other browser is led on
	Asker   string `json:"asker,omitempty"`   // the service that asked; empty for the gate itself
	Request string `json:"request,omitempty"` // its request
	Relay   string `json:"relay,omitempty"`
	Back    string `json:"back,omitempty"` // where to go at the end, checked before
	Refused bool   `json:"refused,omitempty"`
	Pending []stop `json:"pending,omitempty"`
	Sent    string `json:"sent,omitempty"` // id of the request under way to Pending[0]
	Key     string `json:"key,omitempty"`  // that signed it
	Told    []said `json:"told,omitempty"`
	// Jobs are the services that are told without the browser, by session.
	Jobs map[string][]string `json:"jobs,omitempty"`

	// gentle tells that the browser comes from a form of ours, whose page allows no way
	// to other sites; it goes on by a page of its own.
	gentle bool
}

// stop is a service that waits to be told.
type stop struct {
	Party string `json:"party"`
	Name  nameID `json:"name"`
	Index string `json:"index"`
}

// said is how it went at one service.
type said struct {
	Party string `json:"party"`
	OK    bool   `json:"ok"`
}

// expect takes up who is to be told.
func (g *farewell) expect(who audience) {
	g.Pending, g.Told, g.Jobs = who.Browser, who.Nobody, who.Jobs
}

// partial tells whether a service is left that has not confirmed.
func (g *farewell) partial() bool {
	return slices.ContainsFunc(g.Told, func(t said) bool { return !t.OK })
}

// farewellLife is how long a sign-out may be under way.
const farewellLife = 15 * time.Minute

func (g *farewell) store(tx *store.Tx) error {
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO saml_logout (id, state, until) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET state = $2",
		g.ID, string(text), store.Millis(tx.Now.Add(farewellLife)))
	return err
}

func loadFarewell(tx *store.Tx, id string) (*farewell, error) {
	var text string
	var until int64
	err := tx.QueryRow("SELECT state, until FROM saml_logout WHERE id = $1", id).Scan(&text, &until)
	if err != nil {
		return nil, err
	}
	if until < store.Millis(tx.Now) {
		return nil, store.ErrNoRows
	}
	g := &farewell{}
	return g, json.Unmarshal([]byte(text), g)
}

// goOn leads a browser on in its sign-out: gently from a page of ours, at once from a
// service's answer.
func (f *Front) goOn(gentle bool) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var g *farewell
		err := f.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
			g, err = f.ownFarewell(tx, r)
			return err
		})
		if errors.Is(err, store.ErrNoRows) {
			return fault(badLogout, "", "id", "")
		}
		if err != nil {
			return err
		}
		if g.Sent != "" { // a reload, or the way back: the service there never answered
			g.skip(false)
		}
		g.gentle = gentle
		return f.next(w, r, g)
	}
}

// ownFarewell reads a sign-out in the browser that it belongs to. A service knows its
// id: elsewhere it would learn where else the person was signed in, and by which names.
func (f *Front) ownFarewell(tx *store.Tx, r *http.Request) (*farewell, error) {
	b, err := f.Sessions.Browser(tx, web.Cookie(r, login.BrowserCookie))
	if errors.Is(err, session.ErrNone) {
		return nil, store.ErrNoRows
	}
	if err != nil {
		return nil, err
	}
	g, err := loadFarewell(tx, r.URL.Query().Get("id"))
	if err == nil && g.Browser != b.ID {
		err = store.ErrNoRows
	}
	return g, err
}

func (g *farewell) skip(ok bool) {
	g.Told = append(g.Told, said{g.Pending[0].Party, ok})
	g.Pending, g.Sent = g.Pending[1:], ""
}

// next sends the browser to the next service that can be told by it.
func (f *Front) next(w http.ResponseWriter, r *http.Request, g *farewell) error {
	for len(g.Pending) > 0 {
		s, err := f.service(r, g.Pending[0].Party)
		if err != nil {
			g.skip(false)
			continue
		}
		to, ok := s.logout(metadata.Redirect, metadata.POST)
		if !ok {
			g.skip(false)
			continue
		}
		text, id, at, err := f.logoutRequest(s, g.Pending[0], to.Location)
		if err != nil {
			f.Log.Warn("a service cannot be told", "service", s.ID, "error", err)
			g.skip(false)
			continue
		}
		g.Sent, g.Key = id, f.signing(s)
		if err := f.DB.Write(r.Context(), g.store); err != nil {
			return err
		}
		return f.carry(w, r, parcel{s: s, to: to.Binding, address: to.Location, field: "SAMLRequest", text: text, id: id, at: at, relay: g.ID, gentle: g.gentle, on: f.ahead(r, g)})
	}
	if err := f.DB.Write(r.Context(), g.store); err != nil {
		return err
	}
	return f.finish(w, r, g)
}

// ahead lists the origins that the browser may still be sent to after a form of ours.
func (f *Front) ahead(r *http.Request, g *farewell) []string {
	out := page.Origins(g.Back)
	add := func(party string) {
		if s, err := f.service(r, party); err == nil {
			for _, e := range s.Logout {
				out = append(append(out, page.Origins(e.Location)...), page.Origins(e.Response)...)
			}
		}
	}
	for _, p := range g.Pending {
		add(p.Party)
	}
	if g.Asker != "" {
		add(g.Asker)
	}
	return out
}

// left takes a service's answer to our LogoutRequest and goes on.
func (f *Front) left(w http.ResponseWriter, r *http.Request, m *message) error {
	s, n, err := f.verified(r, m, "LogoutResponse")
	if err != nil {
		return err
	}
	var g *farewell
	err = f.DB.Write(r.Context(), func(tx *store.Tx) error {
		if g, err = loadFarewell(tx, m.relay); err != nil {
			return err
		}
		if len(g.Pending) == 0 || g.Sent == "" || g.Sent != n.Attr("InResponseTo") || g.Pending[0].Party != s.ID {
			return store.ErrNoRows
		}
		code := n.Path(metadata.SAMLP, "Status", "StatusCode")
		ok := code != nil && code.Attr("Value") == statusSuccess && code.First(metadata.SAMLP, "StatusCode") == nil
		if ok && (m.query != "" || xmlsig.Signed(m.root)) {
			if err := noteUptake(tx, g.Key, s.ID, uptakeUsed, saysConfirmed); err != nil {
				return err
			}
		}
		g.skip(ok)
		return g.store(tx)
	})
	if errors.Is(err, store.ErrNoRows) {
		return fault(badLogout, s.ID, "InResponseTo", n.Attr("InResponseTo"))
	}
	if err != nil {
		return err
	}
	// By POST no cookie comes along, so only the next step knows the browser.
	http.Redirect(w, r, pathOn+"?id="+url.QueryEscape(g.ID), http.StatusSeeOther)
	return nil
}

// finish ends a sign-out: the service that asked is answered; otherwise the person
// goes back, or sees at which services the sign-out did not arrive.
func (f *Front) finish(w http.ResponseWriter, r *http.Request, g *farewell) error {
	byJobs, err := f.settle(r.Context(), g.Jobs)
	if err != nil {
		return err
	}
	g.Told = append(g.Told, byJobs...)
	if g.Asker != "" {
		s, err := f.service(r, g.Asker)
		if err != nil {
			return err
		}
		if to, ok := s.logout(metadata.Redirect, metadata.POST); ok {
			return f.answerLogout(w, r, s, to, g)
		}
	}
	if g.Back != "" && !g.partial() {
		http.Redirect(w, r, g.Back, http.StatusSeeOther)
		return nil
	}
	return f.showLeft(w, r, g)
}

// answerLogout sends the LogoutResponse (SAML Core 2.0, 3.7.2).
func (f *Front) answerLogout(w http.ResponseWriter, r *http.Request, s *service, to metadata.Endpoint, g *farewell) error {
	address := to.Location
	if to.Response != "" {
		address = to.Response
	}
	var no *status
	if g.partial() {
		no = partly()
	}
	if g.Refused {
		no = refuse(statusRequester, statusPrincipal, "somebody else is signed in")
	}
	text, id, at := f.logoutResponse(address, g.Request, no)
	return f.carry(w, r, parcel{s: s, to: to.Binding, address: address, field: "SAMLResponse", text: text, id: id, at: at, relay: g.Relay})
}

// partly says that the session here is over, and that somebody else has not confirmed it.
// The first level is about this provider alone (SAML Core 2.0, 3.7.3.2).
func partly() *status {
	return refuse(statusSuccess, statusPartial, "not every service has confirmed the end of its session")
}

// logoutResponse writes the answer to a LogoutRequest, without signature. Where it goes
// is left out by SOAP, which answers whoever asks.
func (f *Front) logoutResponse(to, request string, no *status) (text []byte, id string, at int) {
	d := xmldoc.NewWriter(spaces())
	id = newID()
	d.Start("samlp:LogoutResponse", "ID", id, "Version", "2.0", "IssueInstant", instant(f.DB.Now()), "Destination", to, "InResponseTo", request)
	d.Leaf("saml:Issuer", f.EntityID())
	at = d.Len()
	writeStatus(d, no)
	return d.End().Bytes(), id, at
}

// parcel is a signed message for the browser to carry.
type parcel struct {
	s                  *service
	to, address, field string
	text               []byte
	id                 string
	at                 int
	relay              string
	gentle             bool
	on                 []string // origins further on
}

// carry sends a message with the browser, signed as its binding has it.
func (f *Front) carry(w http.ResponseWriter, r *http.Request, p parcel) error {
	key, _, err := f.signerFor(p.s)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	if p.to == metadata.Redirect {
		address, err := redirectTo(p, key)
		if err != nil {
			return err
		}
		if p.gentle {
			w.Header().Set("Refresh", "0;url="+address)
			return f.site.Render(w, r, web.View{Template: "saml.on", Title: "saml.leave.title", Data: address, Party: page.Badge(p.s.Party, web.Lang(r).Tag()), Focus: true})
		}
		http.Redirect(w, r, address, http.StatusSeeOther)
		return nil
	}
	text, err := xmlsig.Sign(p.text, p.id, p.at, key)
	if err != nil {
		return err
	}
	form := formPage{Action: p.address, Fields: []formField{{p.field, base64.StdEncoding.EncodeToString(text)}}}
	if p.relay != "" {
		form.Fields = append(form.Fields, formField{"RelayState", p.relay})
	}
	return f.site.Render(w, r, web.View{
		Template: "saml.post", Title: "saml.leave.title", Data: form,
		Party: page.Badge(p.s.Party, web.Lang(r).Tag()), FormAction: append(page.Origins(p.address), p.on...), Focus: true,
	})
}

// redirectTo packs and signs a message for the Redirect binding (SAML Bindings 2.0, 3.4.4.1).
func redirectTo(p parcel, key xmlsig.Key) (string, error) {
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = z.Write(p.text)
		err = errors.Join(err, z.Close())
	}
	if err != nil {
		return "", err
	}
	algorithm, err := xmlsig.AlgorithmFor(key.Signer.Public())
	if err != nil {
		return "", err
	}
	q := p.field + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes()))
	if p.relay != "" {
		q += "&RelayState=" + url.QueryEscape(p.relay)
	}
	q += "&SigAlg=" + url.QueryEscape(algorithm)
	_, signature, err := xmlsig.Bare(key.Signer, []byte(q))
	if err != nil {
		return "", err
	}
	joint := "?"
	if strings.Contains(p.address, "?") {
		joint = "&"
	}
	return p.address + joint + q + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), nil
}

// leftPage is the data of the page at the end of a sign-out.
type leftPage struct {
	Told, Untold []string
	Back         string
}

// showLeft says honestly where the sign-out arrived and where it did not.
func (f *Front) showLeft(w http.ResponseWriter, r *http.Request, g *farewell) error {
	page := leftPage{Back: g.Back}
	err := f.DB.Read(r.Context(), func(tx *store.Tx) error {
		page.Told, page.Untold = nil, nil
		for _, t := range g.Told {
			p, err := f.Parties.Get(tx, t.Party)
			if err != nil && !errors.Is(err, rp.ErrNone) {
				return err
			}
			name := p.Name(web.Lang(r).Tag())
			if t.OK {
				page.Told = append(page.Told, name)
			} else {
				page.Untold = append(page.Untold, name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	title := "saml.left.title"
	if g.partial() {
		title = "saml.left.partial"
	}
	return f.site.Render(w, r, web.View{Template: "saml.left", Title: title, Data: page, Focus: true})
}
