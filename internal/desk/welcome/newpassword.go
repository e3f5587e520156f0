package welcome

import (
	"context"
	"errors"
	"net/http"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/throttle"
	"seimon/internal/web"
)

// passwordPage asks for a new password of somebody who has shown a letter or a link.
type passwordPage struct {
	view
	Action   string
	Letter   string // the sealed letter, on the way through the browser
	User     string
	Template string
	Data     any
	Button   string
	Lead     string // message id
}

// owner is somebody whom a letter or a link names.
type owner struct {
	account  directory.Account
	person   directory.Person
	bindings []factor.Binding
}

func (x *Welcome) passwords() (factor.Enroller, error) {
	if e := x.Factors.Enroller(policy.Password); e != nil {
		return e, nil
	}
	return nil, errors.New("welcome: this house has no passwords")
}

// attempt is what the password's room is told about the owner.
func (x *Welcome) attempt(r *http.Request, doc *policy.Document, o owner) factor.Attempt {
	var own []factor.Binding
	for _, b := range o.bindings {
		if b.Kind == policy.Password {
			own = append(own, b)
		}
	}
	return factor.Attempt{
		Subject: o.account.Subject(), Person: factor.ProfileOf(o.account, o.person), Bindings: own,
		Settings: doc.Settings(policy.Password), Lang: web.Lang(r).Tag(), Now: x.DB.Now(), Memory: map[string]string{},
	}
}

// askPassword shows the fields of a new password.
func (x *Welcome) askPassword(w http.ResponseWriter, r *http.Request, o owner, page passwordPage) error {
	e, err := x.passwords()
	if err != nil {
		return err
	}
	doc, err := x.rules(r)
	if err != nil {
		return err
	}
	prompt, err := e.Begin(r.Context(), x.attempt(r, doc, o))
	if err != nil {
		return err
	}
	page.User, page.Template, page.Data, page.Button = o.account.UserName, prompt.Template, prompt.Data, prompt.Button
	status := http.StatusOK
	if page.Problem != nil {
		status = http.StatusUnprocessableEntity
	}
	return x.narrow(w, r, web.View{Template: "welcome.password", Title: prompt.Title, Data: &page, Status: status, Who: o.account.UserName})
}

// judge takes the fields of a new password. Nothing is stored before its Commit.
func (x *Welcome) judge(r *http.Request, o owner) (factor.Enrolled, error) {
	e, err := x.passwords()
	if err != nil {
		return factor.Enrolled{}, err
	}
	doc, err := x.rules(r)
	if err != nil {
		return factor.Enrolled{}, err
	}
	ans, err := answer(r)
	if err != nil {
		return factor.Enrolled{}, err
	}
	return e.Finish(r.Context(), x.attempt(r, doc, o), ans)
}

// read fills in the bindings of an owner.
func (x *Welcome) read(ctx context.Context, o *owner) error {
	return x.DB.Read(ctx, func(tx *store.Tx) (err error) {
		o.bindings, err = x.Bindings.Of(tx, o.account.ID)
		return err
	})
}

// unlock takes back the wrong tries of the password that was forgotten; those of
// every other factor stay.
func (x *Welcome) unlock(tx *store.Tx, account authn.AccountID) error {
	for _, known := range []bool{false, true} {
		try := throttle.Try{Who: string(account), Factor: policy.Password, Known: known}
		if err := x.Throttle.Succeed(tx, try); err != nil {
			return err
		}
	}
	return nil
}

// donePage says that the password is set and leads on to the sign-in.
type donePage struct {
	view
	User string
	Lead string
}

func (x *Welcome) done(w http.ResponseWriter, r *http.Request, template, user string) error {
	return x.narrow(w, r, web.View{Template: "welcome.done", Title: template + ".title", Data: &donePage{User: user, Lead: template}, Who: user, Again: "/"})
}
