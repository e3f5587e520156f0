package main

import (
	"bytes"
	"compress/flate"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/test/lab/stand"
)

// witness is a service that holds every message of the gate against the schemas.
type witness struct {
	*witnesses
	host, origin, binding string
}

func (w *witness) id() string { return "https://" + w.host + "/sp" }

// witnesses are three of them, one for each binding of single logout.
type witnesses struct {
	stand    *stand.Stand
	f        *referees
	who      identity
	gate     string // entityID
	all      []*witness
	mu       sync.Mutex
	seen     map[string]bool // kinds of messages
	faults   []error
	name     *xmldoc.Node // of the last response
	index    string
	messages int
	refuse   bool   // to end their sessions
	cert     string // file with the gate's certificate
	key      string // file with the witnesses' own key
	verified int    // signatures that xmlsec1 found good
	opened   int    // assertions that xmlsec1 decrypted
}

const (
	soapSpace   = "http://schemas.xmlsoap.org/soap/envelope/"
	statusSpace = "urn:oasis:names:tc:SAML:2.0:status:"
)

// startWitnesses starts and registers them: the one by POST gets everything encrypted.
func startWitnesses(s *stand.Stand, idp []byte) (*witnesses, error) {
	all := &witnesses{stand: s, f: &referees{dir: filepath.Join(s.Work, "witness")}, seen: map[string]bool{}}
	n, err := xmldoc.Parse(idp, metadata.Limits())
	if err != nil {
		return nil, err
	}
	all.gate = n.Attr("entityID")
	if all.who, err = newIdentity("witness"); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(all.f.dir, 0o755); err != nil {
		return nil, err
	}
	if _, all.key, err = all.who.files(all.f.dir, "witness"); err != nil {
		return nil, err
	}
	all.cert = all.f.file("idp.pem", signerOf(n))
	for _, c := range []struct{ host, binding, encrypt string }{
		{"witness-redirect.localhost", metadata.Redirect, "never"}, {"witness-post.localhost", metadata.POST, "names"}, {"witness-soap.localhost", metadata.SOAP, "never"},
	} {
		w := &witness{witnesses: all, host: c.host, binding: c.binding}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /start", w.start)
		mux.HandleFunc("POST /acs", w.consume)
		mux.HandleFunc("GET /logout", w.leave)
		mux.HandleFunc("/slo", w.browserTold)
		mux.HandleFunc("POST /soap", w.soapTold)
		if w.origin, err = s.Listen(c.host, mux); err != nil {
			return nil, err
		}
		if err := register(s, w.id(), w.describe(), "--with", "encrypt="+c.encrypt, "--with", "sign=both"); err != nil {
			return nil, err
		}
		all.all = append(all.all, w)
	}
	return all, nil
}

func (w *witness) describe() []byte {
	d := xmldoc.NewWriter(xmldoc.Spaces{"md": metadata.MD, "ds": xmlsig.Space})
	d.Start("md:EntityDescriptor", "entityID", w.id()).Start("md:SPSSODescriptor", "protocolSupportEnumeration", metadata.SAMLP)
	d.Start("md:KeyDescriptor").Start("ds:KeyInfo").Start("ds:X509Data").Leaf("ds:X509Certificate", base64.StdEncoding.EncodeToString(w.who.cert.Raw)).End().End().End()
	place := map[string]string{metadata.SOAP: "/soap"}[w.binding]
	if place == "" {
		place = "/slo"
	}
	d.Leaf("md:SingleLogoutService", "", "Binding", w.binding, "Location", w.origin+place)
	d.Leaf("md:AssertionConsumerService", "", "Binding", metadata.POST, "Location", w.origin+"/acs", "index", "0")
	return d.End().End().Bytes()
}

// judge holds a message against a schema and notes that it was seen.
func (all *witnesses) judge(kind, schema string, text []byte) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.messages++
	path := schema
	if !strings.HasPrefix(schema, "/") {
		path = "/usr/share/xml/opensaml/saml-schema-" + schema + "-2.0.xsd"
	}
	all.f.file("catalogue.xml", catalogue)
	file := all.f.file(fmt.Sprintf("%d.xml", all.messages), string(text))
	if _, err := tool(all.f.dir+"/catalogue.xml", "xmllint", "--nonet", "--noout", "--schema", path, file); err != nil {
		all.faults = append(all.faults, fmt.Errorf("%s: %w: %s", kind, err, text))
	}
	if strings.Contains(string(text), "<ds:Signature ") {
		args := []string{"--verify", "--pubkey-cert-pem", all.cert, "--id-attr:ID", assertion + ":Assertion"}
		for _, local := range []string{"Response", "LogoutRequest", "LogoutResponse"} {
			args = append(args, "--id-attr:ID", samlp+":"+local)
		}
		if _, err := tool("", "xmlsec1", append(args, file)...); err != nil {
			all.faults = append(all.faults, fmt.Errorf("%s: %w: %s", kind, err, text))
		}
		all.verified++
	}
	all.seen[kind] = true
}

// decrypts lets xmlsec1 open what was encrypted for the witness.
func (all *witnesses) decrypts(text []byte) {
	all.mu.Lock()
	defer all.mu.Unlock()
	out, err := tool("", "xmlsec1", "--decrypt", "--privkey-pem", all.key, all.f.file("sealed.xml", string(text)))
	if err == nil && !strings.Contains(out, "<saml:Assertion ") {
		err = errors.New("xmlsec1 finds no assertion in it")
	}
	if err != nil {
		all.faults = append(all.faults, fmt.Errorf("%w: %s", err, text))
	}
	all.opened++
}

// read parses what was judged.
func (all *witnesses) read(text []byte) *xmldoc.Node {
	n, err := xmldoc.Parse(text, xmldoc.Limits{})
	if err != nil {
		all.mu.Lock()
		all.faults = append(all.faults, err)
		all.mu.Unlock()
		return &xmldoc.Node{}
	}
	return n
}

func statusOf(n *xmldoc.Node) string {
	out := ""
	for c := n.Path(metadata.SAMLP, "Status", "StatusCode"); c != nil; c = c.First(metadata.SAMLP, "StatusCode") {
		out += " " + strings.TrimPrefix(c.Attr("Value"), statusSpace)
	}
	return out
}

func messageID() string { return fmt.Sprintf("_w%d", time.Now().UnixNano()) }

// start sends an AuthnRequest; what names a variant of it.
func (w *witness) start(out http.ResponseWriter, r *http.Request) {
	d := xmldoc.NewWriter(xmldoc.Spaces{"samlp": metadata.SAMLP, "saml": metadata.SAML})
	what := r.URL.Query().Get("what")
	passive := map[bool]string{true: "true"}[what == "passive"]
	version, back := "2.0", ""
	switch what {
	case "version":
		version = "2.1"
	case "binding":
		back = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"
	}
	d.Start("samlp:AuthnRequest", "ID", messageID(), "Version", version, "ProtocolBinding", back, "IssueInstant", time.Now().UTC().Format(time.RFC3339),
		"Destination", w.stand.SSO+"/saml/sso", "IsPassive", passive)
	d.Leaf("saml:Issuer", w.id())
	switch what {
	case "format":
		d.Leaf("samlp:NameIDPolicy", "", "Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos")
	case "context":
		d.Start("samlp:RequestedAuthnContext").Leaf("saml:AuthnContextClassRef", "urn:nobody:knows").End()
	case "scoping":
		d.Start("samlp:Scoping").Start("samlp:IDPList").Leaf("samlp:IDPEntry", "", "ProviderID", "https://other.example.ac.jp/idp").End().End()
	case "subject":
		d.Start("saml:Subject").Leaf("saml:NameID", "nobody@example.org").Leaf("saml:SubjectConfirmation", "", "Method", "urn:oasis:names:tc:SAML:2.0:cm:bearer").End()
	}
	http.Redirect(out, r, w.address("/saml/sso", "SAMLRequest", d.End().Bytes(), ""), http.StatusSeeOther)
}

// address packs a message for the Redirect binding and signs it.
func (w *witness) address(path, field string, text []byte, relay string) string {
	var packed bytes.Buffer
	z, _ := flate.NewWriter(&packed, flate.BestCompression)
	_, err := z.Write(text)
	err = errors.Join(err, z.Close())
	q := field + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes()))
	if relay != "" {
		q += "&RelayState=" + url.QueryEscape(relay)
	}
	q += "&SigAlg=" + url.QueryEscape(xmlsig.RSASHA256)
	_, signature, err2 := xmlsig.Bare(w.who.key, []byte(q))
	if err := errors.Join(err, err2); err != nil {
		panic(err)
	}
	return w.stand.SSO + path + "?" + q + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
}

// consume judges a Response, and what is encrypted in it.
func (w *witness) consume(out http.ResponseWriter, r *http.Request) {
	text, err := base64.StdEncoding.DecodeString(r.FormValue("SAMLResponse"))
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	n := w.read(text)
	kind := "Response" + statusOf(n)
	a := n.First(metadata.SAML, "Assertion")
	open := func(x *xmldoc.Node) *xmldoc.Node {
		inner, err := xmlenc.Decrypt(x.First(xmlenc.Space, "EncryptedData"), []*rsa.PrivateKey{w.who.key}, xmldoc.Limits{})
		if err != nil {
			w.mu.Lock()
			w.faults = append(w.faults, err)
			w.mu.Unlock()
			return &xmldoc.Node{}
		}
		return inner
	}
	if e := n.First(metadata.SAML, "EncryptedAssertion"); e != nil {
		kind += " encrypted"
		a = open(e)
		w.judge("Assertion that was encrypted", "assertion", xmldoc.Canonical(a, nil, nil))
		w.decrypts(text)
	} else if a != nil {
		w.judge("Assertion", "assertion", xmldoc.Canonical(a, nil, nil))
	}
	w.judge(kind, "protocol", text)
	if a != nil {
		name := a.Path(metadata.SAML, "Subject", "NameID")
		if e := a.Path(metadata.SAML, "Subject", "EncryptedID"); e != nil {
			name = open(e)
			w.judge("NameID that was encrypted", "assertion", xmldoc.Canonical(name, nil, nil))
		}
		w.mu.Lock()
		w.name, w.index = name, a.First(metadata.SAML, "AuthnStatement").Attr("SessionIndex")
		w.mu.Unlock()
	}
	show(out, seen{Name: kind})
}

// leave asks the gate to sign out, about the last name that was seen.
func (w *witness) leave(out http.ResponseWriter, r *http.Request) {
	text, id, at := w.request("/saml/slo")
	if w.binding == metadata.Redirect {
		http.Redirect(out, r, w.address("/saml/slo", "SAMLRequest", text, ""), http.StatusSeeOther)
		return
	}
	w.post(out, "SAMLRequest", text, id, at, "")
}

// request is a LogoutRequest to one of the gate's doors.
func (w *witness) request(to string) (text []byte, id string, at int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := xmldoc.NewWriter(xmldoc.Spaces{"samlp": metadata.SAMLP, "saml": metadata.SAML})
	id = messageID()
	d.Start("samlp:LogoutRequest", "ID", id, "Version", "2.0", "IssueInstant", time.Now().UTC().Format(time.RFC3339), "Destination", w.stand.SSO+to)
	d.Leaf("saml:Issuer", w.id())
	at = d.Len()
	d.Leaf("saml:NameID", w.name.Text(), "Format", w.name.Attr("Format"))
	return d.Leaf("samlp:SessionIndex", w.index).End().Bytes(), id, at
}

func (w *witness) post(out http.ResponseWriter, field string, text []byte, id string, at int, relay string) {
	signed, err := xmlsig.Sign(text, id, at, xmlsig.Key{Signer: w.who.key})
	form := `<form id="SAMLForm" method="post" action="` + w.stand.SSO + `/saml/slo"><input type="hidden" name="` + field + `" value="` +
		base64.StdEncoding.EncodeToString(signed) + `"><input type="hidden" name="RelayState" value="` + relay + `"></form><script>document.forms[0].submit()</script>`
	html(out, []byte(form), err)
}

// browserTold judges what the browser brings about sign-outs, and confirms.
func (w *witness) browserTold(out http.ResponseWriter, r *http.Request) {
	field := "SAMLRequest"
	if r.FormValue(field) == "" {
		field = "SAMLResponse"
	}
	text, err := base64.StdEncoding.DecodeString(r.FormValue(field))
	binding := " HTTP-POST"
	if err == nil && r.Method == http.MethodGet {
		binding = " HTTP-Redirect"
		text, err = io.ReadAll(flate.NewReader(bytes.NewReader(text)))
	}
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	n := w.read(text)
	w.judge(n.Local+binding+statusOf(n), "protocol", text)
	if field == "SAMLResponse" {
		html(out, []byte("<p>bye</p>"), nil)
		return
	}
	answer, id, at := w.confirm(n, w.stand.SSO+"/saml/slo")
	if w.binding == metadata.Redirect {
		http.Redirect(out, r, w.address("/saml/slo", "SAMLResponse", answer, r.FormValue("RelayState")), http.StatusSeeOther)
		return
	}
	w.post(out, "SAMLResponse", answer, id, at, r.FormValue("RelayState"))
}

func (w *witness) confirm(n *xmldoc.Node, to string) (text []byte, id string, at int) {
	d := xmldoc.NewWriter(xmldoc.Spaces{"samlp": metadata.SAMLP, "saml": metadata.SAML})
	id = messageID()
	d.Start("samlp:LogoutResponse", "ID", id, "Version", "2.0", "IssueInstant", time.Now().UTC().Format(time.RFC3339), "Destination", to, "InResponseTo", n.Attr("ID"))
	d.Leaf("saml:Issuer", w.id())
	at = d.Len()
	w.mu.Lock()
	status := map[bool]string{true: "Responder", false: "Success"}[w.refuse]
	w.mu.Unlock()
	return d.Start("samlp:Status").Leaf("samlp:StatusCode", "", "Value", statusSpace+status).End().End().Bytes(), id, at
}

// envelope judges a SOAP message and what is in it.
func (all *witnesses) envelope(text []byte) *xmldoc.Node {
	inside := all.read(text).First(soapSpace, "Body").Elements()
	if len(inside) != 1 {
		all.judge("an envelope without one message", "protocol", text)
		return &xmldoc.Node{}
	}
	kind := inside[0].Local + " SOAP" + statusOf(inside[0])
	all.judge(kind, "/usr/share/xml/xmltooling/soap-envelope.xsd", text)
	if inside[0].Space == metadata.SAMLP {
		all.judge(kind, "protocol", xmldoc.Canonical(inside[0], nil, nil))
	}
	return inside[0]
}

// soapTold takes a LogoutRequest by SOAP.
func (w *witness) soapTold(out http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	answer, _, _ := w.confirm(w.envelope(text), "")
	out.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(out, `<s:Envelope xmlns:s="%s"><s:Body>%s</s:Body></s:Envelope>`, soapSpace, answer)
}

// call asks the gate by SOAP and judges the answer.
func (w *witness) call(message []byte) error {
	body := fmt.Sprintf(`<s:Envelope xmlns:s="%s"><s:Body>%s</s:Body></s:Envelope>`, soapSpace, message)
	res, err := w.stand.Client().Post(w.stand.SSO+"/saml/slo/soap", "text/xml; charset=utf-8", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil {
		w.envelope(text)
	}
	return err
}

// walk lets people meet the witnesses until every kind of message was sent.
func (all *witnesses) walk(c *chromium) error {
	redirect, post, soap := all.all[0], all.all[1], all.all[2]
	who := all.stand.Take(false)
	visit := func(addresses ...string) error {
		for _, a := range addresses {
			if e, err := c.walk(as(who, "campus", a)); err != nil {
				return err
			} else if strings.HasPrefix(e.URL, all.stand.SSO) {
				return fmt.Errorf("stayed at %s: %.300s", e.URL, e.Text)
			}
		}
		return nil
	}
	in := "/start"
	for _, what := range []string{"passive", "format", "context", "scoping", "subject", "version", "binding"} {
		if err := visit(redirect.origin + in + "?what=" + what); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	// Each of the two that the browser tells asks once.
	err := visit(soap.origin+in, post.origin+in, redirect.origin+in, redirect.origin+"/logout", soap.origin+in, redirect.origin+in, post.origin+in, post.origin+"/logout")
	if err != nil {
		return err
	}
	// Each asks while another one refuses to end its session.
	for _, asker := range []*witness{redirect, post} {
		if err := visit(soap.origin+in, asker.origin+in); err != nil {
			return err
		}
		all.setRefusal(true)
		err := visit(asker.origin + "/logout")
		all.setRefusal(false)
		if err != nil {
			return err
		}
	}
	// About somebody else; then by SOAP, first with services left that only a browser could tell.
	if err := visit(redirect.origin+in, post.origin+in, redirect.origin+"/logout", soap.origin+in); err != nil {
		return err
	}
	for n := range 3 {
		if n == 1 {
			if err := visit(soap.origin + in); err != nil {
				return err
			}
		}
		text, id, at := soap.request("/saml/slo/soap")
		signed, err := xmlsig.Sign(text, id, at, xmlsig.Key{Signer: all.who.key})
		if err == nil {
			err = soap.call(signed)
		}
		if err != nil {
			return err
		}
	}
	if err := soap.call([]byte("<x></x>")); err != nil {
		return err
	}
	return all.verdict()
}

func (all *witnesses) setRefusal(on bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.refuse = on
}

// kinds lists what must have been sent.
func kinds() []string {
	return []string{
		"Response Success", "Response Success encrypted", "Assertion", "Assertion that was encrypted", "NameID that was encrypted", "Response Responder NoPassive",
		"Response Requester InvalidNameIDPolicy", "Response Responder NoAuthnContext", "Response Responder NoSupportedIDP", "Response Requester RequestUnsupported",
		"Response VersionMismatch RequestVersionTooHigh", "Response Requester UnsupportedBinding", "LogoutResponse HTTP-Redirect Success PartialLogout", "LogoutResponse HTTP-POST Success PartialLogout",
		"LogoutRequest HTTP-Redirect", "LogoutRequest HTTP-POST", "LogoutRequest SOAP", "LogoutResponse HTTP-Redirect Success", "LogoutResponse HTTP-POST Success",
		"LogoutResponse HTTP-Redirect Requester UnknownPrincipal", "LogoutResponse SOAP Success", "LogoutResponse SOAP Success PartialLogout", "LogoutResponse SOAP Requester UnknownPrincipal", "Fault SOAP",
	}
}

// verdict waits for what the gate sends by itself.
func (all *witnesses) verdict() error {
	missing := func() []string {
		all.mu.Lock()
		defer all.mu.Unlock()
		return slices.DeleteFunc(kinds(), func(k string) bool { return all.seen[k] })
	}
	for range 120 {
		if len(missing()) == 0 {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	err := errors.Join(all.faults...)
	if left := slices.DeleteFunc(kinds(), func(k string) bool { return all.seen[k] }); len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("never sent: %q; sent: %v", left, all.seen))
	}
	fmt.Printf("      %d messages held against the schemas, %d signatures verified and %d assertions decrypted by xmlsec1\n", all.messages, all.verified, all.opened)
	if all.verified == 0 || all.opened == 0 {
		err = errors.Join(err, errors.New("nothing was signed, or nothing encrypted"))
	}
	return err
}
