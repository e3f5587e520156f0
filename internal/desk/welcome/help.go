package welcome

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/login/transaction"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// own are the topics whose texts are in this room; the others are diagnosis's.
func own() []string { return []string{"eduroam", "codes", "full-width", "password"} }

// shelf is a group of topics; its heading is welcome.shelf.NAME.
type shelf struct {
	name   string
	topics []string
}

// shelves is how the topics are listed.
func shelves() []shelf {
	return []shelf{
		{"signin", []string{"password", "username", "saved-password", "full-width", "cookies"}},
		{"second", []string{"lost-phone", "register", "codes", "clock", "mail"}},
		{"card", []string{"certificate", "card"}},
		{"place", []string{"zone", "eduroam", "relay"}},
		{"desk", []string{"contact"}},
	}
}

// order is every topic.
func order() (all []string) {
	for _, s := range shelves() {
		all = append(all, s.topics...)
	}
	return all
}

// block is a piece of a help text: a paragraph, perhaps for the case that its head
// names, or steps in order.
type block struct {
	Head, Text string
	Steps      []string
}

// headMax is the greatest length of a head in characters.
const headMax = 40

// paragraph parts "iPhone: open the settings." into head and text.
func paragraph(p string) block {
	for _, colon := range []string{"：", ": "} {
		head, text, ok := strings.Cut(p, colon)
		if ok && utf8.RuneCountInString(head) <= headMax && !strings.ContainsAny(head, ".。、,") {
			return block{Head: head, Text: text}
		}
	}
	return block{Text: p}
}

// blocks turns paragraphs into pieces: those that begin with "1. ", "2. " … are steps.
func blocks(paragraphs []string) []block {
	var out []block
	for _, p := range paragraphs {
		number, rest, ok := strings.Cut(p, ". ")
		if _, err := strconv.Atoi(number); !ok || err != nil {
			out = append(out, paragraph(p))
			continue
		}
		if n := len(out); n > 0 && len(out[n-1].Steps) > 0 {
			out[n-1].Steps = append(out[n-1].Steps, rest)
		} else {
			out = append(out, block{Steps: []string{rest}})
		}
	}
	return out
}

// text gives the title and the pieces of a topic; false when there is no such topic.
func text(p lang.Printer, name string) (title string, body []block, ok bool) {
	if slices.Contains(own(), name) {
		id := "welcome.help." + name
		return p.T(id + ".title"), blocks(strings.Split(strings.TrimSpace(p.T(id+".body")), "\n\n")), true
	}
	t, ok := diagnosis.Help(p, name)
	if !ok || !slices.Contains(order(), name) {
		return "", nil, false
	}
	return t.Title, blocks(t.Paragraphs), true
}

// helpPage lists the topics.
type helpPage struct {
	view
	Shelves []shelfView
	Outage  *diagnosis.Advice
	Inquiry bool
}

// shelfView is a group of topics under its heading.
type shelfView struct {
	Name   string
	Topics []topicLink
}

type topicLink struct{ Path, Title string }

func (x *Welcome) topics(p lang.Printer, except string) []topicLink {
	var out []topicLink
	for _, name := range order() {
		if title, _, ok := text(p, name); ok && name != except {
			out = append(out, topicLink{"/help/" + name, title})
		}
	}
	return out
}

// shelved lists all topics in their groups.
func (x *Welcome) shelved(p lang.Printer) []shelfView {
	all := x.topics(p, "")
	var out []shelfView
	for _, s := range shelves() {
		v := shelfView{Name: s.name}
		for _, t := range all {
			if slices.Contains(s.topics, strings.TrimPrefix(t.Path, "/help/")) {
				v.Topics = append(v.Topics, t)
			}
		}
		out = append(out, v)
	}
	return out
}

func (x *Welcome) help(w http.ResponseWriter, r *http.Request) error {
	page := &helpPage{Shelves: x.shelved(web.Lang(r)), Inquiry: x.Desk != ""}
	var err error
	if page.Outage, err = x.mailOutage(r); err != nil {
		return err
	}
	return x.show(w, r, http.StatusOK, "welcome.help", page)
}

// topicPage is one help page.
type topicPage struct {
	view
	Name    string
	Body    []block
	Links   []topicLink
	Gate    *desk.GateView
	Yours   *lostView
	Inquiry bool
}

func (x *Welcome) topic(w http.ResponseWriter, r *http.Request) error {
	return x.showTopic(w, r, r.PathValue("topic"), &topicPage{})
}

func (x *Welcome) showTopic(w http.ResponseWriter, r *http.Request, name string, page *topicPage) error {
	title, body, ok := text(web.Lang(r), name)
	if !ok {
		return x.show(w, r, http.StatusNotFound, "welcome.nohelp", &helpPage{Shelves: x.shelved(web.Lang(r)), Inquiry: x.Desk != ""})
	}
	page.Name, page.Body, page.Inquiry = name, body, x.Desk != ""
	page.Links = related(x.topics(web.Lang(r), name), name)
	return x.Site.Render(w, r, web.View{Template: "welcome.topic", Title: "welcome.topic.title", TitleFacts: []any{"title", title}, Data: page})
}

// related picks the topics that people need next.
func related(all []topicLink, name string) []topicLink {
	near := map[string][]string{
		"lost-phone": {"register", "contact"}, "clock": {"codes", "register"}, "codes": {"clock", "lost-phone", "mail"}, "mail": {"codes", "contact"},
		"zone": {"eduroam", "relay"}, "eduroam": {"zone", "register"}, "relay": {"zone"}, "register": {"clock", "codes", "eduroam"},
		"username": {"password", "full-width"}, "password": {"saved-password", "full-width", "username"},
		"saved-password": {"password"}, "full-width": {"password", "username"}, "cookies": {"contact"}, "contact": {"lost-phone", "password"},
		"certificate": {"card", "contact"}, "card": {"certificate", "contact"},
	}[name]
	return slices.DeleteFunc(all, func(t topicLink) bool { return !slices.Contains(near, strings.TrimPrefix(t.Path, "/help/")) })
}

// zone shows how the gate sees anybody who asks, with the topic's text beneath.
func (x *Welcome) zone(w http.ResponseWriter, r *http.Request) error {
	var gate desk.GateView
	err := x.DB.Read(r.Context(), func(tx *store.Tx) error {
		doc, _, err := x.Policy.Active(tx)
		if err != nil {
			return err
		}
		parties, err := x.open(tx)
		if err != nil {
			return err
		}
		gate = desk.See(r, desk.Forecaster{Doc: doc, Factors: x.Factors, Now: tx.Now}, nil, parties)
		return nil
	})
	if err != nil {
		return err
	}
	return x.showTopic(w, r, "zone", &topicPage{Gate: &gate})
}

// open are the services that anybody may know of: those with an address to go to.
func (x *Welcome) open(tx *store.Tx) ([]rp.Party, error) {
	all, err := x.Parties.List(tx)
	return slices.DeleteFunc(all, func(p rp.Party) bool { return p.Disabled || p.HomeURL == "" }), err
}

// lostView is what one person can still use without the phone.
type lostView struct {
	User     string
	Devices  []string // other things registered
	Mails    []string
	Browsers []string // trusted, with the day until which
	Services []lostService
	Signed   bool
}

// mostUsed bounds the services of federations in the list.
const mostUsed = 30

// lostService is one service without the phone.
type lostService struct {
	Name         string
	Here, Campus bool
}

// lostPhone shows the topic, and for somebody who has proved a password here what
// this very person can still use.
func (x *Welcome) lostPhone(w http.ResponseWriter, r *http.Request) error {
	page := &topicPage{}
	subject, signed, err := x.somebody(r)
	if err != nil {
		return err
	}
	if subject.Account != "" {
		if page.Yours, err = x.left(r, subject.Account); err != nil {
			return err
		}
		page.Yours.Signed = signed
	}
	return x.showTopic(w, r, "lost-phone", page)
}

// somebody is who has proved a password in this browser: signed in, or halfway
// through a sign-in that waits for its second step.
func (x *Welcome) somebody(r *http.Request) (subject authn.Subject, signed bool, err error) {
	s, err := x.Hall.Current(r)
	if err == nil {
		return s.Subject, true, nil
	}
	if !errors.Is(err, session.ErrNone) {
		return authn.Subject{}, false, err
	}
	err = x.DB.Read(r.Context(), func(tx *store.Tx) error {
		subject = authn.Subject{}
		b, err := x.Sessions.Browser(tx, web.Cookie(r, login.BrowserCookie))
		if errors.Is(err, session.ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		t, err := transaction.New(x.Ring).Newest(tx, b.ID)
		if err == nil && t != nil && slices.ContainsFunc(t.Evidence, func(e authn.Evidence) bool { return e.Traits.First }) {
			subject = t.Subject
		}
		return err
	})
	return subject, false, err
}

// left works out what an account can still do without the app on its phone.
func (x *Welcome) left(r *http.Request, id authn.AccountID) (*lostView, error) {
	var v *lostView
	err := x.DB.Read(r.Context(), func(tx *store.Tx) error {
		v = &lostView{}
		account, _, err := x.People.ByID(tx, id)
		if errors.Is(err, directory.ErrNone) {
			return nil
		}
		if err != nil {
			return err
		}
		v.User = account.UserName
		bindings, err := x.Bindings.Of(tx, id)
		if err != nil {
			return err
		}
		for _, b := range bindings {
			switch {
			case b.State != factor.Active || b.Kind == policy.Password:
			case b.Kind == "mailcode":
				v.Mails = append(v.Mails, b.Label)
			default:
				v.Devices = append(v.Devices, desk.KindName(web.Lang(r), b.Kind)+" "+b.Label)
			}
		}
		trusts, err := x.Sessions.Trusts(tx, id)
		if err != nil {
			return err
		}
		for _, t := range trusts {
			v.Browsers = append(v.Browsers, web.Lang(r).T("welcome.lost.browser", "label", t.Label, "day", web.Lang(r).Day(t.Until)))
		}
		v.Services, err = x.without(tx, r, account, bindings)
		return err
	})
	return v, err
}

// without tells for each service whether the password, and a mail code, still open it.
func (x *Welcome) without(tx *store.Tx, r *http.Request, account directory.Account, bindings []factor.Binding) ([]lostService, error) {
	doc, _, err := x.Policy.Active(tx)
	if err != nil {
		return nil, err
	}
	parties, err := x.open(tx)
	if err != nil {
		return nil, err
	}
	used, err := x.Parties.Used(tx, account.ID, nil, mostUsed)
	if err != nil {
		return nil, err
	}
	parties = append(parties, used...)
	f := desk.Forecaster{Doc: doc, Factors: x.Factors, Now: tx.Now}
	kept := slices.DeleteFunc(slices.Clone(bindings), func(b factor.Binding) bool { return b.Kind == "totp" })
	s := f.AfterPassword(desk.StandingOf(x.Factors, account, kept, nil))
	addr := web.ClientOf(r).Addr
	var out []lostService
	for _, p := range parties {
		if f.For(s, desk.OnCampus(), p.ID).Ruling.Refused != "" {
			continue
		}
		out = append(out, lostService{
			p.Name(web.Lang(r).Tag()), f.For(s, desk.Place{Zone: doc.Zone(addr), Addr: addr}, p.ID).Open(), f.For(s, desk.OnCampus(), p.ID).Open(),
		})
	}
	return out, nil
}
