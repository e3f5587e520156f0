package portal

import (
	"net/url"
	"time"

	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// settingsPage is language, notices and addresses.
type settingsPage struct {
	view
	Lang      lang.Tag
	Langs     []langView
	Notices   directory.NoticeChoice
	NoticesTo string
	Notify    addressView
	Recovery  addressView
	Mail      string
}

type langView struct {
	Tag  lang.Tag
	Name string
}

type addressView struct {
	Address  string
	Verified time.Time
}

func (g *guest) settings() error {
	g.here = "/portal/settings"
	page := &settingsPage{
		view: g.top(), Lang: g.p().Tag(), Notices: g.Person.Notices, NoticesTo: g.noticeTo(), Mail: g.Person.Mail,
		Notify:   addressView{g.Person.Notify, g.Person.NotifyVerified},
		Recovery: addressView{g.Person.Recovery, g.Person.RecoveryVerified},
	}
	if page.Notices == "" {
		page.Notices = directory.NoticeNew
	}
	for _, tag := range g.Words.Tags() {
		page.Langs = append(page.Langs, langView{tag, g.Words.In(tag).T("lang.name")})
	}
	return g.show("portal.settings", page)
}

// setLanguage keeps the language with the person, for mails and for other
// browsers, and for this browser too.
func (g *guest) setLanguage() error {
	tag := lang.Tag(g.r.PostFormValue("lang"))
	known := false
	for _, t := range g.Words.Tags() {
		known = known || t == tag
	}
	if !known {
		return g.to("/portal/settings")
	}
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		if err := g.People.SetLang(tx, g.Person.ID, tag); err != nil {
			return err
		}
		return g.Audit.Append(tx, g.event("person.language", "", map[string]string{"language": string(tag)}))
	})
	if err != nil {
		return err
	}
	q := url.Values{"lang": {string(tag)}, "done": {"portal.done.language." + g.mark("portal.done.language")}}
	return g.to("/portal/settings?" + q.Encode())
}

// setNotices keeps when the person wants to hear of sign-ins. They are told of the
// change itself in any case, so that nobody can silence the notices unnoticed.
func (g *guest) setNotices() error {
	choice := directory.NoticeChoice(g.r.PostFormValue("notices"))
	if choice != directory.NoticeEvery && choice != directory.NoticeNew || choice == g.Person.Notices {
		return g.to("/portal/settings")
	}
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		if err := g.People.SetNotices(tx, g.Person.ID, choice); err != nil {
			return err
		}
		return g.record(tx, change{event: "person.notices", template: "portal.mail.notices." + string(choice), facts: map[string]string{"choice": string(choice)}})
	})
	if err != nil {
		return err
	}
	return g.done("/portal/settings", "notices")
}
