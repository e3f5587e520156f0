package saml

import (
	"database/sql"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// soapFault says that a message was no question that SAML could answer (SOAP 1.1, 4.4).
type soapFault struct{ code, text string }

// Error gives code and text.
func (s soapFault) Error() string { return "soap:" + s.code + ": " + s.text }

// called takes a LogoutRequest that a service sends itself, without the person's
// browser (SAML Bindings 2.0, 3.2; SAML Profiles 2.0, 4.4.3.1). Who cannot be told from
// anybody else gets a fault without our signature; a service gets a signed status.
func (f *Front) called(w http.ResponseWriter, r *http.Request) error {
	n, err := enveloped(r)
	var q *leaving
	if err == nil {
		q, err = f.acceptLogout(r, &message{root: n, door: doorSOAP})
	}
	var no *status
	if err == nil {
		no, err = f.end(r, q)
	}
	var bad soapFault
	cause := authn.AsFault(err)
	switch {
	case errors.As(err, &bad):
		cause = fault(badLogout, "", "soap:Envelope", "").Because(err)
		f.refusals.Put(r, cause)
		return answerFault(w, bad)
	case cause != nil:
		support := f.refusals.Put(r, cause)
		if q == nil {
			return answerFault(w, soapFault{"Client", complaint(cause) + " (" + support + ")"})
		}
		no = refuse(statusRequester, statusDenied, complaint(cause)+" ("+support+")")
	case err != nil:
		return err
	}
	return f.answerCall(w, r, q, no)
}

// enveloped reads the one message in a SOAP envelope (SAML Bindings 2.0, 3.2.2 and 3.2.3).
func enveloped(r *http.Request) (*xmldoc.Node, error) {
	kind, with, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "text/xml" || with["charset"] != "" && !strings.EqualFold(with["charset"], "utf-8") {
		return nil, soapFault{"Client", "SOAP 1.1 is text/xml in UTF-8"}
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxMessage+1))
	if err != nil {
		return nil, soapFault{"Client", "the message did not arrive"}
	}
	root, err := xmldoc.Parse(text, limits())
	if err != nil {
		return nil, soapFault{"Client", err.Error()}
	}
	if root.Local == "Envelope" && root.Space != soapSpace {
		return nil, soapFault{"VersionMismatch", "the envelope is not one of SOAP 1.1"}
	}
	parts := root.Elements()
	var head []*xmldoc.Node
	if len(parts) == 2 && parts[0].Is(soapSpace, "Header") {
		head, parts = parts[0].Elements(), parts[1:]
	}
	if !root.Is(soapSpace, "Envelope") || len(parts) != 1 || !parts[0].Is(soapSpace, "Body") {
		return nil, soapFault{"Client", "an envelope has a body, and before it at most a header"}
	}
	// SAML Bindings 2.0, 3.2.2.1: nothing in the header is needed here.
	if slices.ContainsFunc(head, func(x *xmldoc.Node) bool { v := x.AttrIn(soapSpace, "mustUnderstand"); return v != "" && v != "0" }) {
		return nil, soapFault{"MustUnderstand", "no header block is understood"}
	}
	body := parts[0].Elements()
	if len(body) != 1 || !body[0].Is(metadata.SAMLP, "LogoutRequest") {
		return nil, soapFault{"Client", "the body holds exactly one LogoutRequest"}
	}
	return body[0], nil
}

// end ends the sessions that a request means, and gives what it could not do.
func (f *Front) end(r *http.Request, q *leaving) (no *status, err error) {
	var who audience
	err = f.DB.Write(r.Context(), func(tx *store.Tx) error {
		no, who = nil, audience{}
		fresh, err := q.once(tx, "")
		if err != nil {
			return err
		}
		if !fresh {
			no = refuse(statusRequester, statusDenied, "a request with this ID was answered before")
			return nil
		}
		ids, err := q.sessions(tx)
		if err != nil {
			return err
		}
		ended := 0
		for _, id := range ids {
			of, ok, err := f.endOne(tx, r, q, id)
			if err != nil {
				return err
			}
			if ok {
				ended++
				who.add(of)
			}
		}
		if ended == 0 {
			no = refuse(statusRequester, statusPrincipal, "nobody is signed in here by that name and index")
		}
		return nil
	})
	if err != nil || no != nil {
		return no, err
	}
	g := &farewell{Told: who.Nobody}
	byJobs, err := f.settle(r.Context(), who.Jobs)
	if g.Told = append(g.Told, byJobs...); len(who.Browser) > 0 || g.partial() { // there is no browser here
		no = partly()
	}
	return no, err
}

// endOne ends a session if the request means it, and gives who has to hear of that.
func (f *Front) endOne(tx *store.Tx, r *http.Request, q *leaving, id string) (who audience, ok bool, err error) {
	current, err := f.Sessions.Get(tx, id)
	if errors.Is(err, session.ErrNone) {
		return who, false, nil
	}
	if err != nil {
		return who, false, err
	}
	visits, err := f.Sessions.Visits(tx, id)
	meant := func(v session.Visit) bool { return q.meant(v, []string{id}) } // it was found by the name
	i := slices.IndexFunc(visits, meant)
	if err != nil || i < 0 {
		return who, false, err
	}
	if err := q.took(tx, visits[i]); err != nil {
		return who, false, err
	}
	if who, err = f.audience(tx, visits, q.Party); err == nil {
		err = f.endSession(tx, r, current, q)
	}
	return who, true, err
}

// endSession ends a session at the wish of a service; the others hear of it by jobs.
func (f *Front) endSession(tx *store.Tx, r *http.Request, current session.Session, q *leaving) error {
	err := f.Audit.Append(tx, audit.Event{
		Type: "session.ended", Account: current.Subject.Account, Actor: "service:" + q.Party, Session: current.ID, Party: q.Party,
		Address: web.ClientOf(r).Addr.String(), Facts: map[string]string{"why": "signout"},
	})
	if err != nil {
		return err
	}
	return f.Sessions.End(tx, current.ID, whyAsked+q.Party)
}

// once notes that a LogoutRequest is answered about a session (empty: by SOAP, whose
// requests come once). False when it was answered before, about another one.
func (q *leaving) once(tx *store.Tx, about string) (bool, error) {
	id := "LogoutRequest " + q.Party + " " + q.ID
	n, err := tx.Exec("INSERT INTO saml_answered (request, session, until) VALUES ($1, $2, $3) ON CONFLICT (request) DO NOTHING",
		id, about, store.Millis(tx.Now.Add(answeredLife)))
	if err != nil || n > 0 || about == "" {
		return n > 0, err
	}
	var first string
	err = tx.QueryRow("SELECT session FROM saml_answered WHERE request = $1", id).Scan(&first)
	return first == about, err
}

// sessions lists those in which the service knew somebody by the name.
func (q *leaving) sessions(tx *store.Tx) ([]string, error) {
	var out []string
	rows, err := tx.Query("SELECT session FROM saml_visit WHERE party = $1 AND name = $2 ORDER BY session", q.Party, authn.HashToken(q.Name))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		out = append(out, id)
		return err
	})
	return out, err
}

// visitLife is how long a name is kept with a session that nobody reported as ended.
const visitLife = 31 * 24 * time.Hour

// noteName keeps the name by which a service knows a session, so that a request by
// SOAP, which brings no cookie, finds it. A name that was noted within a day stays.
func noteName(tx *store.Tx, v session.Visit, name nameID) error {
	until := tx.Now.Add(visitLife)
	_, err := tx.Exec(`INSERT INTO saml_visit (party, name, session, until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (party, name, session) DO UPDATE SET until = $4 WHERE saml_visit.until < $5`,
		v.Party, authn.HashToken(name.Value), v.Session, store.Millis(until), store.Millis(until.Add(-24*time.Hour)))
	return err
}

// forgetName forgets the names of a visit that is over.
func forgetName(tx *store.Tx, v session.Visit) error {
	_, err := tx.Exec("DELETE FROM saml_visit WHERE session = $1 AND party = $2", v.Session, v.Party)
	return err
}

// answerCall sends the signed LogoutResponse in an envelope.
func (f *Front) answerCall(w http.ResponseWriter, r *http.Request, q *leaving, no *status) error {
	s, err := f.service(r, q.Party)
	if err != nil {
		return err
	}
	key, err := f.signer(s.Key)
	if err != nil {
		return err
	}
	text, id, at := f.logoutResponse("", q.ID, no)
	if text, err = xmlsig.Sign(text, id, at, key); err != nil {
		return err
	}
	return answerSOAP(w, http.StatusOK, inEnvelope(text))
}

// answerFault refuses what is no question (SOAP 1.1, 4.4 and 6.2).
func answerFault(w http.ResponseWriter, bad soapFault) error {
	d := xmldoc.NewWriter(xmldoc.Spaces{"soap": soapSpace})
	d.Start("soap:Envelope").Start("soap:Body").Start("soap:Fault")
	d.Leaf("faultcode", "soap:"+bad.code).Leaf("faultstring", bad.text).End().End().End()
	return answerSOAP(w, http.StatusInternalServerError, d.Bytes())
}

func answerSOAP(w http.ResponseWriter, code int, text []byte) error {
	h := w.Header()
	h.Set("Content-Type", "text/xml; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, err := w.Write(text)
	return err
}

// inEnvelope puts a message that stands alone into a SOAP envelope.
func inEnvelope(text []byte) []byte {
	w := xmldoc.NewWriter(xmldoc.Spaces{"soap": soapSpace})
	return w.Start("soap:Envelope").Start("soap:Body").Raw(text).End().End().Bytes()
}

// complaint says to the people of a service what was wrong with its message.
func complaint(cause *authn.Fault) string {
	facts := cause.Facts
	out := facts["field"] + " does not fit"
	switch {
	case cause.Code.Family() == "B3":
		out = "by " + facts["field"] + " your clock is " + facts["seconds"] + " seconds " + strings.TrimPrefix(string(cause.Code), "B3.")
	case facts["sent"] != "":
		out = facts["field"] + " does not fit: " + facts["sent"]
	}
	if facts["registered"] != "" {
		out += "; expected: " + facts["registered"]
	}
	return out
}
