package cas_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"seimon/internal/audit"
	"seimon/internal/directory"
	"seimon/internal/front/cas"
	"seimon/internal/jobs"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
	"seimon/internal/web/webtest"
)

const policyText = `
[[rule]]
name = "everything"
classes = 1

[enrolment]
classes = 2
`

// gate is a whole house with the CAS front, and a person in it.
type gate struct {
	*logintest.House
	front *cas.Front
	book  *rp.Book
	hanak directory.Account
	wire  *wire
	doors http.Handler // of the machines' endpoints
}

// wire carries what the house sends to services, and keeps what it was.
type wire struct {
	status int
	seen   []*http.Request
	bodies []url.Values
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	form := url.Values{}
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
		form = r.PostForm
	}
	w.seen, w.bodies = append(w.seen, r), append(w.bodies, form)
	rec := httptest.NewRecorder()
	if w.status == http.StatusFound {
		rec.Header().Set("Location", "https://evil.example.org/")
	}
	rec.WriteHeader(w.status)
	return rec.Result(), nil
}

func open(t testing.TB) *gate {
	t.Helper()
	g := openEmpty(t)
	g.hanak = g.House.Person("hanako")
	return g
}

// openEmpty is open without a person.
func openEmpty(t testing.TB) *gate {
	t.Helper()
	g := &gate{House: logintest.New(t, []store.Schema{cas.Schema()}, []lang.Source{cas.Words()}), wire: &wire{status: http.StatusOK}}
	g.book = rp.New(g.DB, g.Ring.MAC, cas.Check())
	g.front = g.node()
	if err := errors.Join(g.Hall.Open(g.front), g.Site.Templates(cas.Templates()), g.Site.Check()); err != nil {
		t.Fatal(err)
	}
	g.Jobs.Handle(session.SignOutKind(cas.Name), func(ctx context.Context, task jobs.Task) error {
		var v session.Visit
		if err := json.Unmarshal(task.Payload, &v); err != nil {
			return err
		}
		return g.front.SignOut(ctx, v)
	})
	g.Write(func(tx *store.Tx) error {
		list, err := g.book.List(tx)
		for _, p := range list {
			if err == nil {
				err = g.book.Remove(tx, p.ID)
			}
		}
		return err
	})
	g.Apply(policyText)
	g.doors = g.Site.Handler()
	return g
}

// listen puts the machines' endpoints on a site that tells everything it does.
func (g *gate) listen(log *slog.Logger) {
	g.T.Helper()
	site, err := web.New(web.Config{Origin: logintest.Origin, Words: g.Words, Log: log})
	if err != nil {
		g.T.Fatal(err)
	}
	front := g.node()
	front.Log = log
	front.Mount(site)
	g.doors = site.Handler()
}

// node is one more front on the same database.
func (g *gate) node() *cas.Front {
	return cas.New(cas.Rooms{
		DB: g.DB, Hall: g.Hall, Exit: g.Exit, Parties: g.book, Sessions: g.Sessions, Ring: g.Ring, Audit: g.Audit,
		Client: &http.Client{Transport: g.wire},
	})
}

// members are the members of a service's registration.
type members map[string]any

// service registers a service below its own host.
func (g *gate) service(id string, more members, change ...func(*rp.Party)) {
	g.T.Helper()
	g.Write(func(tx *store.Tx) error { return g.put(tx, id, more, change...) })
}

func (g *gate) put(tx *store.Tx, id string, more members, change ...func(*rp.Party)) error {
	reg := members{"addresses": []members{{"url": home(id), "match": "prefix"}}}
	for k, v := range more {
		reg[k] = v
	}
	text, err := json.Marshal(reg)
	if err != nil {
		return err
	}
	p := rp.Party{
		ID: id, Protocol: cas.Name, Names: map[lang.Tag]string{lang.EN: id, lang.JA: id}, Consent: rp.ConsentNone, Registration: text,
		Release: []rp.Release{{Attribute: "userName", Required: true}, {Attribute: "mail"}, {Attribute: "displayName;ja"}, {Attribute: "eduPersonAffiliation"}},
	}
	for _, fn := range change {
		fn(&p)
	}
	return g.book.Put(tx, p)
}

func home(id string) string { return "https://" + id + ".example.org/app/" }

func (g *gate) browser() *webtest.Browser {
	b := webtest.New(g.T, logintest.Origin, g.Site.Handler())
	b.Accept = "en"
	return b
}

// enter is the address to which a service sends a browser: pairs of further parameters.
func enter(service string, pairs ...string) string {
	v := url.Values{"service": {service}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return "/cas/login?" + v.Encode()
}

// signIn walks the pages until the browser leaves.
func signIn(b *webtest.Browser, user string) *webtest.Browser {
	if strings.Contains(b.Body, `name="username"`) {
		b.Submit("Continue", "username", user)
	}
	return b.Submit("Continue", "password", logintest.Password)
}

// ticket signs hanako in and gives the ticket that the service gets.
func (g *gate) ticket(b *webtest.Browser, service string, pairs ...string) string {
	g.T.Helper()
	if b.Get(enter(service, pairs...)); !b.Left() {
		signIn(b, "hanako")
	}
	text := b.URL.Query().Get("ticket")
	if !b.Left() || text == "" {
		g.T.Fatalf("no ticket: %s (%d)\n%s", b.Location(), b.Status, b.Text())
	}
	return text
}

// response is what a validation says.
type response struct {
	User    string   `xml:"authenticationSuccess>user"`
	Receipt string   `xml:"authenticationSuccess>proxyGrantingTicket"`
	Proxies []string `xml:"authenticationSuccess>proxies>proxy"`
	Values  struct {
		All []value `xml:",any"`
	} `xml:"authenticationSuccess>attributes"`
	Failure struct {
		Code string `xml:"code,attr"`
	} `xml:"authenticationFailure"`
	Proxy     string `xml:"proxySuccess>proxyTicket"`
	ProxyFail struct {
		Code string `xml:"code,attr"`
	} `xml:"proxyFailure"`
	raw string
}

type value struct {
	XMLName xml.Name
	Text    string `xml:",chardata"`
}

// of gives the values of an attribute.
func (r response) of(name string) (out []string) {
	for _, v := range r.Values.All {
		if v.XMLName.Local == name && v.XMLName.Space == "http://www.yale.edu/tp/cas" {
			out = append(out, v.Text)
		}
	}
	return out
}

// call asks a machine's endpoint from the address of a service.
func (g *gate) call(method, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, logintest.Origin+target, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.200:5000"
	rec := httptest.NewRecorder()
	g.doors.ServeHTTP(rec, r)
	return rec
}

// validate asks at an endpoint: pairs of parameters.
func (g *gate) validate(path string, pairs ...string) response {
	g.T.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	rec := g.call(http.MethodGet, "/cas/"+path+"?"+v.Encode(), "")
	r := response{raw: rec.Body.String()}
	if rec.Code != http.StatusOK || !strings.HasPrefix(rec.Header().Get("Content-Type"), "application/xml") || rec.Header().Get("Cache-Control") != "no-store" {
		g.T.Errorf("%s: %d %v", path, rec.Code, rec.Header())
	}
	if err := xml.Unmarshal(rec.Body.Bytes(), &r); err != nil {
		g.T.Fatalf("%v: %s", err, r.raw)
	}
	return r
}

// fails asks and wants a failure.
func (g *gate) fails(code, path string, pairs ...string) {
	g.T.Helper()
	if r := g.validate(path, pairs...); r.Failure.Code != code || r.User != "" {
		g.T.Errorf("want %s, got %s", code, r.raw)
	}
}

func (g *gate) work() {
	g.T.Helper()
	if _, err := g.Jobs.RunDue(g.T.Context()); err != nil {
		g.T.Fatal(err)
	}
}

func (g *gate) events(prefix string) (types []string) {
	g.T.Helper()
	err := g.DB.Read(g.T.Context(), func(tx *store.Tx) error {
		list, err := g.Audit.Find(tx, audit.Query{TypePrefix: prefix, Limit: 100})
		for _, e := range list {
			types = append(types, e.Type)
		}
		return err
	})
	if err != nil {
		g.T.Fatal(err)
	}
	slices.Sort(types)
	return types
}
