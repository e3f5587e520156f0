package saml

import (
	"bytes"
	"compress/flate"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/store"
)

// Limits of what comes in, in bytes.
const (
	maxMessage = 64 << 10
	maxRelay   = 4096 // SAML Bindings 2.0, 3.4.3 says 80; services send more
)

func limits() xmldoc.Limits { return xmldoc.Limits{Bytes: maxMessage} }

// message is what arrived by a binding, not verified yet.
type message struct {
	root  *xmldoc.Node
	relay string
	// query is what the signature of the Redirect binding is over; empty without one.
	query, algorithm string
	signature        []byte
	door             door
}

// rawQuery takes a query apart without decoding it: the signature is over the text as
// it came (SAML Bindings 2.0, 3.4.4.1). A name that comes twice is refused.
func rawQuery(text string) (map[string]string, error) {
	out := map[string]string{}
	for part := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding":
			if _, twice := out[name]; twice {
				return nil, fault(badRequest, "", name, "twice")
			}
			out[name] = value
		}
	}
	return out, nil
}

// redirected reads a message of the Redirect binding (SAML Bindings 2.0, 3.4.4).
func (f *Front) redirected(text, name string, at door) (*message, error) {
	raw, err := rawQuery(text)
	if err != nil {
		return nil, err
	}
	value := map[string]string{}
	for k, v := range raw {
		if value[k], err = url.QueryUnescape(v); err != nil {
			return nil, fault(badRequest, "", k, v)
		}
	}
	if e := value["SAMLEncoding"]; e != "" && e != "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE" {
		return nil, fault(badRequest, "", "SAMLEncoding", e)
	}
	packed, err := xmlsig.Decode(value[name])
	if err != nil {
		return nil, fault(badRequest, "", name, "").Because(err)
	}
	plain, err := f.inflate(packed)
	if err != nil {
		return nil, fault(badRequest, "", name, "").Because(err)
	}
	m, err := opened(plain, name, value["RelayState"], at)
	if err != nil || value["Signature"] == "" && value["SigAlg"] == "" {
		return m, err
	}
	if m.signature, err = xmlsig.Decode(value["Signature"]); err != nil {
		return nil, fault(badSignature, "", "Signature", "").Because(err)
	}
	m.query = name + "=" + raw[name]
	if relay, sent := raw["RelayState"]; sent {
		m.query += "&RelayState=" + relay
	}
	m.query += "&SigAlg=" + raw["SigAlg"]
	m.algorithm = value["SigAlg"]
	return m, nil
}

// inflate unpacks a message of the Redirect binding. The window of DEFLATE is larger than
// everything else that a request takes, so unpackers are used again.
func (f *Front) inflate(packed []byte) ([]byte, error) {
	source := bytes.NewReader(packed)
	unpack, used := f.unpackers.Get().(io.Reader)
	if !used {
		unpack = flate.NewReader(source)
	} else if err := unpack.(flate.Resetter).Reset(source, nil); err != nil {
		return nil, err
	}
	defer f.unpackers.Put(unpack)
	plain, err := io.ReadAll(io.LimitReader(unpack, maxMessage+1))
	if err != nil { // its kinds are those of broken connections, which this is not
		return nil, fmt.Errorf("what came is not DEFLATE: %s", err.Error()) //nolint:errorlint // on purpose
	}
	return plain, nil
}

// posted reads a message of the POST binding (SAML Bindings 2.0, 3.5.4).
func posted(r *http.Request, name string, at door) (*message, error) {
	if err := r.ParseForm(); err != nil {
		return nil, fault(badRequest, "", name, "").Because(err)
	}
	if len(r.PostForm[name]) != 1 || len(r.PostForm["RelayState"]) > 1 {
		return nil, fault(badRequest, "", name, "")
	}
	plain, err := xmlsig.Decode(r.PostForm.Get(name))
	if err != nil {
		return nil, fault(badRequest, "", name, "").Because(err)
	}
	return opened(plain, name, r.PostForm.Get("RelayState"), at)
}

func opened(plain []byte, name, relay string, at door) (*message, error) {
	if len(relay) > maxRelay || strings.ContainsRune(relay, 0) {
		return nil, fault(badRequest, "", "RelayState", relay)
	}
	root, err := xmldoc.Parse(plain, limits())
	if err != nil {
		return nil, fault(badRequest, "", name, "").Because(err)
	}
	return &message{root: root, relay: relay, door: at}, nil
}

// verified checks what every request has: version, issuer, destination, age and, where
// there is one, the signature. What it returns is all that may be read afterwards; with
// a fault it returns something only if who sent it is beyond doubt.
func (f *Front) verified(r *http.Request, m *message, local string) (*service, *xmldoc.Node, error) {
	n := m.root
	// A request for a sign-in in another version is told so, once it is known by whom.
	if v := n.Attr("Version"); !n.Is(metadata.SAMLP, local) || v != "2.0" && (local != "AuthnRequest" || versionStatus(v) == nil) {
		return nil, nil, fault(badRequest, "", "message", n.Local+" "+n.Attr("Version"))
	}
	issuer := n.First(metadata.SAML, "Issuer")
	if form := issuerFormat(issuer); issuer.Text() == "" || form != "" && form != entityFormat { // SAML Profiles 2.0, 4.1.4.1
		return nil, nil, fault(badRequest, "", "Issuer", issuer.Text())
	}
	s, err := f.service(r, issuer.Text())
	if err != nil {
		return nil, nil, err
	}
	signed := m.query != "" || xmlsig.Signed(n)
	if n, err = f.signed(s, m); err != nil {
		return nil, nil, err
	}
	if n.First(metadata.SAML, "Issuer").Text() != s.ID {
		return nil, nil, fault(badSignature, s.ID, "Issuer", n.First(metadata.SAML, "Issuer").Text())
	}
	// SAML Bindings 2.0, 3.4.5.2 and 3.5.5.2: a signed message names where it was sent to.
	// By SOAP nobody carries it elsewhere, and many services leave that out.
	if d := n.Attr("Destination"); d != "" && !f.ours(d, m.door) || d == "" && signed && m.door != doorSOAP {
		no := fault(badRequest, s.ID, "Destination", d)
		no.Facts["registered"] = f.site.URL(string(m.door))
		return s, n, no
	}
	return s, n, fresh(s.ID, n, signed, f.DB.Now())
}

const entityFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"

func issuerFormat(n *xmldoc.Node) string {
	if n == nil {
		return ""
	}
	return n.Attr("Format")
}

// signed checks every signature that a message has, and that it has one if the service
// registered that.
func (f *Front) signed(s *service, m *message) (*xmldoc.Node, error) {
	keys, err := s.Keys()
	if err != nil {
		return nil, err
	}
	n := m.root
	if m.query != "" {
		if err := xmlsig.Check(m.algorithm, []byte(m.query), m.signature, keys); err != nil {
			return nil, fault(badSignature, s.ID, "Signature", m.algorithm).Because(err)
		}
	}
	inside := 0
	n.Walk(func(x *xmldoc.Node) bool {
		if x.Is(xmlsig.Space, "Signature") {
			inside++
		}
		return true
	})
	switch {
	case inside > 1 || inside == 1 && !xmlsig.Signed(n):
		return nil, fault(badSignature, s.ID, "Signature", "")
	case inside == 1:
		return f.inside(s, n, keys)
	case m.query == "" && s.RequestsSigned:
		return nil, fault(badSignature, s.ID, "Signature", "missing")
	}
	return n, nil
}

func (f *Front) inside(s *service, n *xmldoc.Node, keys []crypto.PublicKey) (*xmldoc.Node, error) {
	seen, err := xmlsig.Verify(n, keys, limits())
	if err != nil {
		return nil, fault(badSignature, s.ID, "ds:Signature", "").Because(err)
	}
	return seen, nil
}

// byRedirect takes an AuthnRequest of the Redirect binding.
func (f *Front) byRedirect(w http.ResponseWriter, r *http.Request) error {
	m, err := f.redirected(r.URL.RawQuery, "SAMLRequest", doorIn)
	if err != nil {
		return err
	}
	q, err := f.accept(r, m)
	if err != nil {
		return err
	}
	return f.begin(w, r, q)
}

// byPost takes an AuthnRequest of the POST binding. Browsers send no SameSite=Lax
// cookie with a foreign form, but do so when they follow our redirect, so what was
// found sound goes on by GET, sealed.
func (f *Front) byPost(w http.ResponseWriter, r *http.Request) error {
	m, err := posted(r, "SAMLRequest", doorIn)
	if err != nil {
		return err
	}
	q, err := f.accept(r, m)
	if err != nil {
		return err
	}
	if q.no != nil {
		return f.begin(w, r, q)
	}
	plain, err := json.Marshal(q)
	if err != nil {
		return err
	}
	sealed := base64.RawURLEncoding.EncodeToString(f.Ring.Seal(pathGo, plain))
	http.Redirect(w, r, pathGo+"?r="+sealed, http.StatusSeeOther)
	return nil
}

// resume goes on with a request that came by POST.
func (f *Front) resume(w http.ResponseWriter, r *http.Request) error {
	sealed, err := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("r"))
	var plain []byte
	if err == nil {
		plain, err = f.Ring.Unseal(pathGo, sealed)
	}
	if err != nil {
		return fault(badRequest, "", "r", "").Because(err)
	}
	var q request
	if err := json.Unmarshal(plain, &q); err != nil {
		return err
	}
	if f.DB.Now().Unix()-q.At > int64(requestLife.Seconds()) {
		return authn.NewFault("B1.expired")
	}
	return f.begin(w, r, &q)
}

// start begins a sign-in that no service asked for: a link on a page of the
// university, with the parameters that Shibboleth has for it.
func (f *Front) start(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	s, err := f.service(r, v.Get("providerId"))
	if err != nil {
		return err
	}
	e, ok := s.Consumer(v.Get("shire"), nil)
	if !ok {
		return fault(badAddress, s.ID, "shire", v.Get("shire"))
	}
	if len(v.Get("target")) > maxRelay {
		return fault(badRequest, s.ID, "target", v.Get("target"))
	}
	q := &request{Party: s.ID, Consumer: e.Location, Relay: v.Get("target"), Want: wanted{exact, s.Contexts}, At: f.DB.Now().Unix()}
	return f.begin(w, r, q)
}

// accept verifies and judges an AuthnRequest.
func (f *Front) accept(r *http.Request, m *message) (*request, error) {
	s, n, err := f.verified(r, m, "AuthnRequest")
	if err != nil {
		return nil, err
	}
	return f.judge(s, n, m.relay, f.DB.Now())
}

// begin hands a request to the hall, or tells the service at once what is wrong with it.
func (f *Front) begin(w http.ResponseWriter, r *http.Request, q *request) error {
	if q.no != nil {
		s, err := f.service(r, q.Party)
		if err != nil {
			return err
		}
		return f.send(w, r, reply{s, q, nil, q.no})
	}
	sealed, err := json.Marshal(q)
	if err != nil {
		return err
	}
	return f.Hall.Begin(w, r, q.ask(f, sealed))
}

// answered notes that a request is answered in a session. A request that was answered
// in another session is a replay: false.
func answered(tx *store.Tx, q *request, session string) (bool, error) {
	if q.ID == "" {
		return true, nil
	}
	var first string
	err := tx.QueryRow("INSERT INTO saml_answered (request, session, until) VALUES ($1, $2, $3)"+
		" ON CONFLICT (request) DO UPDATE SET session = saml_answered.session RETURNING session",
		q.record(), session, store.Millis(tx.Now.Add(answeredLife))).Scan(&first)
	return first == session, err
}
