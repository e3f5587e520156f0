package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// secure sets what every answer carries.
func (s *Site) secure(h http.Header, id string) {
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // not "no-referrer": that would make browsers send "Origin: null" with our own forms
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	if s.origin.Scheme == "https" {
		h.Set("Strict-Transport-Security", "max-age=31536000") // RFC 6797
	}
}

// securePage sets what a page carries on top. images and targets are extra sources
// of pictures and extra destinations of forms; asks lets scripts ask this site.
func securePage(h http.Header, images, targets []string, asks bool) {
	policy := []string{
		"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'",
		"script-src 'self'", "style-src 'self'", "require-trusted-types-for 'script'",
		"img-src " + strings.Join(append([]string{"'self'"}, images...), " "),
		"form-action " + strings.Join(append([]string{"'self'"}, targets...), " "),
	}
	if asks {
		policy = append(policy, "connect-src 'self'")
	}
	h.Set("Content-Security-Policy", strings.Join(policy, "; "))
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
}

// sources turns addresses into CSP sources: the origin of a web address, the scheme
// of any other ("https:" and "com.example.app:" may be given alone). What cannot be
// said in CSP is left out, so the page stays closed to it.
func sources(addresses []string) []string {
	var out []string
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || u.Scheme == "" || u.Scheme == "javascript" || u.Scheme == "data" {
			continue
		}
		source := u.Scheme + ":"
		if web := u.Scheme == "https" || u.Scheme == "http"; web && u.Host != "" {
			source += "//" + u.Host
		} else if web && address != source {
			continue
		}
		if strings.ContainsAny(source, " ;,'\"*\t\r\n") || !ascii(source) || slices.Contains(out, source) {
			continue
		}
		out = append(out, source)
	}
	return out
}

// ascii tells whether a text may stand in a header as it is.
func ascii(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
