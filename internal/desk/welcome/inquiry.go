package welcome

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/mail"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/throttle"
	"seimon/internal/web"
)

// Limits of an inquiry, in characters.
const (
	messageMax = 4000
	nameMax    = 100
)

// inquiryPage is the form to the help desk; the case comes along by its code.
type inquiryPage struct {
	view
	Code, Name, Reply, Message string
	Abouts                     []string
	About                      string
}

// abouts are what an inquiry can be about; their words are welcome.about.NAME.
func abouts() []string { return []string{"signin", "password", "second", "mail", "account", "other"} }

func (x *Welcome) inquiry(w http.ResponseWriter, r *http.Request) error {
	if x.Desk == "" {
		http.Redirect(w, r, "/help/contact", http.StatusSeeOther)
		return nil
	}
	page := &inquiryPage{About: "signin"}
	if code, ok := diagnosis.ParseCode(r.URL.Query().Get("code")); ok {
		page.Code = code
	}
	if s, err := x.Hall.Current(r); err == nil {
		if err := x.fill(r, s.Subject, page); err != nil {
			return err
		}
	}
	return x.askInquiry(w, r, page)
}

// fill writes into the form what is known of somebody who is signed in.
func (x *Welcome) fill(r *http.Request, s authn.Subject, page *inquiryPage) error {
	return x.DB.Read(r.Context(), func(tx *store.Tx) error {
		_, person, err := x.People.ByID(tx, s.Account)
		if errors.Is(err, directory.ErrNone) {
			return nil
		}
		page.Name = person.Name.Full(web.Lang(r).Tag())
		page.Reply = person.Mail
		return err
	})
}

func (x *Welcome) askInquiry(w http.ResponseWriter, r *http.Request, page *inquiryPage) error {
	page.Abouts = abouts()
	status := http.StatusOK
	if page.Problem != nil {
		status = http.StatusUnprocessableEntity
	}
	return x.show(w, r, status, "welcome.inquiry", page)
}

// inquire sends the form to the help desk.
func (x *Welcome) inquire(w http.ResponseWriter, r *http.Request) error {
	if _, err := answer(r); err != nil {
		return err
	}
	if x.Desk == "" {
		http.Redirect(w, r, "/help/contact", http.StatusSeeOther)
		return nil
	}
	f := r.PostForm
	page := &inquiryPage{Code: f.Get("code"), Name: f.Get("name"), Reply: strings.TrimSpace(f.Get("reply")), Message: f.Get("message"), About: f.Get("about")}
	code, problem := page.judge(r)
	if problem != "" {
		page.view = say(r, problem)
		return x.askInquiry(w, r, page)
	}
	from := web.ClientOf(r).Addr
	who := base64.RawURLEncoding.EncodeToString(x.Ring.MAC("welcome.inquiry", []byte(strings.ToLower(page.Reply))))
	err := x.DB.Write(r.Context(), func(tx *store.Tx) error {
		for _, try := range []throttle.Try{
			{Who: "reply:" + who, Factor: "inquiry", Source: from}, {Who: "from:" + from.String(), Factor: "inquiry"},
		} {
			if err := x.Throttle.Begin(tx, try); err != nil {
				return err
			}
		}
		return x.send(tx, r, page, code)
	})
	if fault := authn.AsFault(err); fault != nil {
		page.view = say(r, "welcome.inquiry.often")
		return x.askInquiry(w, r, page)
	}
	if errors.Is(err, mail.ErrAddress) {
		page.view = say(r, "welcome.inquiry.reply.wrong")
		return x.askInquiry(w, r, page)
	}
	if err != nil {
		return err
	}
	return x.narrow(w, r, web.View{Template: "welcome.inquired", Data: &view{Support: code}, Support: code, Again: "/help"})
}

// judge tells what is wrong with the form (a message id), and gives the case's
// code: the one that was typed, or a new one.
func (p *inquiryPage) judge(r *http.Request) (code, problem string) {
	clean, err := directory.CheckMail(p.Reply)
	known := false
	for _, a := range abouts() {
		known = known || a == p.About
	}
	if !known {
		p.About = "other"
	}
	code, ok := diagnosis.ParseCode(p.Code)
	switch {
	case err != nil || clean == "":
		return "", "welcome.inquiry.reply.wrong"
	case strings.TrimSpace(p.Code) != "" && !ok:
		return "", "welcome.inquiry.code.wrong"
	case strings.TrimSpace(p.Message) == "":
		return "", "welcome.inquiry.message.empty"
	case utf8.RuneCountInString(p.Message) > messageMax:
		return "", "welcome.inquiry.message.long"
	}
	if runes := []rune(p.Name); len(runes) > nameMax {
		p.Name = string(runes[:nameMax])
	}
	if !ok {
		code = diagnosis.NewCode()
	}
	return code, ""
}

// send writes to the help desk and puts the inquiry on record under its code.
func (x *Welcome) send(tx *store.Tx, r *http.Request, page *inquiryPage, code string) error {
	doc, _, err := x.Policy.Active(tx)
	if err != nil {
		return err
	}
	reader := x.Words.In(lang.JA) // the language of the help desk
	user := "-"
	var account authn.AccountID
	if s, err := x.Sessions.Find(tx, web.Cookie(r, login.SessionCookie)); err == nil {
		user, account = s.Subject.UserName, s.Subject.Account
	} else if !errors.Is(err, session.ErrNone) {
		return err
	}
	client := web.ClientOf(r)
	name := strings.TrimSpace(page.Name)
	if name == "" {
		name = "-"
	}
	_, err = x.Mail.Enqueue(tx, mail.Message{
		To: x.Desk, Lang: reader.Tag(), Template: "welcome.mail.inquiry", Purpose: "inquiry", ReplyTo: page.Reply, Quote: page.Message,
		Facts: map[string]string{
			"support": code, "about": reader.T("welcome.about." + page.About), "from": name, "reply": page.Reply, "user": user,
			"address": client.Addr.String(), "zone": doc.ZoneLabel(doc.Zone(client.Addr).Name, string(reader.Tag())),
			"device": session.Classify(r.UserAgent()).In(reader), "language": web.Lang(r).T("lang.name"),
		},
	})
	if err != nil {
		return err
	}
	return x.Audit.Append(tx, audit.Event{
		Type: "inquiry.sent", Account: account, Actor: string(account), Support: code, Address: client.Addr.String(),
		Facts: map[string]string{"about": page.About, "agent": session.Classify(r.UserAgent()).String()},
	})
}
