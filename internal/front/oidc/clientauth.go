package oidc

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"seimon/internal/authn"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// presented is how a request says which client it comes from.
type presented struct {
	id     string
	method string
	secret authn.Secret
	// assertion is a proof signed by the client (RFC 7523 2.2).
	assertion string
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 2.2

// present reads the client's proof. A request with proofs of two kinds is refused
// (RFC 6749 2.3): there is no "or" between methods.
func present(r *http.Request, p params) (presented, *refusal) {
	out := presented{id: p.get("client_id"), method: authNone}
	ways := 0
	if header := r.Header.Values("Authorization"); len(header) > 0 {
		id, secret, ok := parseBasic(header)
		if !ok {
			return out, &refusal{code: errInvalidClient, text: "the Authorization header is not well formed", basic: true}
		}
		if out.id != "" && out.id != id {
			return out, refuse(errInvalidRequest, "client_id and the Authorization header name different clients")
		}
		out.id, out.method, out.secret = id, authBasic, authn.Secret(secret)
		ways++
	}
	if secret := p.get("client_secret"); secret != "" {
		out.method, out.secret = authPost, authn.Secret(secret)
		ways++
	}
	if p.get("client_assertion") != "" || p.get("client_assertion_type") != "" {
		if p.get("client_assertion_type") != assertionType {
			return out, refuse(errInvalidClient, "client_assertion_type is not known")
		}
		out.method, out.assertion = authJWT, p.get("client_assertion")
		if out.id == "" {
			out.id = issuerOf(out.assertion)
		}
		ways++
	}
	switch {
	case ways > 1:
		return out, refuse(errInvalidRequest, "the client proves itself in more than one way")
	case out.id == "":
		return out, refuse(errInvalidClient, "the client is not named")
	}
	return out, nil
}

// parseBasic reads HTTP Basic credentials whose parts are form-encoded
// (RFC 6749 2.3.1, RFC 7617 2).
func parseBasic(header []string) (id, secret string, ok bool) {
	if len(header) != 1 || len(header[0]) > 3*maxURI {
		return "", "", false
	}
	scheme, encoded, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(raw), ":")
	if !ok {
		return "", "", false
	}
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	ok = errID == nil && errSecret == nil && id != "" && utf8.ValidString(id) && !strings.ContainsRune(id, 0)
	return id, secret, ok
}

// clientProof is a client's proof that was right. use must be called in the transaction
// that acts on it: a signed assertion serves once (RFC 7523 3).
type clientProof struct {
	client string
	jti    []byte
	until  time.Time
}

// use spends an assertion. A refusal says that it was used before.
func (p *clientProof) use(tx *store.Tx) (*refusal, error) {
	if p.jti == nil {
		return nil, nil
	}
	n, err := tx.Exec("INSERT INTO oidc_assertion (client, jti, until) VALUES ($1, $2, $3) ON CONFLICT (client, jti) DO NOTHING",
		p.client, p.jti, store.Millis(p.until))
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return refuse(errInvalidClient, "the client assertion was used before"), nil
	}
	return nil, nil
}

// authenticate finds and proves the client of a request to a machine endpoint.
func (f *Front) authenticate(r *http.Request, p params) (c *client, proof *clientProof, no *refusal, err error) {
	shown, no := present(r, p)
	if no != nil {
		return nil, nil, no, nil
	}
	err = f.DB.Glance(r.Context(), func(tx *store.Tx) error {
		c, proof, no, err = f.prove(tx, shown, r.URL.Path)
		return err
	})
	if no != nil && no.skew != nil {
		no.text = f.wrongClock(r.Context(), c, no.skew)
	}
	if no != nil {
		c = nil
	}
	return c, proof, no, err
}

// prove checks a client's proof by exactly the method that it registered. All
// failures look the same, but for a wrong clock beside a right signature.
func (f *Front) prove(tx *store.Tx, shown presented, path string) (*client, *clientProof, *refusal, error) {
	wrong := &refusal{code: errInvalidClient, text: "the client is unknown or did not prove itself", basic: shown.method == authBasic}
	c, err := f.client(tx, shown.id)
	if errors.Is(err, rp.ErrNone) {
		return nil, nil, wrong, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if c.AuthMethod != shown.method {
		return nil, nil, wrong, nil
	}
	switch shown.method {
	case authNone:
		return c, &clientProof{}, nil, nil
	case authJWT:
		proof, skew := f.openAssertion(c, shown.assertion, path)
		if proof == nil {
			wrong.skew = skew
			return c, nil, wrong, nil
		}
		return c, proof, nil, nil
	default:
		if !c.knows(shown.secret) {
			return nil, nil, wrong, nil
		}
		return c, &clientProof{}, nil, nil
	}
}

// knows compares a secret with those registered, in constant time.
func (c *client) knows(secret authn.Secret) bool {
	if secret == "" {
		return false
	}
	hash := authn.HashToken(secret.Reveal())
	right := 0
	for _, known := range c.secrets {
		right |= subtle.ConstantTimeCompare(hash, known)
	}
	return right == 1
}
