package service

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Ticketed is a service that speaks CAS 3. Of Config it needs neither secret nor
// scopes; Issuer is the gate's origin.
type Ticketed struct {
	pages // the sid of a visit is its ticket
}

// EntryURL is where the gate sends people with a ticket, and where it tells of the end
// of a session.
func (c Config) EntryURL() string { return c.Origin + "/enter" }

// NewTicketed makes a service that signs people in by CAS.
func NewTicketed(cfg Config) (*Ticketed, error) {
	s := &Ticketed{}
	if err := s.open(cfg, ""); err != nil {
		return nil, err
	}
	s.mux.HandleFunc("GET /signin", s.signIn)
	s.mux.HandleFunc("GET /enter", s.enter)
	s.mux.HandleFunc("POST /enter", s.told)
	s.mux.HandleFunc("POST /signout", s.signOut)
	return s, nil
}

// signIn sends the browser to the gate (CAS Protocol 3.0, 2.1). Where the visitor
// began is bound to the browser, so that nobody else's ticket is taken here.
func (s *Ticketed) signIn(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: begunName, Value: "1", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(attemptLife / time.Second)})
	q := url.Values{"service": {s.cfg.EntryURL()}}
	if tag := r.URL.Query().Get("lang"); tag != "" {
		q.Set("locale", tag)
	}
	http.Redirect(w, r, s.cfg.Issuer+"/cas/login?"+q.Encode(), http.StatusSeeOther)
}

const begunName = "__Host-begun"

// enter takes a ticket and asks the gate whose it is (CAS Protocol 3.0, 2.8).
func (s *Ticketed) enter(w http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	if _, err := r.Cookie(begunName); err != nil || ticket == "" {
		s.show(w, r, http.StatusBadRequest, nil, "this sign-in was not begun in this browser, or brought no ticket")
		return
	}
	v, err := s.validate(r, ticket)
	if err != nil {
		s.show(w, r, http.StatusBadGateway, nil, err.Error())
		return
	}
	http.SetCookie(w, &http.Cookie{Name: begunName, Path: "/", Secure: true, HttpOnly: true, MaxAge: -1})
	s.begin(w, v)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// validate asks the gate about a ticket.
func (s *Ticketed) validate(r *http.Request, ticket string) (*visit, error) {
	q := url.Values{"service": {s.cfg.EntryURL()}, "ticket": {ticket}}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.cfg.Issuer+"/cas/p3/serviceValidate?"+q.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := s.cfg.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	var answer struct {
		User    string `xml:"http://www.yale.edu/tp/cas authenticationSuccess>user"`
		Failure struct {
			Code string `xml:"code,attr"`
			Text string `xml:",chardata"`
		} `xml:"http://www.yale.edu/tp/cas authenticationFailure"`
		Attributes struct {
			All []struct {
				XMLName xml.Name
				Text    string `xml:",chardata"`
			} `xml:",any"`
		} `xml:"http://www.yale.edu/tp/cas authenticationSuccess>attributes"`
	}
	if err := xml.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	if answer.User == "" {
		return nil, errors.New(answer.Failure.Code + ": " + strings.TrimSpace(answer.Failure.Text))
	}
	v := &visit{Subject: answer.User, sid: ticket, token: &oauth2.Token{}, Began: time.Now(), Claims: []claim{{"user", answer.User}}}
	for _, a := range answer.Attributes.All {
		if a.XMLName.Local == "acr" {
			v.acr = a.Text
		}
		v.Claims = append(v.Claims, claim{a.XMLName.Local, a.Text})
	}
	slices.SortStableFunc(v.Claims, func(a, b claim) int { return strings.Compare(a.Name, b.Name) })
	return v, nil
}

// told ends the session of a ticket at the gate's word (CAS Protocol 3.0, 2.3.3).
func (s *Ticketed) told(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Index string `xml:"urn:oasis:names:tc:SAML:2.0:protocol SessionIndex"`
	}
	if err := xml.Unmarshal([]byte(r.PostFormValue("logoutRequest")), &request); err != nil || request.Index == "" {
		http.Error(w, "not a logout request", http.StatusBadRequest)
		return
	}
	s.end(func(v *visit) bool { return v.sid == request.Index })
}

// signOut ends the session here and asks the gate to end its own (CAS Protocol 3.0, 2.3).
func (s *Ticketed) signOut(w http.ResponseWriter, r *http.Request) {
	s.forget(w, r)
	http.Redirect(w, r, s.cfg.Issuer+"/cas/logout?"+url.Values{"service": {s.cfg.EntryURL()}}.Encode(), http.StatusSeeOther)
}
