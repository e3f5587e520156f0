package oidc

import (
	"slices"
	"strconv"
	"time"

	strict "github.com/go-jose/go-jose/v4/json"
)

// leeway is how far a client's clock may be off.
const leeway = time.Minute

// readRequestObject checks a signed request object and gives the parameters in it
// (RFC 9101 6). The answer does not tell which check failed.
func (f *Front) readRequestObject(c *client, object string) (params, *refusal) {
	if len(c.keys) == 0 {
		return params{}, refuse(errNoRequestObject, "this client has registered no keys to sign requests with")
	}
	typ, payload, err := openPeer(c, c.RequestObjectAlg, object)
	if err != nil {
		return params{}, refuse(errInvalidRequestObject, "the request object is not signed by this client with an algorithm that is accepted")
	}
	if typ != "" && typ != typeRequest && typ != "JWT" { // RFC 8725 3.11
		return params{}, refuse(errInvalidRequestObject, "the type of the request object is not "+typeRequest)
	}
	members := map[string]strict.RawMessage{}
	if err := strict.Unmarshal(payload, &members); err != nil {
		return params{}, refuse(errInvalidRequestObject, "the request object is not a JSON object")
	}
	if !f.meant(c, members) {
		return params{}, refuse(errInvalidRequestObject, "iss, aud or client_id of the request object do not fit")
	}
	if no := f.timely(members); no != nil {
		return params{}, no
	}
	return objectParams(members)
}

// meant tells whether the claims around the parameters fit (RFC 9101 5, 10.8).
func (f *Front) meant(c *client, members map[string]strict.RawMessage) bool {
	text := func(name string) (s string, present bool) {
		raw, present := members[name]
		if present && strict.Unmarshal(raw, &s) != nil {
			return "\x00", true
		}
		return s, present
	}
	if iss, _ := text("iss"); iss != c.ID {
		return false
	}
	if id, present := text("client_id"); present && id != c.ID {
		return false
	}
	// An assertion that proves the client must not pass for a request.
	if sub, present := text("sub"); present && sub == c.ID {
		return false
	}
	var aud audience
	if strict.Unmarshal(members["aud"], &aud) != nil || !slices.Contains(aud, f.issuer) {
		return false
	}
	return true
}

// timely checks the times of a request object (RFC 7519 4.1.4 to 4.1.6).
func (f *Front) timely(members map[string]strict.RawMessage) *refusal {
	no := refuse(errInvalidRequestObject, "the times of the request object do not fit")
	var t times
	for name, at := range map[string]**seconds{"exp": &t.expires, "nbf": &t.notBefore, "iat": &t.issued} {
		raw, present := members[name]
		if !present {
			continue
		}
		if *at = new(seconds); strict.Unmarshal(raw, *at) != nil {
			return no
		}
	}
	now := f.DB.Now()
	early := func(s *seconds) bool { return s != nil && now.Before(s.time().Add(-leeway)) }
	if early(t.issued) || early(t.notBefore) || t.expires != nil && !now.Before(t.expires.time().Add(leeway)) {
		no.skew = skewOf("request object", t, now)
		return no
	}
	return nil
}

// time turns a NumericDate into a time; what lies beyond any calendar becomes
// the beginning of time, which fits nothing.
func (s seconds) time() time.Time {
	if s < 0 || s > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0)
}

// objectParams gives the parameters of a request object. Numbers become their
// digits and objects their text, as they would be in a query.
func objectParams(members map[string]strict.RawMessage) (params, *refusal) {
	p := params{values: map[string]string{}}
	known := sizes()
	for name, raw := range members {
		most, ok := known[name]
		if !ok || name == "request" || name == "request_uri" { // RFC 9101 4
			continue
		}
		text, ok := plain(raw)
		switch {
		case !ok:
			return params{}, refuse(errInvalidRequestObject, "the member "+name+" of the request object is of the wrong type")
		case len(text) > most:
			return params{}, refuse(errInvalidRequestObject, "the member "+name+" of the request object is too long")
		case text != "":
			p.values[name] = text
		}
	}
	return p, nil
}

func plain(raw strict.RawMessage) (string, bool) {
	var text string
	if strict.Unmarshal(raw, &text) == nil {
		return text, true
	}
	var number int64
	if strict.Unmarshal(raw, &number) == nil {
		return strconv.FormatInt(number, 10), true
	}
	var object map[string]strict.RawMessage
	if strict.Unmarshal(raw, &object) == nil {
		return string(raw), true
	}
	return "", false
}
