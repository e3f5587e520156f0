package ca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// rule is one thing that a certificate must fulfil before the real key signs it.
type rule struct {
	name   string // rfc_* and campus_*, as findings show it
	clause string // where it stands
	check  func(k *candidate) error
}

// candidate is a certificate with a throw-away signature, and what it should say.
type candidate struct {
	cert    *x509.Certificate
	row     Certificate
	profile Profile
	issuer  *x509.Certificate
	house   *Authority
	names   []altName
}

// lint judges what would be signed by every rule. The error names all that are broken.
func (a *Authority) lint(profile Profile, p *Prepared) error {
	k := &candidate{cert: p.trial, row: p.certificate, profile: profile, issuer: p.issuer.certificate, house: a}
	var err error
	if k.names, err = altNames(p.trial); err != nil {
		return err
	}
	var wrong []error
	for _, r := range rules() {
		if err := r.check(k); err != nil {
			wrong = append(wrong, fmt.Errorf("%s (%s): %w", r.name, r.clause, err))
		}
	}
	return errors.Join(wrong...)
}

// LintRules names every rule with its clause, for the manual and the curious.
func LintRules() []string {
	var out []string
	for _, r := range rules() {
		out = append(out, r.name+" ("+r.clause+")")
	}
	return out
}

func rules() []rule {
	return []rule{
		{"rfc_version", "RFC 5280 4.1.2.1", func(k *candidate) error { return want("version", k.cert.Version, 3) }},
		{"rfc_serial", "RFC 5280 4.1.2.2", lintSerial},
		{"rfc_signature_algorithm", "RFC 5280 4.1.2.3", lintAlgorithm},
		{"rfc_issuer_name", "RFC 5280 4.1.2.4", func(k *candidate) error {
			return want("issuer", string(k.cert.RawIssuer), string(k.issuer.RawSubject))
		}},
		{"rfc_validity", "RFC 5280 4.1.2.5", lintValidity},
		{"rfc_subject", "RFC 5280 4.1.2.6", lintSubject},
		{"rfc_key", "RFC 5480 2.2, RFC 3279 2.3", lintKey},
		{"rfc_extensions_once", "RFC 5280 4.2", lintExtensions},
		{"rfc_authority_key", "RFC 5280 4.2.1.1", func(k *candidate) error {
			return want("authority key identifier", string(k.cert.AuthorityKeyId), string(k.issuer.SubjectKeyId))
		}},
		{"rfc_subject_key", "RFC 5280 4.2.1.2", func(k *candidate) error {
			return want("subject key identifier", string(k.cert.SubjectKeyId), string(k.row.KeyHash[:20]))
		}},
		{"rfc_key_usage", "RFC 5280 4.2.1.3", lintKeyUsage},
		{"rfc_policies", "RFC 5280 4.2.1.4", func(k *candidate) error {
			return want("number of policies", len(k.cert.Policies), 1)
		}},
		{"rfc_alternative_names", "RFC 5280 4.2.1.6", lintNames},
		{"rfc_not_an_issuer", "RFC 5280 4.2.1.9", func(k *candidate) error {
			return want("basic constraints, CA", k.cert.IsCA, false)
		}},
		{"rfc_purposes", "RFC 5280 4.2.1.12", lintPurposes},
		{"rfc_list_address", "RFC 5280 4.2.1.13", lintList},
		{"rfc_authority_information", "RFC 5280 4.2.2.1", lintInformation},
		{"campus_common_name_readable", "docs/certificates.md", lintReadable},
		{"campus_pseudonym_silent", "docs/certificates.md", lintSilent},
		{"campus_device_identified", "docs/certificates.md", lintDevice},
		{"campus_policy_of_profile", "docs/certificates.md", func(k *candidate) error {
			return want("policy", fmt.Sprint(k.cert.Policies), "["+k.house.Policy(k.profile.Assurance)+"]")
		}},
		{"campus_shard_fixed", "docs/certificates.md", lintShard},
		{"campus_life", "docs/certificates.md", func(k *candidate) error {
			if life := k.cert.NotAfter.Sub(k.cert.NotBefore); life > k.profile.Life() {
				return fmt.Errorf("it lives %v, longer than the profile's %v", life, k.profile.Life())
			}
			return nil
		}},
	}
}

// want compares one property.
func want[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %q, not %q", what, fmt.Sprint(got), fmt.Sprint(want))
	}
	return nil
}

// clean tells whether a text can be shown beside others without deceiving: no
// control, no direction marks, nothing invisible.
func clean(text string) bool {
	return printable(text) && !strings.ContainsAny(text, "\u00ad\u200b\u200c\u200d\u2060\ufeff")
}
