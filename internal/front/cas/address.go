package cas

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxService bounds the address of a service, in bytes.
const maxService = 2000

// plain reads the address of a service, and refuses every way of writing one that
// servers, proxies and browsers understand differently: user information, fragments,
// backslashes, control characters, dot segments, empty segments, encoded slashes,
// dots and backslashes, broken UTF-8, dots before path parameters, host names with odd letters or
// a dot at the end.
func plain(text string) (*url.URL, bool) {
	if text == "" || len(text) > maxService || strings.ContainsAny(text, "\\#") || strings.ContainsFunc(text, odd) {
		return nil, false
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || !goodHost(u) || !strings.HasPrefix(u.EscapedPath(), "/") {
		return nil, false
	}
	if !strings.HasPrefix(text, "https://"+u.Host+"/") { // the form that everybody reads alike
		return nil, false
	}
	path := strings.ToLower(u.EscapedPath())
	for _, bad := range []string{"%2f", "%5c", "%2e", "%00", "%25", "//"} {
		if strings.Contains(path, bad) {
			return nil, false
		}
	}
	decoded, err := url.PathUnescape(path)
	if err != nil || !utf8.ValidString(decoded) || strings.ContainsFunc(decoded, unicode.IsControl) { // overlong forms of dot and slash among them
		return nil, false
	}
	for segment := range strings.SplitSeq(decoded, "/") {
		name, _, _ := strings.Cut(segment, ";") // Java servers cut parameters first, then look for dots
		if name == "." || name == ".." {
			return nil, false
		}
	}
	return u, true
}

// carriesTicket tells whether an address brings a parameter that a service could take
// for the ticket: by any case, and behind either of the separators that servers know.
func carriesTicket(u *url.URL) bool {
	for part := range strings.FieldsFuncSeq(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if name = strings.TrimSpace(name); strings.EqualFold(name, "ticket") || strings.EqualFold(name, "SAMLart") {
			return true
		}
	}
	return false
}

// odd are the characters that no address has unless it is encoded.
func odd(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>^`{|}", r) }

func goodHost(u *url.URL) bool {
	host := u.Hostname()
	if host == "" || strings.HasPrefix(host, ".") || strings.HasSuffix(host, ".") || strings.HasSuffix(u.Host, ":") {
		return false
	}
	for _, r := range host {
		if !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == ':') {
			return false
		}
	}
	return true
}

// Address is one that a service may come from.
type Address struct {
	URL string `json:"url"`
	// Match is "exact", or "prefix": every address that begins with the path of URL,
	// which then ends with a slash. Scheme, host and port are always exact.
	Match string `json:"match,omitempty"`
}

// UnmarshalJSON also takes the text of an exact address alone.
func (a *Address) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &a.URL) == nil {
		a.Match = matchExact
		return nil
	}
	type plain Address
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode((*plain)(a))
}

const (
	matchExact  = "exact"
	matchPrefix = "prefix"
)

// covers tells whether a service's address is this one: the same text, byte for byte, or
// below the prefix.
func (a Address) covers(text string) bool {
	u, ok := plain(text)
	if !ok {
		return false
	}
	own, ok := plain(a.URL)
	if !ok || own.Host != u.Host {
		return false
	}
	if a.Match == matchPrefix {
		return strings.HasPrefix(u.EscapedPath(), own.EscapedPath())
	}
	return text == a.URL
}
