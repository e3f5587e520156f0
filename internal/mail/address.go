package mail

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addressMax is the greatest length of an address in bytes (RFC 5321, 4.5.3.1.3,
// without the angle brackets).
const addressMax = 254

// address checks that text is one plain address and nothing else.
func address(text string) (string, error) {
	if len(text) > addressMax || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`<>"(),:;\`, r) }) {
		return "", ErrAddress
	}
	parsed, err := mail.ParseAddress(text)
	if err != nil || parsed.Address != text || parsed.Name != "" {
		return "", ErrAddress
	}
	_, domain, _ := strings.Cut(text, "@")
	if strings.HasPrefix(domain, "[") || !strings.Contains(domain, ".") && domain != "localhost" {
		return "", ErrAddress
	}
	return text, nil
}

// MaskAddress shows an address so that its owner recognises it and others learn
// little: t***@example.ac.jp.
func MaskAddress(addr string) string {
	local, domain, ok := cutLast(addr)
	if !ok {
		return "***"
	}
	first, size := utf8.DecodeRuneInString(local)
	if size == len(local) || first == utf8.RuneError || !unicode.IsPrint(first) {
		return "***@" + domain
	}
	return string(first) + "***@" + domain
}

func cutLast(addr string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return "", "", false
	}
	return addr[:i], addr[i+1:], true
}
