package trust

import (
	"crypto/x509"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust/chain"
	"seimon/internal/store"
)

//go:embed schema
var schemaFiles embed.FS

// Schema is the tables of the room.
func Schema() store.Schema { return store.Schema{Room: "trust", Files: schemaFiles} }

// People finds accounts by what certificates say (directory, joined by app).
type People interface {
	// ByMail lists the accounts of everybody who has proved to own the address.
	ByMail(tx *store.Tx, address string) ([]authn.AccountID, error)
	// ByUserName gives the account of a user name; "" if there is none.
	ByUserName(tx *store.Tx, name string) (authn.AccountID, error)
	// Page lists accounts in the order of their user names, after the one named.
	Page(tx *store.Tx, after string, limit int) ([]Known, error)
}

// Known is an account as rules see it.
type Known struct {
	Account  authn.AccountID
	UserName string
	Mail     string // "" if not proved
}

// Config says how the room works here.
type Config struct {
	// Client fetches revocation lists; a client with limits of its own when nil.
	Client *http.Client
	// Ended ends what rests on a certificate that its issuer has revoked, in one
	// transaction, and tells whether a binding remains that may come back. It is called again
	// for what it ended already. Nil: nothing rests on certificates here.
	Ended func(tx *store.Tx, e Ended) (held bool, err error)
	Log   *slog.Logger
}

// Trust judges certificates. It is safe for concurrent use.
type Trust struct {
	db     *store.DB
	own    *ca.Authority
	people People
	cfg    Config

	mu      sync.Mutex
	lists   map[string]*chain.List // parsed, by digest
	anchors map[string]*parsed     // parsed, by id and time of the last change
}

// ErrNone says that there is no such anchor.
var ErrNone = errors.New("trust: there is no such anchor")

// New returns the room.
func New(db *store.DB, own *ca.Authority, people People, cfg Config) *Trust {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Client == nil {
		cfg.Client = fetcher()
	}
	return &Trust{db: db, own: own, people: people, cfg: cfg, lists: map[string]*chain.List{}, anchors: map[string]*parsed{}}
}

// Verdict is what a presented certificate is worth. With a Fault the other fields
// still tell what could be read.
type Verdict struct {
	Certificate ca.Certificate  // of our own issue; zero otherwise
	Foreign     string          // id of the anchor of another house
	Account     authn.AccountID // whose it is; "" if unknown
	Name        string          // the common name
	Tail        string          // last digits of the serial
	Serial      string          // upper-case hexadecimal
	Issuer      string          // the issuer's common name
	Hardware    bool            // the key cannot leave its hardware
	Fault       *authn.Fault
}

// use is what a certificate must be good for: signing in over TLS.
func use() chain.Use {
	return chain.Use{Extended: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, chain.SmartcardLogon}, Key: x509.KeyUsageDigitalSignature}
}

// Judge says whose a presented chain is and what is wrong with it. chain[0] is the
// certificate, the others are what the browser added. The error is internal; what is
// wrong with the certificate stands in the verdict. Nothing is dialled.
func (t *Trust) Judge(tx *store.Tx, presented []*x509.Certificate) (Verdict, error) {
	if len(presented) == 0 {
		return Verdict{Fault: authn.NewFault("C1")}, nil
	}
	leaf := presented[0]
	v := read(leaf)
	if len(presented) > chain.MaxCertificates {
		return v.refused("C7.chain", "too many certificates"), nil
	}
	issuers, err := t.own.Issuers(tx)
	if err != nil {
		return v, err
	}
	var own []chain.Anchor
	for _, i := range issuers {
		if i.Publishes() {
			own = append(own, chain.Anchor{ID: i.ID, Certificate: i.Certificate})
		}
	}
	wanted := use()
	wanted.Named = true
	// What stands between our issuers and a person's certificate is nothing.
	found, failed := chain.Validate(leaf, chain.Options{Now: tx.Now, Anchors: own, Use: wanted})
	if failed == nil || chain.ReasonOf(failed) != chain.Unknown {
		return t.ours(tx, v, leaf, found, failed)
	}
	return t.foreign(tx, v, presented, failed)
}

// ours judges a certificate whose issuer is ours: the row decides.
func (t *Trust) ours(tx *store.Tx, v Verdict, leaf *x509.Certificate, found chain.Result, failed error) (Verdict, error) {
	if failed != nil && chain.ReasonOf(failed) != chain.Expired && chain.ReasonOf(failed) != chain.Early {
		return v.because(leaf, failed), nil
	}
	issuer, err := t.issuerOf(tx, leaf)
	if err != nil {
		return v, err
	}
	row, err := t.own.BySerial(tx, issuer.ID, v.Serial)
	if errors.Is(err, ca.ErrNone) || err == nil && string(row.DER) != string(leaf.Raw) {
		t.cfg.Log.Error("a certificate with a right signature of ours has no row", "serial", v.Serial, "issuer", issuer.ID)
		return v.refused("C7.unknown", "no row"), nil
	}
	if err != nil {
		return v, err
	}
	v.Certificate, v.Account = row, row.Account
	switch {
	case failed != nil:
		return v.because(leaf, failed), nil
	case row.State == ca.Revoked:
		return v.revoked(row.Revoked, string(row.Reason)), nil
	case !issuer.Revoked.IsZero(): // its rows follow one by one
		return v.revoked(issuer.Revoked, string(issuer.Reason)), nil
	case row.State != ca.Active:
		return v.refused("C7.unknown", "never issued"), nil
	}
	v.Hardware = t.hardware(found.Policies)
	return v, nil
}

// issuerOf finds the issuer whose key signed the certificate.
func (t *Trust) issuerOf(tx *store.Tx, leaf *x509.Certificate) (ca.Issuer, error) {
	issuers, err := t.own.Issuers(tx)
	if err != nil {
		return ca.Issuer{}, err
	}
	for _, i := range issuers {
		if string(i.Certificate.RawSubject) == string(leaf.RawIssuer) && leaf.CheckSignatureFrom(i.Certificate) == nil {
			return i, nil
		}
	}
	return ca.Issuer{}, nil
}

// hardware tells whether one of our policies says that the key is in hardware.
func (t *Trust) hardware(policies []string) bool {
	for _, p := range policies {
		if p != "" && (p == t.own.Policy(ca.HardwareBound) || p == t.own.Policy(ca.OnCard)) {
			return true
		}
	}
	return false
}

// Hints gives the names for a TLS certificate request, encoded (RFC 8446 4.2.4): of
// our active issuers and of the anchors that are switched on. Browsers then offer
// nothing else.
func (t *Trust) Hints(tx *store.Tx) ([][]byte, error) {
	issuers, err := t.own.Issuers(tx)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, i := range issuers {
		// What an issuer signed while it was active is good until it ends.
		if i.State == ca.IssuerActive || i.State == ca.IssuerStatusOnly {
			out = append(out, i.Certificate.RawSubject)
		}
	}
	anchors, err := t.enabled(tx)
	if err != nil {
		return nil, err
	}
	for _, a := range anchors {
		out = append(out, a.certificate.RawSubject)
		for _, c := range a.between {
			out = append(out, c.RawSubject)
		}
	}
	return out, nil
}

// instant writes a time as facts carry it.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }
