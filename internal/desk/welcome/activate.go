package welcome

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/diagnosis"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/throttle"
	"seimon/internal/web"
)

// letterLife is how long the page for the first password may stand open.
const letterLife = 30 * time.Minute

const sealLetter = "welcome.letter"

// letter is a code that was typed and found good, on its way through the browser.
type letter struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

// activatePage asks for the code of the letter.
type activatePage struct {
	view
	Typed string
}

func (x *Welcome) activation(w http.ResponseWriter, r *http.Request) error {
	return x.askCode(w, r, view{}, "")
}

func (x *Welcome) askCode(w http.ResponseWriter, r *http.Request, v view, typed string) error {
	status := http.StatusOK
	if v.Problem != nil {
		status = http.StatusUnprocessableEntity
	}
	return x.narrow(w, r, web.View{Template: "welcome.activate", Status: status, Data: &activatePage{v, typed}})
}

// activate takes the code, and then the first password together with it.
func (x *Welcome) activate(w http.ResponseWriter, r *http.Request) error {
	if _, err := answer(r); err != nil {
		return err
	}
	if sealed := r.PostForm.Get("letter"); sealed != "" {
		return x.firstPassword(w, r, sealed)
	}
	code := r.PostForm.Get("code")
	if code == "" || len(code) > 200 {
		http.Redirect(w, r, "/activate", http.StatusSeeOther)
		return nil
	}
	try := throttle.Try{
		Who: "letter:" + base64.RawURLEncoding.EncodeToString(x.Ring.MAC("welcome.letter", []byte(code))), Factor: "letter", Source: web.ClientOf(r).Addr,
	}
	var o owner
	err := x.DB.Write(r.Context(), func(tx *store.Tx) error { return x.Throttle.Begin(tx, try) })
	if err == nil {
		o, err = x.addressee(r, code)
	}
	if f := authn.AsFault(err); f != nil {
		return x.askCode(w, r, x.wrong(r, f, true), code)
	}
	if err != nil {
		return err
	}
	if err := x.DB.Write(r.Context(), func(tx *store.Tx) error { return x.Throttle.Succeed(tx, try) }); err != nil {
		return err
	}
	raw, err := json.Marshal(letter{code, x.DB.Now().Add(letterLife)})
	if err != nil {
		return err
	}
	sealed := base64.RawURLEncoding.EncodeToString(x.Ring.Seal(sealLetter, raw))
	return x.askPassword(w, r, o, passwordPage{Action: "/activate", Letter: sealed, Lead: "welcome.activate.found"})
}

// addressee finds the person of a letter, and refuses one whose account cannot be used.
func (x *Welcome) addressee(r *http.Request, code string) (owner, error) {
	var o owner
	err := x.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
		if o.account, o.person, err = x.People.Letter(tx, code); err != nil {
			return err
		}
		return usable(o, tx.Now)
	})
	if err != nil {
		return o, err
	}
	return o, x.read(r.Context(), &o)
}

// usable is the fault of an account that neither letter nor link can open. Waiting
// for activation is none here, and neither is a beginning in the future.
func usable(o owner, now time.Time) error {
	code, since := o.account.Standing(now)
	if code == "" || code == "P6" || code == "P7.early" {
		return nil
	}
	return authn.NewFault(code, "since", since.Format(time.RFC3339), "why", o.account.StateWhy, "user", o.account.UserName)
}

// firstPassword activates the account and sets its password, both or neither.
func (x *Welcome) firstPassword(w http.ResponseWriter, r *http.Request, sealed string) error {
	var l letter
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err == nil {
		if raw, err = x.Ring.Unseal(sealLetter, raw); err == nil {
			err = json.Unmarshal(raw, &l)
		}
	}
	if err != nil || x.DB.Now().After(l.Expires) {
		return x.askCode(w, r, x.wrong(r, authn.NewFault("B1.expired"), false), "")
	}
	o, err := x.addressee(r, l.Code)
	if f := authn.AsFault(err); f != nil {
		return x.askCode(w, r, x.wrong(r, f, true), "")
	}
	if err != nil {
		return err
	}
	set, err := x.judge(r, o)
	if err == nil {
		err = x.DB.Write(r.Context(), func(tx *store.Tx) error {
			a, err := x.People.Activate(tx, l.Code)
			if err != nil {
				return err
			}
			if err := set.Commit(tx); err != nil {
				return err
			}
			o.account = a
			return x.record(tx, r, o, change{event: "account.activated", template: "welcome.mail.activated"})
		})
	}
	if f := authn.AsFault(err); f != nil {
		return x.askPassword(w, r, o, passwordPage{view: x.wrong(r, f, true), Action: "/activate", Letter: sealed, Lead: "welcome.activate.found"})
	}
	if err != nil {
		return err
	}
	return x.done(w, r, "welcome.activated", o.account.UserName)
}

// change is what is put on record and told to the owner.
type change struct {
	event    string
	template string
	support  string
	to       []string
	facts    map[string]string
}

// record writes the event of a change and the mail about it.
func (x *Welcome) record(tx *store.Tx, r *http.Request, o owner, c change) error {
	if c.support == "" {
		c.support = diagnosis.NewCode()
	}
	address := web.ClientOf(r).Addr.String()
	facts := map[string]string{"agent": session.Classify(r.UserAgent()).String()}
	maps.Copy(facts, c.facts)
	err := x.Audit.Append(tx, audit.Event{
		Type: c.event, Account: o.account.ID, Actor: string(o.account.ID), Support: c.support, Party: desk.Portal, Address: address, Facts: facts,
	})
	if err != nil {
		return err
	}
	to := append([]string{o.person.NoticeAddress()}, c.to...)
	return x.teller.Tell(tx, desk.Notice{Account: o.account, Person: o.person, To: to, Template: c.template, Support: c.support, Facts: map[string]string{
		"address": address, "device": session.Classify(r.UserAgent()).In(x.teller.In(o.person)), "page": x.Site.URL("/portal"),
	}})
}
