package directory

import (
	"fmt"
	"net/mail"
	"strings"
)

// CheckMail tells why a text cannot be a mail address that we would write to, or
// returns its clean form; the empty text stays empty. Only the plain form
// "local@domain" of RFC 5321 is taken: no names, comments or quoted parts.
func CheckMail(address string) (string, error) {
	address = strings.TrimSpace(address)
	if address == "" {
		return "", nil
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || parsed.Name != "" || len(address) > 254 ||
		strings.ContainsAny(address, "\"<>()[]\\,;: \t\r\n") {
		return "", fmt.Errorf("%q is not a mail address", address)
	}
	local, domain, _ := strings.Cut(address, "@")
	if local == "" || !strings.Contains(domain, ".") || strings.HasSuffix(domain, ".") {
		return "", fmt.Errorf("%q is not a mail address", address)
	}
	return address, nil
}
