package demo

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/app/demo/campus"
	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/factor/totp"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/store"
	"seimon/internal/web"
)

// openPages opens the pages around the gate.
func (t *Town) openPages() error {
	site, err := t.site(demoHost, web.Brand{
		Name:   map[lang.Tag]string{lang.JA: "正門大学のデモ", lang.EN: "Seimon University, the demo"},
		Help:   map[lang.Tag]string{lang.JA: "ここはデモです。人も、メールも、大学も、本物ではありません。", lang.EN: "This is a demo. The people, the mail and the university are invented."},
		Colour: "#3f4a5a",
	})
	if err != nil {
		return err
	}
	p := &pages{t, site}
	site.Page("GET /{$}", p.start)
	site.Page("GET /people", p.people)
	site.Page("GET /people/{user}", p.person)
	site.Page("GET /people/{user}/certificate/{number}", p.hand)
	site.Page("POST /people/{user}/card/{where}", p.moveCard)
	site.Page("GET /mailbox", p.mailbox)
	site.Page("GET /mailbox/{number}", p.message)
	site.Page("GET /network", p.network)
	site.Page("GET /trust", p.trust)
	site.Machine("GET /ca.pem", p.authority)
	if err := site.Check(); err != nil {
		return err
	}
	t.host(demoHost, site.Handler())
	return nil
}

// pages are what stands on demo.localhost.
type pages struct {
	*Town
	site *web.Site
}

// sheet is one page: its template and title, and what fills them.
type sheet struct {
	page, title string
	data        any
	facts       []any
}

func (p *pages) show(w http.ResponseWriter, r *http.Request, s sheet) error {
	words := web.Lang(r)
	here := r.URL.Path
	nav := []web.Link{}
	for _, n := range []struct{ path, words string }{
		{"/", "demo.nav.start"}, {"/people", "demo.nav.people"}, {"/mailbox", "demo.nav.mailbox"},
	} {
		nav = append(nav, web.Link{Label: words.T(n.words), URL: n.path, Here: here == n.path})
	}
	back := p.origin(demoHost) + r.URL.RequestURI()
	if here == "/network" {
		back = cmp.Or(r.URL.Query().Get("return"), p.origin(demoHost)+"/")
	}
	network := p.networkLink(r, words, back)
	network.Here = here == "/network"
	return p.site.Render(w, r, web.View{Template: "demo." + s.page, Title: s.title, TitleFacts: s.facts, Data: s.data, Nav: append(nav, network)})
}

// door is one thing to open from the start page.
type door struct{ Name, Lead, URL, ID string }

func (p *pages) start(w http.ResponseWriter, r *http.Request) error {
	words := web.Lang(r)
	var doors []door
	for _, o := range catalogue() {
		d := door{o.name, o.lead, p.origin(o.host()) + "/", o.id}
		if words.Tag() == lang.JA {
			d.Name, d.Lead = o.nameJA, o.leadJA
		}
		doors = append(doors, d)
	}
	doors = append(doors, door{words.T("demo.start.portal"), words.T("demo.start.portal.lead"), p.origin(ssoHost) + "/portal", "portal"})
	first, err := p.citizens(r, campus.People()[:3])
	if err != nil {
		return err
	}
	return p.show(w, r, sheet{page: "start", title: "demo.start.title", data: map[string]any{
		"Doors": doors, "Network": words.T(networkOf(r).words), "First": first,
	}})
}

// citizen is one account as the pages show it.
type citizen struct {
	campus.Person
	Name, Reading, Latin string
	KindName             string
	TroubleName, Advice  string
	Letter               string
	Apps                 []phone
	Card                 *Held
	Owned                []Owned
}

// phone is an app that shows codes.
type phone struct {
	Label, Code, Secret string
	Slow                string // what it would show with a clock that is slow by slowBy
	Pending, Former     bool
	Until               string // to the second
}

// citizens adds to people what their phones and letters show now.
func (p *pages) citizens(r *http.Request, people []campus.Person) ([]citizen, error) {
	words := web.Lang(r)
	out := make([]citizen, len(people))
	err := p.house.DB.Read(r.Context(), func(tx *store.Tx) error {
		for i, one := range people {
			c := citizen{Person: one, Name: one.Family + " " + one.Given, Reading: one.FamilyKana + " " + one.GivenKana,
				Latin: one.GivenLatin + " " + one.FamilyLatin, KindName: words.T("demo.kind." + one.Kind), Letter: p.letters[one.User]}
			if one.Trouble != campus.None {
				c.TroubleName = words.T("demo.trouble." + string(one.Trouble))
				c.Advice = words.T("demo.advice." + string(one.Trouble))
			}
			c.Owned = p.carries(one.User)
			if carried := p.cardOf(one.User); carried != nil {
				held := carried.held()
				c.Card = &held
			}
			var err error
			if c.Apps, err = p.phones(tx, one); err != nil {
				return fmt.Errorf("%s: %w", one.User, err)
			}
			out[i] = c
		}
		return nil
	})
	return out, err
}

// phones plays the apps of an account, also those that a visitor registered, and
// the former phone of somebody who registered again.
func (p *pages) phones(tx *store.Tx, one campus.Person) ([]phone, error) {
	a, _, err := p.house.People.ByUserName(tx, one.User)
	if err != nil {
		return nil, err
	}
	bindings, err := p.house.Bindings.Of(tx, a.ID)
	if err != nil {
		return nil, err
	}
	if one.OldSecret != "" {
		old, err := totp.Import(totp.Config{}, a.ID, formerPhone, one.OldSecret, tx.Now)
		if err != nil {
			return nil, err
		}
		bindings = append(bindings, old)
	}
	var out []phone
	for i, b := range bindings {
		if b.Kind != totp.Kind {
			continue
		}
		code, secret, err := totp.CodeAt(b, tx.Now)
		if err != nil {
			return nil, err
		}
		slow, _, err := totp.CodeAt(b, tx.Now.Add(-slowBy))
		if err != nil {
			return nil, err
		}
		out = append(out, phone{
			Label: b.Label, Code: code, Slow: slow, Secret: secret.Reveal(), Pending: b.State == factor.Pending,
			Former: one.OldSecret != "" && i == len(bindings)-1,
			Until:  tx.Now.Truncate(totpPeriod).Add(totpPeriod).In(p.zone).Format("15:04:05"),
		})
	}
	return out, nil
}

const (
	totpPeriod = 30 * time.Second // how long a code is shown
	slowBy     = 3 * time.Minute  // the error of the clock that visitors can try
)

func (p *pages) people(w http.ResponseWriter, r *http.Request) error {
	typed := strings.TrimSpace(r.URL.Query().Get("q"))
	kind := r.URL.Query().Get("kind")
	var chosen []campus.Person
	for _, one := range campus.People() {
		text := strings.ToLower(strings.Join([]string{one.User, one.Family, one.Given, one.FamilyKana, one.GivenKana, one.GivenLatin, one.FamilyLatin}, " "))
		if !strings.Contains(text, strings.ToLower(typed)) || kind == "trouble" && one.Trouble == campus.None ||
			kind != "" && kind != "trouble" && kind != one.Kind {
			continue
		}
		chosen = append(chosen, one)
	}
	list, err := p.citizens(r, chosen)
	if err != nil {
		return err
	}
	return p.show(w, r, sheet{page: "people", title: "demo.people.title", data: map[string]any{
		"Typed": typed, "Kind": kind, "Kinds": []string{"student", "faculty", "staff", "parttime", "trouble"}, "List": list,
	}})
}

func (p *pages) person(w http.ResponseWriter, r *http.Request) error {
	for _, one := range campus.People() {
		if one.User != r.PathValue("user") {
			continue
		}
		list, err := p.citizens(r, []campus.Person{one})
		if err != nil {
			return err
		}
		if len(list[0].Apps) > 0 { // the page follows the phone
			left := totpPeriod - time.Since(time.Now().Truncate(totpPeriod))
			w.Header().Set("Refresh", strconv.Itoa(int(left/time.Second)+1))
		}
		return p.show(w, r, sheet{page: "person", title: "demo.person.title", data: list[0], facts: []any{"Name", list[0].Name}})
	}
	return p.missing(w, r)
}

// letter is a mail in the mailbox; numbers begin at 1 and stay.
type letter struct {
	mail.Received
	Number int
}

// Lines are the lines of the text.
func (l letter) Lines() []string { return strings.Split(l.Text, "\n") }

func (p *pages) mails() []letter {
	var out []letter
	for i, m := range p.outbox.Messages("") {
		out = append(out, letter{m, i + 1})
	}
	slices.Reverse(out)
	return out
}

func (p *pages) mailbox(w http.ResponseWriter, r *http.Request) error {
	to := strings.TrimSpace(r.URL.Query().Get("to"))
	list := slices.DeleteFunc(p.mails(), func(l letter) bool { return !strings.Contains(strings.ToLower(l.To), strings.ToLower(to)) })
	return p.show(w, r, sheet{page: "mailbox", title: "demo.mailbox.title", data: map[string]any{"List": list[:min(len(list), 200)], "To": to}})
}

func (p *pages) message(w http.ResponseWriter, r *http.Request) error {
	for _, l := range p.mails() {
		if strconv.Itoa(l.Number) == r.PathValue("number") {
			return p.show(w, r, sheet{page: "message", title: "demo.mailbox.message", data: l})
		}
	}
	return p.missing(w, r)
}

// spot is one network of the switch.
type spot struct {
	Name, Why, Address, URL, ID string
	Here                        bool
	Zone                        authn.Zone
}

func (p *pages) network(w http.ResponseWriter, r *http.Request) error {
	words := web.Lang(r)
	back := p.inside(r.URL.Query().Get("return"))
	var list []spot
	for _, n := range networks() {
		list = append(list, spot{
			Name: words.T(n.words), Why: words.T(n.words + ".why"), Address: n.address, ID: n.name,
			URL: p.switchTo(n.name, back), Here: networkOf(r).name == n.name,
		})
	}
	return p.show(w, r, sheet{page: "network", title: "demo.network.title", data: map[string]any{"List": list, "Header": networkHeader, "Back": back}})
}

func (p *pages) trust(w http.ResponseWriter, r *http.Request) error {
	return p.show(w, r, sheet{page: "trust", title: "demo.trust.title", data: map[string]any{"File": p.ca.file, "Until": p.ca.cert.NotAfter}})
}

func (p *pages) authority(w http.ResponseWriter, _ *http.Request) error {
	text, err := os.ReadFile(p.ca.file)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-x509-ca-cert")
	w.Header().Set("Content-Disposition", `attachment; filename="seimon-demo-ca.pem"`)
	_, err = w.Write(text)
	return err
}

func (p *pages) missing(w http.ResponseWriter, r *http.Request) error {
	words := web.Lang(r)
	return p.site.Trouble(w, r, web.Trouble{
		Status: http.StatusNotFound, Cause: words.T("demo.missing"), Next: words.T("demo.missing.next"),
		Actions: []web.Action{{Label: words.T("demo.nav.start"), URL: "/"}},
	})
}
