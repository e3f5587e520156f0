package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust/chain"
)

// read takes from a certificate what people see of it. It is not proved yet.
func read(c *x509.Certificate) Verdict {
	v := Verdict{Name: c.Subject.CommonName, Issuer: c.Issuer.CommonName, Serial: ca.SerialText(c.SerialNumber)}
	if v.Name == "" && len(c.EmailAddresses) > 0 {
		v.Name = c.EmailAddresses[0]
	}
	if v.Issuer == "" {
		v.Issuer = strings.Join(c.Issuer.Organization, " ")
	}
	v.Name, v.Issuer = short(v.Name), short(v.Issuer)
	v.Tail = ca.TailOf(v.Serial)
	return v
}

// short bounds what a stranger's certificate puts on our pages.
func short(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if r := []rune(text); len(r) > 80 {
		return string(r[:80])
	}
	return text
}

// facts are those of every fault of a certificate.
func (v Verdict) facts(more ...string) []string {
	return append([]string{"name", v.Name, "tail", v.Tail, "issuer", v.Issuer}, more...)
}

func (v Verdict) refused(code authn.Code, why string) Verdict {
	v.Fault = authn.NewFault(code, v.facts()...).Because(errors.New("trust: " + why))
	return v
}

func (v Verdict) revoked(at time.Time, reason string) Verdict {
	v.Fault = authn.NewFault("C4", v.facts("since", instant(at), "reason", reason)...)
	return v
}

// because turns the fault of a path into one for people.
func (v Verdict) because(leaf *x509.Certificate, failed error) Verdict {
	var e *chain.Error
	if !errors.As(failed, &e) {
		return v.refused("C7.chain", failed.Error())
	}
	mine := e.Certificate != nil && string(e.Certificate.Raw) == string(leaf.Raw)
	var f *authn.Fault
	switch {
	case e.Reason == chain.Expired && mine:
		f = authn.NewFault("C3", v.facts("until", instant(leaf.NotAfter))...)
	case e.Reason == chain.Early && mine:
		f = authn.NewFault("C3.early", v.facts("since", instant(leaf.NotBefore))...)
	case e.Reason == chain.Revoked && mine:
		f = authn.NewFault("C4", v.facts("since", instant(e.Since), "reason", reasonName(e.Code))...)
	case e.Reason == chain.Unanswered:
		f = authn.NewFault("C7.status", v.facts()...)
	case e.Reason == chain.Usage && mine:
		f = authn.NewFault(usageCode(leaf), v.facts()...)
	case e.Reason == chain.Weak && mine:
		f = authn.NewFault("C7.weak", v.facts()...)
	case e.Reason == chain.Unknown:
		f = authn.NewFault(unknownCode(leaf), v.facts()...)
	default:
		f = authn.NewFault("C7.chain", v.facts()...)
	}
	v.Fault = f.Because(failed)
	return v
}

// usageCode tells a server's certificate from other wrong ones.
func usageCode(c *x509.Certificate) authn.Code {
	if slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || len(c.DNSNames) > 0 {
		return "C7.server"
	}
	return "C7.usage"
}

// unknownCode says what kind of stranger it is.
func unknownCode(c *x509.Certificate) authn.Code {
	client := slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
	switch {
	case slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !client:
		return "C7.server"
	case string(c.RawSubject) == string(c.RawIssuer):
		return "C7.self"
	}
	return "C7.unknown"
}

// reasonName is the name of a reason code (RFC 5280 5.3.1).
func reasonName(code int) string {
	names := []string{
		"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
		"certificateHold", "", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
	}
	if code < 0 || code >= len(names) || names[code] == "" {
		return fmt.Sprint(code)
	}
	return names[code]
}
