package welcome

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/jobs"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/throttle"
	"seimon/internal/web"
)

const (
	// resetLife is how long a link for a new password is good.
	resetLife = time.Hour
	// resetTask is the kind of job that looks for the account and sends the link.
	resetTask = "welcome.reset"
	// maxTyped bounds a user name as typed, in bytes.
	maxTyped = 320

	sealReset = "welcome.reset"
)

// forgotPage asks for the user name.
type forgotPage struct {
	view
	Outage *diagnosis.Advice // mail is out of order
	Hints  []string
	Typed  string
}

func (x *Welcome) forgotten(w http.ResponseWriter, r *http.Request) error {
	return x.askName(w, r, &forgotPage{})
}

func (x *Welcome) askName(w http.ResponseWriter, r *http.Request, page *forgotPage) error {
	var err error
	if page.Outage, err = x.mailOutage(r); err != nil {
		return err
	}
	status := http.StatusOK
	if page.Problem != nil || len(page.Hints) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return x.narrow(w, r, web.View{Template: "welcome.reset", Status: status, Data: page})
}

// stuck is how long mail may wait before people are told.
const stuck = 2 * time.Minute

// mailOutage tells that mail does not go out, when it does not.
func (x *Welcome) mailOutage(r *http.Request) (*diagnosis.Advice, error) {
	var b mail.Backlog
	err := x.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
		b, err = x.Mail.Backlog(tx)
		return err
	})
	if store.Unavailable(err) {
		return nil, nil // every page says so; help must not fall with it
	}
	if err != nil || b.Waiting == 0 || x.DB.Now().Sub(b.Since) < stuck {
		return nil, err
	}
	a := diagnosis.Advise(web.Lang(r), authn.NewFault("O1.mail", "since", b.Since.Format(time.RFC3339)), diagnosis.Context{Now: x.DB.Now()})
	return &a, nil
}

// asked is what a job needs to look for the account. It is sealed while it waits.
type asked struct {
	Typed   string   `json:"typed"`
	Support string   `json:"support"`
	Lang    lang.Tag `json:"lang"`
	Address string   `json:"address"`
	Agent   string   `json:"agent"`
}

// sentPage says the same whoever asked and whatever there is.
type sentPage struct {
	view
	Life time.Duration
}

// forgot takes a user name. Whether there is such an account is not looked at
// here: the answer, its status and the work behind it cannot depend on it.
func (x *Welcome) forgot(w http.ResponseWriter, r *http.Request) error {
	if _, err := answer(r); err != nil {
		return err
	}
	typed := strings.TrimSpace(norm.NFKC.String(r.PostForm.Get("username")))
	if typed == "" || len(typed) > maxTyped {
		http.Redirect(w, r, "/reset", http.StatusSeeOther)
		return nil
	}
	if hints := diagnosis.Hints(web.Lang(r), typed); len(hints) > 0 && r.PostForm.Get("sure") != typed {
		return x.askName(w, r, &forgotPage{Hints: hints, Typed: typed})
	}
	support := diagnosis.NewCode()
	raw, err := json.Marshal(asked{typed, support, web.Lang(r).Tag(), web.ClientOf(r).Addr.String(), r.UserAgent()})
	if err != nil {
		return err
	}
	name := base64.RawURLEncoding.EncodeToString(x.Ring.MAC("welcome.name", []byte(directory.Key(typed))))
	payload := x.Ring.Seal(sealReset, raw)
	err = x.DB.Write(r.Context(), func(tx *store.Tx) error {
		try := throttle.Try{Who: "name:" + name, Factor: "reset", Source: web.ClientOf(r).Addr}
		if err := x.Throttle.Begin(tx, try); err != nil {
			return err
		}
		return x.Jobs.Submit(tx, jobs.NewTask{Kind: resetTask, Key: name, Payload: payload})
	})
	if f := authn.AsFault(err); f != nil {
		return x.askName(w, r, &forgotPage{view: x.wrong(r, f, false), Typed: typed})
	}
	if err != nil {
		return err
	}
	return x.narrow(w, r, web.View{Template: "welcome.sent", Data: &sentPage{view{Support: support}, resetLife}, Support: support})
}

// resetMail looks for the account that somebody named and writes to its verified
// recovery address, if there is one. What happened is on record under the support code.
func (x *Welcome) resetMail(ctx context.Context, t jobs.Task) error {
	raw, err := x.Ring.Unseal(sealReset, t.Payload)
	if err != nil {
		return jobs.Permanent(err)
	}
	var a asked
	if err := json.Unmarshal(raw, &a); err != nil {
		return jobs.Permanent(err)
	}
	token, hash := authn.NewToken()
	return x.DB.Write(ctx, func(tx *store.Tx) error {
		account, person, err := x.People.ByUserName(tx, a.Typed)
		if errors.Is(err, directory.ErrNone) {
			return x.noteAsked(tx, a, "", "unknown")
		}
		if err != nil {
			return err
		}
		if person.Recovery == "" || person.RecoveryVerified.IsZero() {
			return x.noteAsked(tx, a, account.ID, "no address")
		}
		template := "welcome.mail.reset"
		switch code, _ := account.Standing(tx.Now); code {
		case "":
		case "P6":
			template = "welcome.mail.pending"
		default:
			template = "welcome.mail.closed"
		}
		if template == "welcome.mail.reset" {
			if err := x.keepLink(tx, hash, account.ID, person.Recovery, a.Support); err != nil {
				return err
			}
		}
		if err := x.noteAsked(tx, a, account.ID, ""); err != nil {
			return err
		}
		reader := x.Words.In(person.Lang)
		if person.Lang == "" {
			reader = x.Words.In(a.Lang)
		}
		_, err = x.Mail.Enqueue(tx, mail.Message{
			To: person.Recovery, Lang: reader.Tag(), Template: template, Account: account.ID, Purpose: "reset", Expires: tx.Now.Add(resetLife),
			Facts: map[string]string{
				"name": person.Name.Full(reader.Tag()), "user": account.UserName, "link": x.Site.URL("/reset/" + token),
				"until": reader.Clock(tx.Now.Add(resetLife)), "support": a.Support, "address": a.Address, "activate": x.Site.URL("/activate"),
			},
		})
		return err
	})
}

// noteAsked puts on record that a new password was asked for; why says why no link was sent.
func (x *Welcome) noteAsked(tx *store.Tx, a asked, account authn.AccountID, why string) error {
	facts := map[string]string{"agent": a.Agent}
	if why != "" {
		facts["why"] = why
	}
	return x.Audit.Append(tx, audit.Event{
		Type: "reset.asked", Account: account, Actor: string(account), Support: a.Support, Address: a.Address, Facts: facts,
	})
}

// keepLink stores a link and voids the account's earlier ones.
func (x *Welcome) keepLink(tx *store.Tx, hash []byte, account authn.AccountID, address, support string) error {
	if _, err := tx.Exec("DELETE FROM welcome_reset WHERE account = $1", string(account)); err != nil {
		return err
	}
	_, err := tx.Exec("INSERT INTO welcome_reset (hash, account, address, support, expires_at, used_at) VALUES ($1, $2, $3, $4, $5, 0)",
		hash, string(account), x.addressMark(address), support, store.Millis(tx.Now.Add(resetLife)))
	return err
}

// addressMark tells whether a link was sent to the address that is kept now.
func (x *Welcome) addressMark(address string) []byte {
	return x.Ring.MAC("welcome.address", []byte(address))
}

// errGone says that a link is no longer good.
var errGone = errors.New("welcome: the link is no longer good")

// follow finds whom a link is for. The account is read afresh, and a link to an
// address that is no longer the recovery address is worth nothing.
func (x *Welcome) follow(tx *store.Tx, token string) (o owner, support string, err error) {
	var account authn.AccountID
	var address []byte
	err = tx.QueryRow("SELECT account, address, support FROM welcome_reset WHERE hash = $1 AND used_at = 0 AND expires_at > $2",
		authn.HashToken(token), store.Millis(tx.Now)).Scan(&account, &address, &support)
	if errors.Is(err, store.ErrNoRows) {
		return o, "", errGone
	}
	if err != nil {
		return o, "", err
	}
	if o.account, o.person, err = x.People.ByID(tx, account); err != nil {
		return o, "", err
	}
	if o.person.RecoveryVerified.IsZero() || !bytes.Equal(address, x.addressMark(o.person.Recovery)) {
		return o, "", errGone
	}
	if code, since := o.account.Standing(tx.Now); code != "" {
		return o, support, authn.NewFault(code, "since", since.Format(time.RFC3339), "why", o.account.StateWhy, "user", o.account.UserName)
	}
	o.bindings, err = x.Bindings.Of(tx, account)
	return o, support, err
}

// link shows the fields of the new password. Looking at it uses nothing up: mail
// programs look at links, too.
func (x *Welcome) link(w http.ResponseWriter, r *http.Request) error {
	var o owner
	err := x.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
		o, _, err = x.follow(tx, r.PathValue("token"))
		return err
	})
	if err != nil {
		return x.lost(w, r, err)
	}
	return x.askPassword(w, r, o, passwordPage{Action: r.URL.Path, Lead: "welcome.reset.found"})
}

// lost answers for a link that leads nowhere any more.
func (x *Welcome) lost(w http.ResponseWriter, r *http.Request, err error) error {
	if errors.Is(err, errGone) {
		return x.narrow(w, r, web.View{Template: "welcome.gone", Status: http.StatusGone, Data: &view{}, Again: "/reset"})
	}
	if f := authn.AsFault(err); f != nil {
		return x.narrow(w, r, web.View{Template: "welcome.closed", Status: http.StatusForbidden, Data: x.wrong(r, f, true), Again: "/reset"})
	}
	return err
}

// renew sets the new password and uses the link up. Second steps stay as they
// are; sessions end, and no browser stands in for a second step any more.
func (x *Welcome) renew(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	var o owner
	err := x.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
		o, _, err = x.follow(tx, token)
		return err
	})
	if err != nil {
		return x.lost(w, r, err)
	}
	set, err := x.judge(r, o)
	if f := authn.AsFault(err); f != nil {
		return x.askPassword(w, r, o, passwordPage{view: x.wrong(r, f, true), Action: r.URL.Path, Lead: "welcome.reset.found"})
	}
	if err != nil {
		return err
	}
	err = x.DB.Write(r.Context(), func(tx *store.Tx) error {
		o, support, err := x.follow(tx, token)
		if err != nil {
			return err
		}
		n, err := tx.Exec("UPDATE welcome_reset SET used_at = $1 WHERE hash = $2 AND used_at = 0", store.Millis(tx.Now), authn.HashToken(token))
		if err != nil || n == 0 {
			return errors.Join(err, errGone)
		}
		if err := set.Commit(tx); err != nil {
			return err
		}
		if err := x.Sessions.EndAll(tx, o.account.ID, "password", ""); err != nil {
			return err
		}
		if _, err := x.Sessions.DistrustAll(tx, o.account.ID); err != nil {
			return err
		}
		if err := x.unlock(tx, o.account.ID); err != nil {
			return err
		}
		return x.record(tx, r, o, change{
			event: "password.reset", template: "welcome.mail.renewed", support: support, to: []string{o.person.Recovery},
			facts: map[string]string{"factor": string(policy.Password)},
		})
	})
	if f := authn.AsFault(err); f != nil && f.Code.Family() == "P9" {
		return x.askPassword(w, r, o, passwordPage{view: x.wrong(r, f, true), Action: r.URL.Path, Lead: "welcome.reset.found"})
	}
	if err != nil {
		return x.lost(w, r, err)
	}
	return x.done(w, r, "welcome.renewed", o.account.UserName)
}
