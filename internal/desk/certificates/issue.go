package certificates

import (
	"cmp"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/desk"
	"seimon/internal/directory"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/web"
)

// wish is what a visit wants: a new certificate, or one that follows an older one.
type wish struct {
	doc      *policy.Document
	label    string
	replaces string
	old      *item
}

// wanted finds out what a visit wants, and stops those who may not have it here.
func (d *Desk) wanted(h func(desk.Visit, wish) error) func(desk.Visit) error {
	return func(v desk.Visit) error {
		doc, err := d.rules(v)
		if err != nil {
			return err
		}
		w := wish{doc: doc}
		if id := v.R.PathValue("id"); id != "" {
			if w, err = d.following(v, w, id); errors.Is(err, ca.ErrNone) {
				return d.missing(v)
			}
			if fault := authn.AsFault(err); fault != nil {
				return d.stop(v, w, fault, http.StatusConflict)
			}
			if err != nil {
				return err
			}
		}
		err = d.allowed(v, doc)
		if err == nil {
			err = d.ready(v)
		}
		if fault := authn.AsFault(err); fault != nil {
			return d.stop(v, w, fault, http.StatusForbidden)
		}
		if err != nil {
			return err
		}
		return h(v, w)
	}
}

// following completes a wish with the certificate it follows: one of this account
// that may be renewed, or one of the person's other accounts.
func (d *Desk) following(v desk.Visit, w wish, id string) (wish, error) {
	err := d.DB.Read(v.R.Context(), func(tx *store.Tx) error {
		c, err := d.CA.Get(tx, id)
		if err != nil {
			return err
		}
		if c.Person != v.Person.ID || c.Issued.IsZero() {
			return ca.ErrNone
		}
		i := judge(c, tx.Now)
		i.renewable(v.Person)
		w.old, w.label = &i, c.Label
		if c.Account != v.Account.ID {
			accounts, err := d.People.AccountsOf(tx, v.Person.ID)
			if err != nil {
				return err
			}
			at := slices.IndexFunc(accounts, func(a directory.Account) bool { return a.ID == c.Account })
			if at < 0 {
				return ca.ErrNone
			}
			i.Foreign = accounts[at].UserName
			return nil
		}
		again, err := d.asksAgain(tx, v, c)
		if err != nil {
			return err
		}
		if i.Renew == "" && !again {
			return authn.NewFault("C9.early", "from", i.From.Format(time.RFC3339), "name", c.Name)
		}
		w.replaces = c.ID
		return nil
	})
	return w, err
}

// asksAgain tells whether a form brings the request once more that a certificate was
// replaced for a moment ago: its answer was lost on the way.
func (d *Desk) asksAgain(tx *store.Tx, v desk.Visit, old ca.Certificate) (bool, error) {
	if old.ReplacedBy == "" || v.R.Method != http.MethodPost {
		return false, nil
	}
	label := cleanLabel(v.R.PostFormValue("label"))
	text, err := requestOf(v.R)
	if err != nil {
		return false, err
	}
	request, err := ca.ParseRequest(text)
	if err != nil {
		return false, nil //nolint:nilerr // not that request
	}
	hash, err := ca.KeyHash(request.PublicKey)
	if err != nil {
		return false, nil //nolint:nilerr // nor this
	}
	before, err := d.madeBefore(tx, v.Account.ID, hash, wanting{label: label, replaces: old.ID})
	return before != nil, err
}

func (d *Desk) ready(v desk.Visit) error {
	return d.DB.Read(v.R.Context(), func(tx *store.Tx) error {
		if !d.CA.Ready(tx) {
			return authn.NewFault("C9.closed")
		}
		return nil
	})
}

// askPage is the form for a new certificate.
type askPage struct {
	view
	Action     string
	Old        *item
	Replaces   string
	Label      string
	Systems    []string
	Seen       string
	Form       string // of the PKCS#12 file, for the system seen
	Choice     bool   // there is another profile: Wi-Fi without a name
	ServerMade bool
	Way        string // the form that came back
	Passphrase string // a suggestion for the file that the server makes
	Wifi       bool
	Zone       string
	Rule       policy.EnrolmentRule
	On         bool
}

// ask shows the form. Whoever has as many as there may be is told so before filling it in.
func (d *Desk) ask(v desk.Visit, w wish) error {
	most := devices(w.doc)
	full := false
	err := d.DB.Read(v.R.Context(), func(tx *store.Tx) error {
		n, err := d.held(tx, v.Account.ID, w.replaces)
		full = n >= most
		return err
	})
	if err != nil {
		return err
	}
	if full {
		return d.stop(v, w, authn.NewFault("C9.limit", "limit", strconv.Itoa(most)), http.StatusConflict)
	}
	return d.form(v, w, view{}, http.StatusOK)
}

func (d *Desk) form(v desk.Visit, w wish, top view, status int) error {
	seen := systemOf(v.R.UserAgent())
	page := &askPage{
		view: top, Action: v.R.URL.Path, Old: w.old, Replaces: w.replaces, Label: w.label, Systems: systems(), Seen: seen,
		Form: formFor(seen), ServerMade: serverMade(w.doc), Way: v.R.PostFormValue("way"), Wifi: d.Wifi.SSID != "",
	}
	if page.ServerMade {
		fresh, err := suggestion()
		if err != nil {
			return err
		}
		// What was written down before a form came back still stands there.
		page.Passphrase = cmp.Or(v.R.PostFormValue("passphrase"), fresh)
	}
	if form := v.R.PostFormValue("form"); form == "modern" || form == "compatible" {
		page.Form = form
	}
	if typed := v.R.PostFormValue("label"); typed != "" {
		page.Label = cleanLabel(typed)
	}
	title := "certificates.new.title"
	if w.replaces != "" {
		title = "certificates.renew.title"
	}
	return d.Lobby.Show(v, web.View{
		Template: "certificates.new", Title: title, Data: page, Status: status, Script: []string{"cert.js"}, Asks: true,
	})
}

// stop says why no certificate can be made, and what to do.
func (d *Desk) stop(v desk.Visit, w wish, f *authn.Fault, status int) error {
	page := &askPage{view: d.wrong(v, f), Old: w.old, On: f.Code == "C9.where", Rule: w.doc.EnrolmentRule(Kind)}
	page.Zone = w.doc.ZoneLabel(v.Zone.Name, string(v.P().Tag()))
	if v.Zone.Kind == authn.Elsewhere {
		page.Zone = v.P().T("desk.kind.elsewhere")
	}
	return d.Lobby.Show(v, web.View{Template: "certificates.stopped", Title: "certificates.stopped.title", Data: page, Status: status})
}

// maxForm bounds what a form may send, in bytes: a request and a few words.
const maxForm = 64 << 10

// answer takes the forms that work without script.
func (d *Desk) answer(v desk.Visit, w wish) error {
	if err := v.R.ParseMultipartForm(maxForm); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return authn.NewFault("B2").Because(err)
	}
	if v.R.PostFormValue("way") == "server" && serverMade(w.doc) {
		return d.make(v, w)
	}
	text, err := requestOf(v.R)
	if err != nil {
		return err
	}
	request, err := ca.ParseRequest(text)
	var c ca.Certificate
	if err == nil {
		c, err = d.issue(v.R.Context(), v, w.doc, wanting{key: request.PublicKey, label: v.R.PostFormValue("label"), replaces: w.replaces})
	}
	if fault := authn.AsFault(err); fault != nil {
		return d.form(v, w, d.wrong(v, fault), http.StatusUnprocessableEntity)
	}
	if err != nil {
		return err
	}
	return d.Lobby.Leave(v, home+"/"+c.ID, "certificates.done.issued")
}

// requestOf reads the PKCS#10 request out of the field or the file of a form.
func requestOf(r *http.Request) ([]byte, error) {
	if r.MultipartForm != nil && len(r.MultipartForm.File["file"]) > 0 {
		f, err := r.MultipartForm.File["file"][0].Open()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(io.LimitReader(f, maxForm))
		if err = errors.Join(err, f.Close()); err != nil || len(text) > 0 {
			return text, err
		}
	}
	return []byte(strings.TrimSpace(r.PostFormValue("request"))), nil
}

// wanting is a certificate to be made.
type wanting struct {
	key      crypto.PublicKey
	label    string
	replaces string
}

// workFor is how long a certificate that is being made counts toward the limit, at most.
const workFor = 2 * time.Minute

// issue makes a certificate. Sending the same key again gives the certificate that
// was made for it, so that an answer that was lost on its way can be asked for again.
func (d *Desk) issue(ctx context.Context, v desk.Visit, doc *policy.Document, w wanting) (ca.Certificate, error) {
	w.label = cleanLabel(w.label)
	if w.label == "" {
		return ca.Certificate{}, authn.NewFault("C9.form", "reason", "label")
	}
	hash, err := ca.KeyHash(w.key)
	if err != nil {
		return ca.Certificate{}, authn.NewFault("C9.key", "reason", "kind").Because(err)
	}
	work := workOf(hash)
	var before *ca.Certificate
	err = d.DB.Write(ctx, func(tx *store.Tx) (err error) {
		if before, err = d.madeBefore(tx, v.Account.ID, hash, w); err != nil || before != nil {
			return err
		}
		return d.reserve(tx, v.Account.ID, work, doc, w.replaces)
	})
	if err != nil {
		return ca.Certificate{}, err
	}
	if before != nil {
		return *before, nil
	}
	c, err := d.sign(ctx, v, w)
	done := d.DB.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM certificates_work WHERE id = $1", work)
		return err
	})
	if done != nil {
		d.Log.Warn("a finished order was not struck off", "error", done) // it ends by itself
	}
	return c, err
}

func (d *Desk) sign(ctx context.Context, v desk.Visit, w wanting) (ca.Certificate, error) {
	p, err := d.CA.Prepare(ctx, ca.Order{
		Profile: Profile, Key: w.key, Label: w.label, Replaces: w.replaces,
		Holder: d.Holder(v.Account, v.Person),
	})
	if errors.Is(err, ca.ErrNotReady) {
		return ca.Certificate{}, authn.NewFault("C9.closed")
	}
	if err != nil {
		return ca.Certificate{}, err
	}
	return d.CA.Issue(ctx, p)
}

// workOf names the work on a certificate for a key.
func workOf(keyHash []byte) string { return hex.EncodeToString(keyHash) }

// madeBefore finds the certificate that was made a moment ago for the same key.
func (d *Desk) madeBefore(tx *store.Tx, account authn.AccountID, hash []byte, w wanting) (*ca.Certificate, error) {
	all, err := d.CA.ByKey(tx, hash)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if c.Account == account && c.State == ca.Active && c.Label == w.label && c.Replaces == w.replaces && tx.Now.Sub(c.Issued) < 10*time.Minute {
			return &c, nil
		}
	}
	return nil, nil
}

// held counts the certificates of an account that are valid now, but for one that is
// about to be replaced.
func (d *Desk) held(tx *store.Tx, account authn.AccountID, but string) (n int, err error) {
	all, err := d.CA.Of(tx, account)
	for _, c := range all {
		if c.Card == "" && c.Profile == Profile && c.Current(tx.Now) && c.ID != but {
			n++
		}
	}
	return n, err
}

// reserve counts what the account has and what is being made, and takes a place.
func (d *Desk) reserve(tx *store.Tx, account authn.AccountID, work string, doc *policy.Document, replaces string) error {
	n, err := d.held(tx, account, replaces)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM certificates_work WHERE expires_at < $1", store.Millis(tx.Now)); err != nil {
		return err
	}
	// Written before it is counted: of two orders at once, the second sees the first.
	taken, err := tx.Exec("INSERT INTO certificates_work (id, account, expires_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
		work, string(account), store.Millis(tx.Now.Add(workFor)))
	if err != nil {
		return err
	}
	if taken == 0 {
		return authn.NewFault("C9") // the same request is at work this moment
	}
	var making int
	if err := tx.QueryRow("SELECT COUNT(*) FROM certificates_work WHERE account = $1", string(account)).Scan(&making); err != nil {
		return err
	}
	if most := devices(doc); n+making > most {
		return authn.NewFault("C9.limit", "limit", strconv.Itoa(most))
	}
	return nil
}

// made is what the browser gets for its request: nothing in it is secret.
type made struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	File         string   `json:"file"` // a name for files, in plain letters
	Page         string   `json:"page"`
	Certificates []string `json:"certificates"` // the certificate and its issuer, DER in base64
	// Profiles for the wireless network, with a place for the PKCS#12 file that the
	// browser builds; empty without such a network.
	Mobileconfig string `json:"mobileconfig,omitempty"`
	EAPConfig    string `json:"eapconfig,omitempty"`
}

// refused is the answer to a request that gets no certificate.
type refused struct {
	Cause string `json:"cause"`
	Next  string `json:"next"`
}

// order takes a request that a script sends.
func (d *Desk) order(v desk.Visit) error {
	doc, err := d.rules(v)
	if err != nil {
		return err
	}
	w := wish{doc: doc}
	if id := v.R.PostFormValue("replaces"); id != "" {
		if w, err = d.following(v, w, id); errors.Is(err, ca.ErrNone) {
			err = authn.NewFault("C9.form", "reason", "replaces")
		}
	}
	if err == nil {
		err = d.allowed(v, doc)
	}
	var c ca.Certificate
	if err == nil {
		c, err = d.ordered(v, w)
	}
	if fault := authn.AsFault(err); fault != nil {
		advice := d.wrong(v, fault).Problem
		return send(v, http.StatusUnprocessableEntity, refused{advice.Cause, advice.Next})
	}
	if err != nil {
		return err
	}
	out := made{ID: c.ID, Name: c.Name, File: fileName(c), Page: home + "/" + c.ID, Certificates: []string{base64.StdEncoding.EncodeToString(c.DER)}}
	if chain := d.CA.Chain(c.Issuer); len(chain) > 0 {
		out.Certificates = append(out.Certificates, base64.StdEncoding.EncodeToString(chain[0].Raw))
	}
	if d.Wifi.SSID != "" {
		p := d.Wifi.profile(v.P(), c)
		if out.Mobileconfig, err = p.mobileconfig(); err != nil {
			return err
		}
		if out.EAPConfig, err = p.eapConfig(); err != nil {
			return err
		}
	}
	return send(v, http.StatusOK, out)
}

func (d *Desk) ordered(v desk.Visit, w wish) (ca.Certificate, error) {
	request, err := ca.ParseRequest([]byte(v.R.PostFormValue("request")))
	if err != nil {
		return ca.Certificate{}, err
	}
	return d.issue(v.R.Context(), v, w.doc, wanting{key: request.PublicKey, label: v.R.PostFormValue("label"), replaces: w.replaces})
}

func send(v desk.Visit, status int, what any) error {
	v.W.Header().Set("Content-Type", "application/json")
	v.W.WriteHeader(status)
	return json.NewEncoder(v.W).Encode(what)
}

// file gives the certificate itself: as PEM with its issuer, or alone as DER.
func (d *Desk) file(v desk.Visit) error {
	var i item
	err := d.DB.Read(v.R.Context(), func(tx *store.Tx) (err error) {
		i, err = d.own(tx, v)
		return err
	})
	if errors.Is(err, ca.ErrNone) {
		return d.missing(v)
	}
	if err != nil {
		return err
	}
	switch v.R.PathValue("form") {
	case "pem":
		out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.DER})
		if chain := d.CA.Chain(i.Issuer); len(chain) > 0 {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain[0].Raw})...)
		}
		return attach(v.W, "application/pem-certificate-chain", fileName(i.Certificate)+".pem", out) // RFC 8555 9.1
	case "cer":
		return attach(v.W, "application/pkix-cert", fileName(i.Certificate)+".cer", i.DER) // RFC 2585 4.1
	}
	return d.missing(v)
}

// attach sends a file to be kept.
func attach(w http.ResponseWriter, kind, name string, body []byte) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, err := w.Write(body)
	return err
}

// fileName is a name for a certificate's files that every system can write.
func fileName(c ca.Certificate) string {
	return "certificate-" + strings.ReplaceAll(c.Tail(), ":", "")
}
