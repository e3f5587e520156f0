package cas

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

// format is how a service wants its answer (CAS Protocol 3.0, 2.5.1).
type format string

const (
	formatXML  format = "XML"
	formatJSON format = "JSON"
)

// formatOf reads a format by its name; nothing is XML.
func formatOf(name string) (format, bool) {
	switch f := format(strings.ToUpper(name)); f {
	case "", formatXML:
		return formatXML, true
	case formatJSON:
		return f, true
	}
	return formatXML, false
}

// answer is what a service is told, in no format yet.
type answer struct {
	what       string // "authentication" or "proxy"
	no         *refusal
	found      checked
	attributes bool   // CAS 3: with attributes
	proxy      string // a proxy ticket
}

// fact is something about a person under the name that services see.
type fact struct {
	name   string
	values []string
	truth  bool // its values are "true" or "false"
}

// write sends the answer. Nobody keeps it.
func (a answer) write(w http.ResponseWriter, f format) error {
	if f == formatXML {
		return writeXML(w, a.no, el("cas:serviceResponse", "", a.element()).with("xmlns:cas", namespace))
	}
	text, err := json.Marshal(map[string]any{"serviceResponse": a.object()})
	if err != nil {
		return err
	}
	return reply(w, a.no, "application/json; charset=utf-8", string(text)+"\n")
}

// writeXML sends a document.
func writeXML(w http.ResponseWriter, no *refusal, e *element) error {
	return reply(w, no, "application/xml; charset=utf-8", `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+e.String()+"\n")
}

// reply sends a text that nobody keeps.
func reply(w http.ResponseWriter, no *refusal, kind, text string) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	if no != nil && no.status != 0 {
		w.Header().Set("Retry-After", "10")
		w.WriteHeader(no.status)
	}
	_, err := io.WriteString(w, text)
	return err
}

// element is the answer in XML (CAS Protocol 3.0, 2.5.2, 2.7.2 and appendix A).
func (a answer) element() *element {
	switch {
	case a.no != nil:
		return el("cas:"+a.what+"Failure", a.no.text).with("code", a.no.code)
	case a.proxy != "":
		return el("cas:proxySuccess", "", el("cas:proxyTicket", a.proxy))
	}
	t := a.found.ticket
	body := el("cas:authenticationSuccess", "", el("cas:user", t.User))
	if a.attributes {
		list := el("cas:attributes", "")
		for _, one := range told(t) {
			for _, v := range one.values {
				list.add(el("cas:"+one.name, v))
			}
		}
		body.add(list)
	}
	if a.found.receipt != "" {
		body.add(el("cas:proxyGrantingTicket", a.found.receipt))
	}
	if chain := t.chain(); len(chain) > 0 {
		list := el("cas:proxies", "")
		for _, p := range chain {
			list.add(el("cas:proxy", p))
		}
		body.add(list)
	}
	return body
}

// object is the same in JSON: the standard's example (CAS Protocol 3.0, 2.5.2), with
// a list for every attribute, whether it has one value or several.
func (a answer) object() map[string]any {
	switch {
	case a.no != nil:
		return map[string]any{a.what + "Failure": map[string]string{"code": a.no.code, "description": a.no.text}}
	case a.proxy != "":
		return map[string]any{"proxySuccess": map[string]string{"proxyTicket": a.proxy}}
	}
	t := a.found.ticket
	body := map[string]any{"user": t.User}
	if a.attributes {
		values := map[string][]any{}
		for _, one := range told(t) {
			for _, v := range one.values {
				if one.truth {
					values[one.name] = append(values[one.name], v == "true")
				} else {
					values[one.name] = append(values[one.name], v)
				}
			}
		}
		body["attributes"] = values
	}
	if a.found.receipt != "" {
		body["proxyGrantingTicket"] = a.found.receipt
	}
	if chain := t.chain(); len(chain) > 0 {
		body["proxies"] = chain
	}
	return map[string]any{"authenticationSuccess": body}
}

// chain lists who acts for the person, the last first (CAS Protocol 3.0, 2.6.2).
func (t ticket) chain() []string {
	if t.kind != kindProxy {
		return nil
	}
	return t.Proxies
}

// told lists the attributes (CAS Protocol 3.0, 2.5.7 and appendix A). What was proved
// is among them: acr and amr are computed from the evidence.
func told(t ticket) []fact {
	list := []fact{
		{name: "authenticationDate", values: []string{t.At.UTC().Format(time.RFC3339)}},
		{name: "longTermAuthenticationRequestTokenUsed", values: []string{"false"}, truth: true},
		{name: "isFromNewLogin", values: []string{map[bool]string{true: "true", false: "false"}[t.Renewed]}, truth: true},
		{name: "acr", values: []string{t.ACR}},
		{name: "amr", values: t.AMR},
	}
	for _, name := range slices.Sorted(maps.Keys(t.Attributes)) {
		list = append(list, fact{name: elementName(name), values: t.Attributes[name]})
	}
	return list
}

// validateOne answers in the words of CAS 1.0: two lines of text, the second with the
// name of the person (CAS Protocol 3.0, 2.4). It takes no proxy tickets.
func (f *Front) validateOne(w http.ResponseWriter, r *http.Request) error {
	a := asking(r.URL.Query(), false)
	a.callback = "" // CAS 1.0 knows no proxies
	found, no, err := f.check(r.Context(), a)
	if err != nil {
		no = f.broken(r, err)
	}
	user := ""
	if no == nil {
		user = found.ticket.User
	}
	return reply(w, no, "text/plain; charset=utf-8", lines(user))
}

// lines is the answer of CAS 1.0. A name with a line break in it would be somebody
// else's here, so there is no such name.
func lines(user string) string {
	if user == "" || strings.ContainsFunc(user, unicode.IsControl) {
		return "no\n\n"
	}
	return "yes\n" + user + "\n"
}
