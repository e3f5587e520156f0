package oidc

import (
	"net/http"
	"net/url"
	"strings"

	"seimon/internal/login/page"
	"seimon/internal/rp"
	"seimon/internal/web"
)

// modeForm is the response mode that uses a form (OAuth 2.0 Form Post Response Mode 1.0).
const modeForm = "form_post"

// answer is where and how a response goes to a client. The address was registered.
type answer struct {
	redirect, mode, state string
	party                 rp.Party
}

// formPage is the data of the page that posts a response.
type formPage struct {
	Action string
	Fields []formField
}

type formField struct{ Name, Value string }

// send gives values to the client, with state and iss.
func (f *Front) send(w http.ResponseWriter, r *http.Request, a answer, values url.Values) error {
	if a.state != "" {
		values.Set("state", a.state)
	}
	values.Set("iss", f.issuer) // RFC 9207 2
	w.Header().Set("Cache-Control", "no-store")
	if a.mode != modeForm {
		http.Redirect(w, r, withQuery(a.redirect, values), http.StatusSeeOther)
		return nil
	}
	form := formPage{Action: a.redirect}
	for _, name := range []string{"code", "error", "error_description", "state", "iss"} {
		if v := values.Get(name); v != "" {
			form.Fields = append(form.Fields, formField{name, v})
		}
	}
	return f.site.Render(w, r, web.View{
		Template: "oidc.formpost", Title: "oidc.formpost.title", Data: form,
		Party: page.Badge(a.party, web.Lang(r).Tag()), FormAction: origins(a.redirect), Focus: true,
	})
}

// sendRefusal gives an error to the client (RFC 6749 4.1.2.1).
func (f *Front) sendRefusal(w http.ResponseWriter, r *http.Request, a answer, no *refusal) error {
	web.Note(r, "oidc_error", no.code)
	return f.send(w, r, a, url.Values{"error": {no.code}, "error_description": {no.text}})
}

// withQuery adds values to the query that an address may have already (RFC 6749 3.1.2).
func withQuery(address string, values url.Values) string {
	joint := "?"
	if strings.Contains(address, "?") {
		joint = "&"
	}
	return strings.TrimSuffix(address, "?") + joint + values.Encode()
}

// origins gives what a page's form-action must allow so that a form may end at an address.
func origins(address string) []string {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	if u.Host == "" {
		return []string{u.Scheme + ":"}
	}
	return []string{u.Scheme + "://" + u.Host}
}

// bringBack turns a form that another site sent into the same request by GET.
// Browsers send no SameSite=Lax cookie with a foreign form, but do so when they
// follow our redirect, so the person's session is seen.
func (f *Front) bringBack(path string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, no := formParams(r)
		if no != nil && len(p.values) == 0 {
			return fault(badRequest, "", "body", "").Because(no)
		}
		values := url.Values{}
		for name := range p.values {
			values[name] = r.PostForm[name]
		}
		target := withQuery(path, values)
		if len(target) > maxTarget {
			return fault(badRequest, p.get("client_id"), "size", "")
		}
		http.Redirect(w, r, target, http.StatusSeeOther)
		return nil
	}
}

// maxTarget is the longest path and query that we send a browser to, in bytes.
const maxTarget = 15 << 10
