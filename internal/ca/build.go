package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// backdate is how far before its making a certificate begins, for devices whose
// clock is behind.
const backdate = 10 * time.Minute

// newSerial gives a positive serial of 16 bytes with 126 random bits (RFC 5280
// 4.1.2.2). It owes nothing to a clock or a counter.
func newSerial() *big.Int {
	raw := make([]byte, 16)
	rand.Read(raw) //nolint:errcheck // never fails (crypto/rand.Read)
	raw[0] = raw[0]&0x7f | 0x40
	return new(big.Int).SetBytes(raw)
}

// SerialText writes a serial as it is stored and looked up: upper-case hexadecimal
// of an even number of digits.
func SerialText(n *big.Int) string {
	if n.Sign() <= 0 {
		return "00"
	}
	return strings.ToUpper(hex.EncodeToString(n.Bytes()))
}

// newUUID is a random UUID (RFC 9562 5.4).
func newUUID() [16]byte {
	var u [16]byte
	rand.Read(u[:]) //nolint:errcheck // never fails (crypto/rand.Read)
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// uuidURN writes a UUID as a URN (RFC 9562 4).
func uuidURN(u [16]byte) string {
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// maxName is the greatest length of a common name (RFC 5280, ub-common-name).
const maxName = 64

// commonName fills in a profile's pattern. What is too long loses from its label
// first, then from the name, so that the year always stands.
func (a *Authority) commonName(p Profile, h Holder, label string, now time.Time) string {
	name := h.Name
	year := strconv.Itoa(now.In(a.cfg.Zone).Year())
	if strings.HasSuffix(label, year) {
		label = strings.TrimSpace(strings.TrimSuffix(label, year))
	}
	raw := make([]byte, 12)
	rand.Read(raw) //nolint:errcheck // never fails (crypto/rand.Read)
	pseudonym := base64.RawURLEncoding.EncodeToString(raw)
	for {
		out := strings.NewReplacer("{name}", name, "{label}", label, "{year}", year, "{pseudonym}", pseudonym, "{realm}", a.cfg.Realm).Replace(p.CommonName)
		out = strings.Join(strings.Fields(out), " ")
		over := utf8.RuneCountInString(out) - maxName
		switch {
		case over <= 0:
			return out
		case utf8.RuneCountInString(label) > 8:
			label = shorter(label, max(8, utf8.RuneCountInString(label)-over))
		case utf8.RuneCountInString(name) > 8:
			name = shorter(name, max(8, utf8.RuneCountInString(name)-over))
		default:
			return shorter(out, maxName)
		}
	}
}

func shorter(text string, n int) string {
	return strings.TrimSpace(string([]rune(text)[:min(n, utf8.RuneCountInString(text))]))
}

// Addresses written into certificates, and served by ca/status.

// listURL is where a list of an issuer lies (RFC 5280 4.2.1.13).
func (a *Authority) listURL(issuer string, shard int) string {
	return fmt.Sprintf("%s/crl/%s/%d.crl", a.cfg.Base, issuer, shard)
}

func (a *Authority) answerURL(issuer string) string { return a.cfg.Base + "/ocsp/" + issuer }

func (a *Authority) issuerURL(issuer string) string { return a.cfg.Base + "/ca/" + issuer + ".cer" }

var (
	oidSAN       = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidUPN       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
	tagContext   = asn1.ClassContextSpecific
	errNoSubject = fmt.Errorf("ca: the subject has no name")
)

// alternativeNames writes the SAN extension: rfc822Name, the otherName of a user
// principal name, and the URI of the device (RFC 5280 4.2.1.6).
func alternativeNames(p Profile, c Certificate) (pkix.Extension, error) {
	var names []asn1.RawValue
	for _, kind := range p.Names {
		switch {
		case kind == "mail" && c.Mail != "":
			names = append(names, asn1.RawValue{Class: tagContext, Tag: 1, Bytes: []byte(c.Mail)})
		case kind == "upn" && c.UPN != "":
			text, err := asn1.MarshalWithParams(c.UPN, "utf8")
			if err != nil {
				return pkix.Extension{}, err
			}
			oid, err := asn1.Marshal(oidUPN)
			if err != nil {
				return pkix.Extension{}, err
			}
			value, err := asn1.Marshal(asn1.RawValue{Class: tagContext, Tag: 0, IsCompound: true, Bytes: text})
			if err != nil {
				return pkix.Extension{}, err
			}
			names = append(names, asn1.RawValue{Class: tagContext, Tag: 0, IsCompound: true, Bytes: append(oid, value...)})
		case kind == "device":
			names = append(names, asn1.RawValue{Class: tagContext, Tag: 6, Bytes: []byte(c.Device)})
		}
	}
	value, err := asn1.Marshal(names)
	return pkix.Extension{Id: oidSAN, Value: value}, err
}

// signatureAlgorithm is the one way each kind of issuer key signs.
func signatureAlgorithm(key crypto.PublicKey) x509.SignatureAlgorithm {
	if k, ok := key.(*ecdsa.PublicKey); ok {
		if k.Curve == elliptic.P384() {
			return x509.ECDSAWithSHA384
		}
		return x509.ECDSAWithSHA256
	}
	return x509.SHA256WithRSA
}

// template writes what stands in a certificate of a person. Nothing of it comes from
// a request but the key.
func (a *Authority) template(p Profile, c Certificate, serial *big.Int) (*x509.Certificate, error) {
	if c.Name == "" {
		return nil, errNoSubject
	}
	san, err := alternativeNames(p, c)
	if err != nil {
		return nil, err
	}
	policy, err := x509.ParseOID(a.Policy(p.Assurance))
	if err != nil {
		return nil, fmt.Errorf("ca: the policy of %s: %w", p.Assurance, err)
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: c.Name},
		NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		BasicConstraintsValid: true,
		ExtraExtensions:       []pkix.Extension{san},
		Policies:              []x509.OID{policy},
		CRLDistributionPoints: []string{a.listURL(c.Issuer, c.Shard)},
		OCSPServer:            []string{a.answerURL(c.Issuer)},
		IssuingCertificateURL: []string{a.issuerURL(c.Issuer)},
		SubjectKeyId:          c.KeyHash[:20], // RFC 7093 2, method 4, cut to 160 bits
	}
	for _, u := range p.KeyUsage {
		t.KeyUsage |= keyUsages()[u]
	}
	for _, u := range p.ExtendedKeyUsage {
		oid, err := x509.ParseOID(extendedKeyUsages()[u])
		if err != nil {
			return nil, err
		}
		var plain asn1.ObjectIdentifier
		for _, n := range strings.Split(oid.String(), ".") {
			v, err := strconv.Atoi(n)
			if err != nil {
				return nil, err
			}
			plain = append(plain, v)
		}
		t.UnknownExtKeyUsage = append(t.UnknownExtKeyUsage, plain)
	}
	return t, nil
}

// trialOf makes the certificate with the issuer's throw-away key. Everything but the
// signature is what the real key will sign.
func (s *signing) trialOf(t *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	trial, err := s.trialSigner()
	if err != nil {
		return nil, err
	}
	stand := *s.certificate
	stand.PublicKey = trial.Public()
	t.SignatureAlgorithm = signatureAlgorithm(s.certificate.PublicKey)
	der, err := x509.CreateCertificate(rand.Reader, t, &stand, key, trial)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// certificateASN is the outer form of a certificate (RFC 5280 4.1).
type certificateASN struct {
	TBS       asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// sealTBS signs the bytes that were linted, with the algorithm they name.
func sealTBS(signer crypto.Signer, trial *x509.Certificate) ([]byte, error) {
	hash := crypto.SHA256
	if trial.SignatureAlgorithm == x509.ECDSAWithSHA384 {
		hash = crypto.SHA384
	}
	h := hash.New()
	h.Write(trial.RawTBSCertificate)
	signature, err := signer.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		return nil, err
	}
	var form certificateASN
	if _, err := asn1.Unmarshal(trial.Raw, &form); err != nil {
		return nil, err
	}
	form.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return asn1.Marshal(form)
}
