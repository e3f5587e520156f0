package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"maps"
	"math/big"
	"net/http"
	"strconv"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/desk"
	"seimon/internal/diagnosis"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web"
)

// shortest is the least length of a passphrase for a file that the server makes. The
// compatible form is no stronger than its passphrase.
func shortest(compatible bool) int {
	if compatible {
		return 20
	}
	return 12
}

// make makes the key of somebody whose browser cannot, where the university allows
// it. The file goes out with this answer and is kept nowhere: whoever loses it has
// the certificate revoked and begins again.
func (d *Desk) make(v desk.Visit, w wish) error {
	pass := v.R.PostFormValue("passphrase")
	refuse := func(f *authn.Fault, status int) error { return d.form(v, w, d.wrong(v, f), status) }
	compatible := v.R.PostFormValue("form") == "compatible"
	if least := shortest(compatible); len(pass) < least || strings.ContainsFunc(pass, func(r rune) bool { return r < ' ' || r > '~' }) {
		problem := view{Problem: &diagnosis.Advice{Cause: v.P().T("certificates.server.short", "minimum", strconv.Itoa(least))}}
		return d.form(v, w, problem, http.StatusUnprocessableEntity)
	}
	key, err := newKey(v.R.PostFormValue("kind"))
	if err != nil {
		return err
	}
	c, err := d.issue(v.R.Context(), v, w.doc, wanting{key: key.Public(), label: v.R.PostFormValue("label"), replaces: w.replaces})
	if fault := authn.AsFault(err); fault != nil {
		return refuse(fault, http.StatusUnprocessableEntity)
	}
	if err != nil {
		return err
	}
	file, err := d.pack(c, key, pass, compatible)
	if err != nil {
		return err
	}
	if err := d.DB.Write(v.R.Context(), func(tx *store.Tx) error {
		return d.Audit.Append(tx, d.event(v, "certificate.servermade", map[string]string{"certificate": c.ID, "name": c.Name}))
	}); err != nil {
		return err
	}
	return attach(v.W, "application/x-pkcs12", fileName(c)+".p12", file)
}

// newKey makes a key pair on the server.
func newKey(kind string) (crypto.Signer, error) {
	if kind == "rsa" {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// pack makes the PKCS#12 file (RFC 7292). Systems that read only the old form would
// also trust an issuer that they find in it, so there it stays out.
func (d *Desk) pack(c ca.Certificate, key crypto.Signer, pass string, compatible bool) ([]byte, error) {
	if compatible {
		return pkcs12.LegacyDES.Encode(key, c.Parsed(), nil, pass)
	}
	var issuers []*x509.Certificate
	if chain := d.CA.Chain(c.Issuer); len(chain) > 0 {
		issuers = chain[:1]
	}
	return pkcs12.Modern2023.Encode(key, c.Parsed(), issuers, pass)
}

// letters are thirty-one letters and digits that nobody takes for another.
const letters = "abcdefghjkmnpqrstuvwxyz23456789"

// suggestion is a passphrase of chance in groups of five, long enough for either form:
// 99 bits.
func suggestion() (string, error) {
	var out strings.Builder
	for i := range 20 {
		if i > 0 && i%5 == 0 {
			out.WriteByte('-')
		}
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			return "", err
		}
		out.WriteByte(letters[n.Int64()])
	}
	return out.String(), nil
}

// event is an audit event of this person's own doing.
func (d *Desk) event(v desk.Visit, kind string, facts map[string]string) audit.Event {
	all := map[string]string{"agent": session.Classify(v.R.UserAgent()).String()}
	maps.Copy(all, facts)
	return audit.Event{
		Type: kind, Account: v.Account.ID, Actor: string(v.Account.ID), Session: v.Session.ID,
		Party: desk.Portal, Address: web.ClientOf(v.R).Addr.String(), Facts: all,
	}
}
