package ca

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"time"

	"seimon/internal/authn"
)

// State is where a certificate stands. That it has expired is a matter of the
// clock, and that it was replaced shows in ReplacedBy.
type State string

// The states of a certificate.
const (
	Intended State = "prepared" // serial and content are stored, nothing is signed yet
	Active   State = "active"
	Revoked  State = "revoked"
)

// Certificate is one row: what was ordered, and, once issued, the certificate.
type Certificate struct {
	ID      string // "cert_..."
	Issuer  string // "iss_..."
	Serial  string // upper-case hexadecimal of an even number of digits
	Profile string
	Account authn.AccountID
	Person  authn.PersonID
	Name    string // the common name, as people see it in choosers
	Label   string // the device as its owner calls it
	Device  string // "urn:uuid:..."
	Mail    string
	UPN     string
	Shard   int

	NotBefore, NotAfter time.Time
	Created, Issued     time.Time

	State      State
	Revoked    time.Time
	Reason     Reason
	Replaces   string
	ReplacedBy string
	Card       string // id of the card that holds the key, if any

	KeyHash []byte // SHA-256 of the SubjectPublicKeyInfo
	DER     []byte
}

// Tail is the last four hexadecimal digits of the serial, as "9D:86": what people
// compare when two certificates have the same name.
func (c Certificate) Tail() string { return TailOf(c.Serial) }

// TailOf gives the last four digits of a serial in hexadecimal.
func TailOf(serial string) string {
	for len(serial) < 4 {
		serial = "0" + serial
	}
	n := len(serial)
	return serial[n-4:n-2] + ":" + serial[n-2:]
}

// Parsed reads the certificate; nil before it is issued.
func (c Certificate) Parsed() *x509.Certificate {
	parsed, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return nil
	}
	return parsed
}

// Current tells whether the certificate can be used at a moment: issued, neither
// revoked nor replaced, and within its dates.
func (c Certificate) Current(at time.Time) bool {
	return c.State == Active && c.ReplacedBy == "" && !at.Before(c.NotBefore) && at.Before(c.NotAfter)
}

// KeyHash names a public key: the SHA-256 of its SubjectPublicKeyInfo.
func KeyHash(key crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return sum[:], nil
}

// Holder is for whom a certificate is made. What stands in it comes from here, never
// from what the holder sent.
type Holder struct {
	Account authn.AccountID
	Person  authn.PersonID
	Name    string // in letters that a certificate chooser shows
	Mail    string
	UPN     string
}

// Order asks for a certificate.
type Order struct {
	Profile  string
	Holder   Holder
	Key      crypto.PublicKey
	Label    string        // the device as its owner calls it
	Device   string        // "urn:uuid:..."; made when empty
	Card     string        // id of the card that holds the key
	Replaces string        // id of the certificate that this one is to follow
	Life     time.Duration // 0 = the profile's
}
