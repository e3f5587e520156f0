package oidc

import (
	"errors"
	"sync"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
	strict "github.com/go-jose/go-jose/v4/json"

	"seimon/internal/keyring"
)

// The types in the headers of what we sign and read.
const (
	typeIDToken = "JWT"
	typeLogout  = "logout+jwt"          // OIDC Back-Channel Logout 2.4
	typeRequest = "oauth-authz-req+jwt" // RFC 9101 10.8
)

// maxJWS bounds a signed text from outside, in bytes.
const maxJWS = 16 << 10

// idTokenAlgs are the algorithms that we sign with.
func idTokenAlgs() []string { return keyring.Algorithms() }

// ownAlgs are the same, for checking what we signed earlier.
func ownAlgs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{jose.ES256, jose.RS256} }

// peerAlgs are the algorithms that clients may sign with. Neither "none" nor a
// keyed hash is among them, so a public key never serves as a shared secret
// (RFC 8725 2.1, 3.1).
func peerAlgs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256}
}

func algNames(algs []jose.SignatureAlgorithm) []string {
	var out []string
	for _, a := range algs {
		out = append(out, string(a))
	}
	return out
}

// signers keeps one ready signer for each key and type.
type signers struct{ ready sync.Map }

// sign makes a compact JWS of claims. Never call it inside a transaction.
func (s *signers) sign(ring *keyring.Ring, alg, typ string, claims any) (string, error) {
	key, err := ring.Signer(alg)
	if err != nil {
		return "", err
	}
	signer, err := s.of(key, typ)
	if err != nil {
		return "", err
	}
	payload, err := strict.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (s *signers) of(key keyring.SigningKey, typ string) (jose.Signer, error) {
	name := key.ID + " " + typ
	if ready, ok := s.ready.Load(name); ok {
		return ready.(jose.Signer), nil
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(key.Algorithm),
		Key:       jose.JSONWebKey{Key: cryptosigner.Opaque(key.Key), KeyID: key.ID},
	}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return nil, err
	}
	s.ready.Store(name, signer)
	return signer, nil
}

// errSignature says that a signed text is not to be believed. It tells no more.
var errSignature = errors.New("the signature or its form is not valid")

// openPeer checks a JWS that a client signed and gives its type and payload. alg,
// when not empty, is the one algorithm that the client registered.
func openPeer(c *client, alg, text string) (typ string, payload []byte, err error) {
	algs := peerAlgs()
	if alg != "" {
		algs = []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)}
	}
	return openJWS(text, algs, c.keys)
}

// openOwn checks a JWS that we signed ourselves, with any key still published.
func openOwn(ring *keyring.Ring, text string) (typ string, payload []byte, err error) {
	var keys []jose.JSONWebKey
	for _, k := range ring.Public() {
		keys = append(keys, jose.JSONWebKey{Key: k.Key, KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"})
	}
	return openJWS(text, ownAlgs(), keys)
}

// keyNamed gives the key id in the header of a JWS of ours, before anything is checked.
func keyNamed(text string) string {
	if len(text) > maxJWS {
		return ""
	}
	signed, err := jose.ParseSignedCompact(text, ownAlgs())
	if err != nil || len(signed.Signatures) != 1 {
		return ""
	}
	return signed.Signatures[0].Protected.KeyID
}

// openJWS checks a compact JWS with one signature. Keys come from our lists only,
// never from the header (RFC 8725 3.5, 3.10).
func openJWS(text string, algs []jose.SignatureAlgorithm, keys []jose.JSONWebKey) (typ string, payload []byte, err error) {
	if len(text) > maxJWS {
		return "", nil, errSignature
	}
	signed, err := jose.ParseSignedCompact(text, algs)
	if err != nil || len(signed.Signatures) != 1 {
		return "", nil, errSignature
	}
	header := signed.Signatures[0].Protected
	for _, k := range keys {
		if header.KeyID != "" && k.KeyID != "" && header.KeyID != k.KeyID || k.Algorithm != "" && k.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := signed.Verify(k); err == nil {
			typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
			return typ, payload, nil
		}
	}
	return "", nil, errSignature
}

// audience is the aud member: one text or a list (RFC 7519 4.1.3).
type audience []string

// UnmarshalJSON reads both forms.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if strict.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	var many []string
	if err := strict.Unmarshal(text, &many); err != nil {
		return err
	}
	*a = many
	return nil
}

// seconds is a NumericDate (RFC 7519 2); fractions are cut.
type seconds float64
