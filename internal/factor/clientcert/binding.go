package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/factor"
	"seimon/internal/store"
)

// record is the payload of a binding. The certificate itself lies with ca.
type record struct {
	V         int    `json:"v"`
	Cert      string `json:"cert,omitempty"`    // id at ca; empty for a foreign one
	Foreign   string `json:"foreign,omitempty"` // id of the anchor
	Keeps     string `json:"keeps,omitempty"`   // where the key is: onCard, inHardware or ""
	Name      string `json:"name"`
	Tail      string `json:"tail"`
	Mail      string `json:"mail,omitempty"` // the address in it; empty for a foreign one
	NotBefore int64  `json:"from"`           // Unix seconds
	NotAfter  int64  `json:"until"`
	Replaced  bool   `json:"replaced,omitempty"` // a newer one took its place: it proves nothing any more
}

func readRecord(payload []byte) (record, error) {
	var r record
	if err := json.Unmarshal(payload, &r); err != nil {
		return r, fmt.Errorf("clientcert: payload of a binding: %w", err)
	}
	if r.V != 1 {
		return r, fmt.Errorf("clientcert: payload of a binding has version %d", r.V)
	}
	return r, nil
}

func (r record) bytes() []byte {
	r.V = 1
	out, err := json.Marshal(r)
	if err != nil {
		panic(err) // texts and numbers
	}
	return out
}

func (r record) current(at time.Time) bool {
	return !r.Replaced && at.Unix() >= r.NotBefore && at.Unix() < r.NotAfter
}

// identifier names a certificate: the SHA-256 of its DER form.
func identifier(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Where the private key of a certificate is, when it cannot be copied.
const (
	onCard     = "card"
	inHardware = "hardware"
)

// traits is what a proof is worth. A card proves that somebody has it and knows its
// PIN (RFC 8176: sc, hwk, swk).
func traits(keeps string) authn.Traits {
	t := authn.Traits{Class: authn.Have, PhishingResistant: true, AMR: "swk"}
	switch keeps {
	case onCard:
		t.Class, t.HardwareBound, t.UserVerified, t.AMR = authn.Have|authn.Know, true, true, "sc"
	case inHardware:
		t.HardwareBound, t.AMR = true, "hwk"
	}
	return t
}

// Register binds an issued certificate to its account; a hook of the issuing house
// calls it in the transaction that issues.
func Register(tx *store.Tx, bindings *factor.Bindings, c ca.Certificate) error {
	if c.Account == "" || !proves(c) {
		return nil
	}
	if err := replace(tx, bindings, c); err != nil {
		return err
	}
	r := record{Cert: c.ID, Keeps: keeps(trust.Verdict{Certificate: c}), Name: c.Name, Tail: c.Tail(), Mail: c.Mail, NotBefore: c.NotBefore.Unix(), NotAfter: c.NotAfter.Unix(), Replaced: c.ReplacedBy != ""}
	// What was on hold comes back as it was: a certificate has one binding for ever.
	if old, err := bindings.Ever(tx, c.Account, Kind, identifier(c.DER)); err == nil && old.State == factor.Removed {
		if err := bindings.Restore(tx, old.ID); err != nil {
			return err
		}
		old.Payload = r.bytes()
		return bindings.Save(tx, old)
	} else if err != nil && !errors.Is(err, factor.ErrNone) {
		return err
	}
	_, err := bindings.Add(tx, factor.Binding{
		Account: c.Account, Kind: Kind, Identifier: identifier(c.DER), Label: labelled(c.Name, c.Label), State: factor.Active, Payload: r.bytes(),
	})
	if errors.Is(err, factor.ErrTaken) {
		return nil // restored after a hold: the binding was never taken away, or is there again
	}
	return err
}

// replace marks the certificate whose place the new one takes.
func replace(tx *store.Tx, bindings *factor.Bindings, c ca.Certificate) error {
	if c.Replaces == "" {
		return nil
	}
	all, err := bindings.Of(tx, c.Account)
	if err != nil {
		return err
	}
	for _, b := range all {
		if b.Kind != Kind {
			continue
		}
		r, err := readRecord(b.Payload)
		if err != nil {
			return err
		}
		if r.Cert == c.Replaces && !r.Replaced {
			r.Replaced = true
			b.Payload = r.bytes()
			if err := bindings.Save(tx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// proves tells whether a certificate is for signing in here: those for the wireless
// network alone carry a pseudonym instead of a name.
func proves(c ca.Certificate) bool { return c.Profile != ca.WiFiPseudonym }

func labelled(name, label string) string {
	if label != "" {
		return label
	}
	return name
}

// Bring binds a certificate of another house before its first use, so that its person
// is asked for it. A certificate that does not count or leads to nobody is left alone,
// and so is one that was taken out of use, such as a lost one.
func Bring(tx *store.Tx, bindings *factor.Bindings, v trust.Verdict, leaf *x509.Certificate) error {
	return bring(tx, bindings, v, leaf, false)
}

// BringBack is Bring for a certificate that Unregister took out of use together with
// its card, which is in use again.
func BringBack(tx *store.Tx, bindings *factor.Bindings, v trust.Verdict, leaf *x509.Certificate) error {
	return bring(tx, bindings, v, leaf, true)
}

func bring(tx *store.Tx, bindings *factor.Bindings, v trust.Verdict, leaf *x509.Certificate, back bool) error {
	if v.Fault != nil || v.Foreign == "" || v.Account == "" {
		return nil
	}
	id := identifier(leaf.Raw)
	if _, err := bindings.ByIdentifier(tx, Kind, id); err == nil || !errors.Is(err, factor.ErrNone) {
		return err
	}
	old, err := bindings.Ever(tx, v.Account, Kind, id)
	switch {
	case errors.Is(err, factor.ErrNone):
		_, err = bindings.Add(tx, foreignBinding(v, leaf))
	case err == nil && back:
		err = bindings.Restore(tx, old.ID)
	}
	return err
}

// foreignBinding is the binding of a certificate of another house.
func foreignBinding(v trust.Verdict, leaf *x509.Certificate) factor.Binding {
	r := record{Foreign: v.Foreign, Keeps: keeps(v), Name: v.Name, Tail: v.Tail, NotBefore: leaf.NotBefore.Unix(), NotAfter: leaf.NotAfter.Unix()}
	return factor.Binding{
		ID: authn.NewID("bnd"), Account: v.Account, Kind: Kind, Identifier: identifier(leaf.Raw), Label: v.Name, State: factor.Active, Payload: r.bytes(),
	}
}

// Bound gives the binding of a certificate, whose ever it is, or factor.ErrNone; one that
// was removed when none is in use, for sessions may rest on it still. And it gives the name
// under which other rooms know a certificate of another house.
func Bound(tx *store.Tx, bindings *factor.Bindings, leaf *x509.Certificate) (b factor.Binding, name string, err error) {
	b, err = bindings.Ever(tx, "", Kind, identifier(leaf.Raw))
	return b, foreign + identifier(leaf.Raw), err
}

// Unregister takes a certificate out of use and returns the id of its binding, empty
// when there is none; a hook calls it in the transaction that revokes. A binding that its
// person removed before is returned too: sessions may rest on it still.
func Unregister(tx *store.Tx, bindings *factor.Bindings, c ca.Certificate) (string, error) {
	if len(c.DER) == 0 {
		return "", nil
	}
	b, err := bindings.Ever(tx, "", Kind, identifier(c.DER))
	switch {
	case errors.Is(err, factor.ErrNone):
		return "", nil
	case err != nil || b.State == factor.Removed:
		return b.ID, err
	}
	return b.ID, bindings.Remove(tx, b.ID)
}
