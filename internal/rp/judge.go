package rp

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Refusal says why a party was not accepted.
type Refusal struct {
	Party, Field, Reason string
}

// Error names the party, the field and the reason.
func (r *Refusal) Error() string {
	return fmt.Sprintf("party %q: %s: %s", r.Party, r.Field, r.Reason)
}

func refuse(party, field, format string, args ...any) error {
	return &Refusal{Party: party, Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Limits of one party.
const (
	maxName         = 100 // characters
	maxRelease      = 64
	maxRegistration = 64 << 10 // bytes
)

var (
	idForm        = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~:/?=@+-]{0,254}$`)
	protocolForm  = regexp.MustCompile(`^[a-z][a-z0-9]{0,15}$`)
	tagForm       = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
	attributeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_;-]{0,63}$`)
	sectorForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:_-]{0,254}$`)
)

// judge checks what every party must fulfil and fills in what may be left out.
func (p *Party) judge() error {
	if !idForm.MatchString(p.ID) {
		return refuse(p.ID, "id", "must be 1 to 255 letters, digits or ._~:/?=@+- and begin with a letter or digit")
	}
	if !protocolForm.MatchString(p.Protocol) {
		return refuse(p.ID, "protocol", "must be the name of a protocol, for example oidc")
	}
	if p.Consent == "" {
		p.Consent = ConsentAsk
	}
	if p.Consent != ConsentAsk && p.Consent != ConsentInform && p.Consent != ConsentNone {
		return refuse(p.ID, "consent", "must be ask, inform or none, not %q", p.Consent)
	}
	if p.Sector != "" && !sectorForm.MatchString(p.Sector) {
		return refuse(p.ID, "sector", "must be a host name or a word, not %q", p.Sector)
	}
	if len(p.Registration) == 0 {
		p.Registration = json.RawMessage("{}")
	}
	if len(p.Registration) > maxRegistration || !json.Valid(p.Registration) {
		return refuse(p.ID, "registration", "must be a JSON object of at most %d bytes", maxRegistration)
	}
	for _, judge := range []func() error{p.judgeNames, p.judgeAddresses, p.judgeRelease} {
		if err := judge(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Party) judgeNames() error {
	if len(p.Names) == 0 {
		return refuse(p.ID, "names", "at least one name is needed")
	}
	for tag, name := range p.Names {
		if !tagForm.MatchString(string(tag)) {
			return refuse(p.ID, "names", "%q is not a language tag", tag)
		}
		unprintable := strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
		if strings.TrimSpace(name) == "" || utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name) || unprintable {
			return refuse(p.ID, "names", "the name in %q must be 1 to %d printable characters", tag, maxName)
		}
	}
	return nil
}

func (p *Party) judgeAddresses() error {
	for field, address := range map[string]string{"logo_url": p.LogoURL, "home_url": p.HomeURL} {
		if address == "" || field == "logo_url" && strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//") {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(address) > 2000 {
			return refuse(p.ID, field, "must be an https address, not %q", address)
		}
	}
	if p.Contact != "" {
		if a, err := mail.ParseAddress(p.Contact); err != nil || a.Address != p.Contact {
			return refuse(p.ID, "contact", "must be a mail address, not %q", p.Contact)
		}
	}
	return nil
}

func (p *Party) judgeRelease() error {
	if len(p.Release) > maxRelease {
		return refuse(p.ID, "release", "at most %d attributes", maxRelease)
	}
	seen := map[string]bool{}
	for _, r := range p.Release {
		if !attributeForm.MatchString(r.Attribute) {
			return refuse(p.ID, "release", "%q is not the name of an attribute", r.Attribute)
		}
		if seen[r.Attribute] {
			return refuse(p.ID, "release", "%q is named twice", r.Attribute)
		}
		seen[r.Attribute] = true
		if err := r.checkValues(); err != nil {
			return refuse(p.ID, "release", "%s: %v", r.Attribute, err)
		}
	}
	return nil
}
