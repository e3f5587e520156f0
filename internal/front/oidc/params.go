package oidc

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// params are the parameters of a request. A parameter without a value counts as
// left out (RFC 6749 3.1), and those we do not know are ignored.
type params struct {
	values   map[string]string
	repeated []string // sent more than once
	long     []string // longer than we take, or not text
}

// sizes bounds each parameter that we know, in bytes.
func sizes() map[string]int {
	return map[string]int{
		"client_id": 255, "redirect_uri": maxURI, "response_type": 100, "response_mode": 100, "scope": 2000,
		"state": 4096, "nonce": 2048, "display": 100, "prompt": 100, "max_age": 20, "ui_locales": 256,
		"claims_locales": 256, "id_token_hint": maxJWS, "login_hint": 320, "acr_values": 1000, "claims": 8192,
		"request": maxJWS, "request_uri": maxURI, "code_challenge": 128, "code_challenge_method": 16,

		"grant_type": 100, "code": 256, "code_verifier": 128, "refresh_token": 256, "client_secret": maxURI,
		"client_assertion": maxJWS, "client_assertion_type": 100, "token": 4096, "token_type_hint": 100,
		"access_token": 4096, "post_logout_redirect_uri": maxURI, "logout_hint": 320,
	}
}

func readParams(from url.Values) params {
	p := params{values: map[string]string{}}
	known := sizes()
	for name, values := range from {
		most, ok := known[name]
		if !ok {
			continue
		}
		values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
		switch {
		case len(values) == 0:
			continue
		case len(values) > 1: // RFC 6749 3.1, 3.2
			p.repeated = append(p.repeated, name)
		case len(values[0]) > most || !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0):
			p.long = append(p.long, name)
		}
		p.values[name] = values[0]
	}
	slices.Sort(p.repeated)
	slices.Sort(p.long)
	return p
}

func (p params) get(name string) string { return p.values[name] }

// flawed tells whether one of the named parameters cannot be believed.
func (p params) flawed(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return slices.Contains(p.repeated, n) || slices.Contains(p.long, n)
	})
}

// refusal names the first parameter that is repeated or too long.
func (p params) refusal() *refusal {
	if len(p.repeated) > 0 {
		return refuse(errInvalidRequest, "the parameter "+p.repeated[0]+" is sent more than once")
	}
	if len(p.long) > 0 {
		return refuse(errInvalidRequest, "the parameter "+p.long[0]+" is too long or no text")
	}
	return nil
}

// formParams reads the body of a request to a machine endpoint (RFC 6749 3.2);
// parameters in the query are ignored.
func formParams(r *http.Request) (params, *refusal) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return params{}, refuse(errInvalidRequest, "the body must be application/x-www-form-urlencoded")
	}
	if err := r.ParseForm(); err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return params{}, refuse(errInvalidRequest, "the body is too large")
		}
		return params{}, refuse(errInvalidRequest, "the body or the query is not well formed")
	}
	p := readParams(r.PostForm)
	return p, p.refusal()
}
