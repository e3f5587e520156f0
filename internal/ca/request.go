package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"

	"seimon/internal/authn"
)

// maxRequest bounds a request in bytes; one with an RSA-4096 key takes 2 kB.
const maxRequest = 16 << 10

// ParseRequest reads a PKCS#10 request (RFC 2986), PEM or DER. Its self-signature
// must be right: it proves that the sender has the private key. Nothing else of it is
// ever used: neither its names nor its extensions. A request that asks to become an
// issuer is refused all the same. The fault is C9.form or C9.key.
func ParseRequest(text []byte) (*x509.CertificateRequest, error) {
	refuse := func(reason string, err error) (*x509.CertificateRequest, error) {
		return nil, authn.NewFault("C9.form", "reason", reason).Because(err)
	}
	if len(text) > maxRequest {
		return refuse("size", errors.New("ca: the request is too large"))
	}
	der, err := requestBytes(text)
	if err != nil {
		return refuse("form", err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return refuse("form", err)
	}
	if err := checkKey(r.PublicKey, keyKinds()); err != nil {
		return nil, err
	}
	if err := r.CheckSignature(); err != nil {
		return refuse("proof", err)
	}
	if err := ambitious(r); err != nil {
		return refuse("asked", err)
	}
	return r, nil
}

// requestBytes takes the request out of its PEM, if it has one.
func requestBytes(text []byte) ([]byte, error) {
	if len(text) > 0 && text[0] == 0x30 { // a SEQUENCE
		return text, nil
	}
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, errors.New("ca: no PEM block")
	}
	if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" { // RFC 7468 7
		return nil, errors.New("ca: the PEM block holds something else than a request")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("ca: something follows the request")
	}
	return block.Bytes, nil
}

var (
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidNameConstraints  = asn1.ObjectIdentifier{2, 5, 29, 30}
)

// ambitious refuses requests for the powers of an issuer. They would not be granted;
// whoever asks for them should know at once.
func ambitious(r *x509.CertificateRequest) error {
	for _, e := range r.Extensions {
		switch {
		case e.Id.Equal(oidBasicConstraints):
			var b struct {
				CA      bool `asn1:"optional"`
				PathLen int  `asn1:"optional,default:-1"`
			}
			if rest, err := asn1.Unmarshal(e.Value, &b); err != nil || len(rest) > 0 || b.CA {
				return errors.New("ca: the request asks for an issuer's certificate")
			}
		case e.Id.Equal(oidKeyUsage):
			var u asn1.BitString
			if rest, err := asn1.Unmarshal(e.Value, &u); err != nil || len(rest) > 0 || u.At(5) == 1 || u.At(6) == 1 {
				return errors.New("ca: the request asks for the key usages of an issuer")
			}
		case e.Id.Equal(oidNameConstraints):
			return errors.New("ca: the request asks for name constraints")
		}
	}
	return nil
}
