package saml

import (
	"encoding/base64"
	"net/http"

	"seimon/internal/login/page"
	"seimon/internal/web"
)

// formPage is the data of the page that posts a message.
type formPage struct {
	Action string
	Fields []formField
}

type formField struct{ Name, Value string }

// reply is a response on its way: about somebody (a), or why not (no).
type reply struct {
	s  *service
	q  *request
	a  *answer
	no *status
}

// send posts a response to the service (SAML Bindings 2.0, 3.5.4): a form that sends
// itself, or by its button where there is no script.
func (f *Front) send(w http.ResponseWriter, r *http.Request, v reply) error {
	if v.no != nil {
		web.Note(r, "saml_status", v.no.code[len(statusSpace):]+" "+v.no.text)
	}
	text, err := f.respond(v, f.DB.Now())
	if err != nil {
		return err
	}
	form := formPage{Action: v.q.Consumer, Fields: []formField{{"SAMLResponse", base64.StdEncoding.EncodeToString(text)}}}
	if v.q.Relay != "" {
		form.Fields = append(form.Fields, formField{"RelayState", v.q.Relay})
	}
	w.Header().Set("Cache-Control", "no-store") // SAML Bindings 2.0, 3.5.5.1
	return f.site.Render(w, r, web.View{
		Template: "saml.post", Title: "saml.post.title", Data: form,
		Party: page.Badge(v.s.Party, web.Lang(r).Tag()), FormAction: page.Origins(v.q.Consumer), Focus: true,
	})
}
