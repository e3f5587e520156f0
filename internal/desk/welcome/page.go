package welcome

import (
	"net/http"
	"net/url"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/factor"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/web"
)

// view is what every page may show beside its own content.
type view struct {
	Problem *diagnosis.Advice
	Support string
}

// show renders a page: room is the template, and its words' prefix.
func (x *Welcome) show(w http.ResponseWriter, r *http.Request, status int, room string, data any) error {
	v := web.View{Template: room, Title: room + ".title", Data: data, Status: status}
	if r.Method != http.MethodGet {
		v.Again = r.URL.Path
	}
	return x.Site.Render(w, r, v)
}

// narrow is show for a page with one thing to do.
func (x *Welcome) narrow(w http.ResponseWriter, r *http.Request, v web.View) error {
	v.Focus = true
	if v.Title == "" {
		v.Title = v.Template + ".title"
	}
	if r.Method != http.MethodGet && v.Again == "" {
		v.Again = r.URL.Path
	}
	return x.Site.Render(w, r, v)
}

// wrong says what went wrong. proved tells that the person has shown a letter or a
// link that only the owner of the account can have.
func (x *Welcome) wrong(r *http.Request, f *authn.Fault, proved bool) view {
	a := diagnosis.Advise(web.Lang(r), f, diagnosis.Context{
		Proved: proved, HelpURL: x.HelpURL, Now: x.DB.Now(), Facts: map[string]string{"address": web.ClientOf(r).Addr.String()},
	})
	return view{Problem: &a}
}

// say makes a problem of a sentence that is no fault of the catalogue.
func say(r *http.Request, id string) view {
	return view{Problem: &diagnosis.Advice{Cause: web.Lang(r).T(id)}}
}

// rules reads the document in force.
func (x *Welcome) rules(r *http.Request) (doc *policy.Document, err error) {
	err = x.DB.Read(r.Context(), func(tx *store.Tx) error {
		doc, _, err = x.Policy.Active(tx)
		return err
	})
	return doc, err
}

// answer is the form of a request as a factor reads it.
func answer(r *http.Request) (factor.Answer, error) {
	if err := r.ParseForm(); err != nil {
		return factor.Answer{}, authn.NewFault("B2").Because(err)
	}
	return factor.Answer{Form: url.Values(r.PostForm)}, nil
}
