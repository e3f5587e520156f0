package ca

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// altName is one subject alternative name.
type altName struct {
	kind, value string // mail, upn, uri; anything else keeps its tag as the kind
}

// altNames reads the names as they stand in the extension.
func altNames(cert *x509.Certificate) ([]altName, error) {
	var out []altName
	for _, e := range cert.Extensions {
		if !e.Id.Equal(oidSAN) {
			continue
		}
		var list []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &list); err != nil || len(rest) > 0 {
			return nil, errors.New("ca: the alternative names cannot be read")
		}
		for _, n := range list {
			name := altName{kind: fmt.Sprintf("tag %d", n.Tag), value: string(n.Bytes)}
			switch n.Tag {
			case 0:
				if upn, ok := principal(n.Bytes); ok {
					name = altName{"upn", upn}
				}
			case 1:
				name.kind = "mail"
			case 6:
				name.kind = "uri"
			}
			out = append(out, name)
		}
	}
	return out, nil
}

// principal reads the otherName of a user principal name.
func principal(der []byte) (string, bool) {
	var oid asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(der, &oid)
	if err != nil || !oid.Equal(oidUPN) {
		return "", false
	}
	var outer asn1.RawValue
	if rest, err = asn1.Unmarshal(rest, &outer); err != nil || len(rest) > 0 || outer.Tag != 0 {
		return "", false
	}
	var text string
	rest, err = asn1.UnmarshalWithParams(outer.Bytes, &text, "utf8")
	return text, err == nil && len(rest) == 0
}

func lintSerial(k *candidate) error {
	n := k.cert.SerialNumber
	if n.Sign() <= 0 || n.BitLen() < 64 || len(n.Bytes()) > 20 {
		return fmt.Errorf("serial %s is not positive, of at least 64 bits and at most 20 bytes", n)
	}
	return want("serial", SerialText(n), k.row.Serial)
}

func lintAlgorithm(k *candidate) error {
	return want("signature algorithm", k.cert.SignatureAlgorithm, signatureAlgorithm(k.issuer.PublicKey))
}

func lintValidity(k *candidate) error {
	switch c := k.cert; {
	case !c.NotBefore.Before(c.NotAfter):
		return errors.New("it ends before it begins")
	case c.NotBefore.Before(k.issuer.NotBefore) || c.NotAfter.After(k.issuer.NotAfter):
		return errors.New("it reaches beyond its issuer")
	case !c.NotBefore.Equal(k.row.NotBefore) || !c.NotAfter.Equal(k.row.NotAfter):
		return errors.New("its dates are not those of its row")
	case c.NotBefore.Nanosecond() != 0 || c.NotAfter.Sub(c.NotBefore) < time.Minute:
		return errors.New("its dates have fractions, or it lives less than a minute")
	}
	return nil
}

func lintSubject(k *candidate) error {
	if n := len(k.cert.Subject.Names); n != 1 {
		return fmt.Errorf("the subject has %d attributes, not a common name alone", n)
	}
	if n := utf8.RuneCountInString(k.cert.Subject.CommonName); n == 0 || n > maxName {
		return fmt.Errorf("the common name has %d characters, not 1 to %d", n, maxName)
	}
	return want("common name", k.cert.Subject.CommonName, k.row.Name)
}

func lintKey(k *candidate) error {
	if err := checkKey(k.cert.PublicKey, k.profile.Keys); err != nil {
		return err
	}
	hash, err := KeyHash(k.cert.PublicKey)
	if err != nil {
		return err
	}
	return want("key", string(hash), string(k.row.KeyHash))
}

// lintExtensions: each extension at most once, none beyond those that a profile can
// have, and critical only the key usage and the basic constraints.
func lintExtensions(k *candidate) error {
	known := []string{"2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.31", "2.5.29.32", "2.5.29.35", "2.5.29.37", "1.3.6.1.5.5.7.1.1"}
	var seen []string
	for _, e := range k.cert.Extensions {
		id := e.Id.String()
		switch {
		case slices.Contains(seen, id):
			return fmt.Errorf("extension %s stands twice", id)
		case !slices.Contains(known, id):
			return fmt.Errorf("extension %s belongs to no profile", id)
		case e.Critical != (id == "2.5.29.15" || id == "2.5.29.19"):
			return fmt.Errorf("extension %s has critical %t", id, e.Critical)
		}
		seen = append(seen, id)
	}
	return want("number of extensions", len(seen), len(known))
}

func lintKeyUsage(k *candidate) error {
	var due x509.KeyUsage
	for _, u := range k.profile.KeyUsage {
		due |= keyUsages()[u]
	}
	if _, ec := k.cert.PublicKey.(*ecdsa.PublicKey); ec && due&x509.KeyUsageKeyEncipherment != 0 {
		return errors.New("a key of an elliptic curve cannot encipher keys (RFC 8813 3)")
	}
	return want("key usage", k.cert.KeyUsage, due)
}

func lintNames(k *candidate) error {
	if len(k.names) == 0 {
		return errors.New("there are no alternative names")
	}
	due := map[string]string{"mail": k.row.Mail, "upn": k.row.UPN, "uri": k.row.Device}
	for _, n := range k.names {
		value, ok := due[n.kind]
		if !ok || value != n.value || value == "" {
			return fmt.Errorf("the name %q of kind %s is not the holder's", n.value, n.kind)
		}
		delete(due, n.kind)
	}
	return nil
}

func lintPurposes(k *candidate) error {
	if len(k.cert.ExtKeyUsage)+len(k.cert.UnknownExtKeyUsage) != len(k.profile.ExtendedKeyUsage) {
		return errors.New("the purposes are not those of the profile")
	}
	for _, u := range k.cert.ExtKeyUsage {
		if u != x509.ExtKeyUsageClientAuth && u != x509.ExtKeyUsageEmailProtection {
			return fmt.Errorf("purpose %d is not for people", u)
		}
	}
	for _, u := range k.cert.UnknownExtKeyUsage {
		if u.String() != extendedKeyUsages()["smartcardLogon"] {
			return fmt.Errorf("purpose %s is not for people", u)
		}
	}
	return nil
}

func lintList(k *candidate) error {
	if len(k.cert.CRLDistributionPoints) != 1 {
		return fmt.Errorf("%d addresses of lists, not one", len(k.cert.CRLDistributionPoints))
	}
	return plainHTTP(k.cert.CRLDistributionPoints[0])
}

func lintInformation(k *candidate) error {
	if len(k.cert.OCSPServer) != 1 || len(k.cert.IssuingCertificateURL) != 1 {
		return errors.New("there must be one address for answers and one for the issuer")
	}
	if err := want("address of answers", k.cert.OCSPServer[0], k.house.answerURL(k.row.Issuer)); err != nil {
		return err
	}
	if err := want("address of the issuer", k.cert.IssuingCertificateURL[0], k.house.issuerURL(k.row.Issuer)); err != nil {
		return err
	}
	return errors.Join(plainHTTP(k.cert.OCSPServer[0]), plainHTTP(k.cert.IssuingCertificateURL[0]))
}

// plainHTTP: what is needed to check a certificate must not itself need one.
func plainHTTP(address string) error {
	if !strings.HasPrefix(address, "http://") {
		return fmt.Errorf("the address %q is not plain HTTP", address)
	}
	return nil
}

func lintReadable(k *candidate) error {
	if !clean(k.row.Name) {
		return fmt.Errorf("the common name %q holds what cannot be seen", k.row.Name)
	}
	return nil
}

func lintSilent(k *candidate) error {
	if !k.profile.Pseudonymous() {
		return nil
	}
	if k.row.Mail != "" || k.row.UPN != "" || len(k.names) > 1 || !strings.HasSuffix(k.row.Name, "@"+k.house.cfg.Realm) {
		return errors.New("a pseudonymous certificate names somebody")
	}
	return nil
}

func lintDevice(k *candidate) error {
	if slices.Contains(k.profile.Names, "device") && !slices.Contains(k.names, altName{"uri", k.row.Device}) || !deviceForm.MatchString(k.row.Device) {
		return errors.New("the device is not named by a UUID")
	}
	return nil
}

func lintShard(k *candidate) error {
	if k.row.Shard < 1 || k.row.Shard > k.house.cfg.Shards {
		return fmt.Errorf("list %d is not from 1 to %d", k.row.Shard, k.house.cfg.Shards)
	}
	return want("address of the list", strings.Join(k.cert.CRLDistributionPoints, " "), k.house.listURL(k.row.Issuer, k.row.Shard))
}
