package oidc

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"seimon/internal/lang"
)

// metadata is the discovery document (OIDC Discovery 3, RFC 8414 2). It says what
// is true here, and says no where a missing member would mean yes.
type metadata struct {
	Issuer                string   `json:"issuer"`
	Authorization         string   `json:"authorization_endpoint"`
	Token                 string   `json:"token_endpoint"`
	UserInfo              string   `json:"userinfo_endpoint"`
	Keys                  string   `json:"jwks_uri"`
	Pushed                string   `json:"pushed_authorization_request_endpoint"` // RFC 9126 5
	Introspection         string   `json:"introspection_endpoint"`
	Revocation            string   `json:"revocation_endpoint"`
	EndSession            string   `json:"end_session_endpoint"` // RP-Initiated Logout 2.1
	Scopes                []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	ACR                   []string `json:"acr_values_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgs           []string `json:"id_token_signing_alg_values_supported"`
	RequestObjectAlgs     []string `json:"request_object_signing_alg_values_supported"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs         []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	Display               []string `json:"display_values_supported"`
	Prompts               []string `json:"prompt_values_supported"`
	ClaimTypes            []string `json:"claim_types_supported"`
	Claims                []string `json:"claims_supported"`
	ClaimsLocales         []string `json:"claims_locales_supported"`
	UILocales             []string `json:"ui_locales_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	ClaimsParameter       bool     `json:"claims_parameter_supported"`
	RequestParameter      bool     `json:"request_parameter_supported"`
	RequestURIParameter   bool     `json:"request_uri_parameter_supported"`
	RequireRequestURI     bool     `json:"require_request_uri_registration"`
	RequirePushed         bool     `json:"require_pushed_authorization_requests"`
	RequireSigned         bool     `json:"require_signed_request_object"`
	IssInResponse         bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207 3
	BackchannelLogout     bool     `json:"backchannel_logout_supported"`
	BackchannelSession    bool     `json:"backchannel_logout_session_supported"`
	FrontchannelLogout    bool     `json:"frontchannel_logout_supported"`
}

func (f *Front) describe() []byte {
	methods := []string{authBasic, authPost, authJWT, authNone}
	proving := methods[:3]
	algs := algNames(peerAlgs())
	body, err := json.Marshal(metadata{
		Issuer: f.issuer, Authorization: f.issuer + pathAuthorize, Token: f.issuer + pathToken, UserInfo: f.issuer + pathUserInfo,
		Keys: f.issuer + pathKeys, Pushed: f.issuer + pathPushed, Introspection: f.issuer + pathIntrospect,
		Revocation: f.issuer + pathRevoke, EndSession: f.issuer + pathLogout,
		Scopes: scopes(), ResponseTypes: []string{"code"}, ResponseModes: []string{"query", modeForm},
		GrantTypes: []string{grantCode, grantRefresh}, ACR: acrValues(), SubjectTypes: []string{"public", "pairwise"},
		IDTokenAlgs: idTokenAlgs(), RequestObjectAlgs: algs,
		TokenAuth: methods, TokenAuthAlgs: algs, IntrospectionAuth: proving, IntrospectionAuthAlgs: algs,
		RevocationAuth: methods, RevocationAuthAlgs: algs,
		Display: []string{"page", "popup"}, Prompts: prompts(), ClaimTypes: []string{"normal"}, Claims: claimsSupported(),
		ClaimsLocales: []string{"ja-Hani-JP", "ja-Kana-JP"}, UILocales: f.locales(), ChallengeMethods: []string{"S256"},
		ClaimsParameter: true, RequestParameter: true, IssInResponse: true, BackchannelLogout: true, BackchannelSession: true,
	})
	if err != nil {
		panic(err) // strings and booleans
	}
	return body
}

func (f *Front) locales() []string {
	out := []string{string(lang.EN), string(lang.JA)}
	if f.Words != nil {
		out = out[:0]
		for _, tag := range f.Words.Tags() {
			out = append(out, string(tag))
		}
	}
	slices.Sort(out)
	return out
}

// discovery serves the document at both well-known places (OIDC Discovery 4,
// RFC 8414 3). Pages of any site may read it.
func (f *Front) discovery(w http.ResponseWriter, _ *http.Request) error {
	return writePublic(w, f.known)
}

// keys serves the public halves of the signing keys (RFC 7517 5): those that sign,
// will sign next, or signed what may still be in use. The time in caches is far
// shorter than the time a key is published before it signs.
func (f *Front) keys(w http.ResponseWriter, _ *http.Request) error {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range f.Ring.Public() {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Key, KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"})
	}
	body, err := json.Marshal(set)
	if err != nil {
		return err
	}
	return writePublic(w, body)
}

func writePublic(w http.ResponseWriter, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=900")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	_, err := w.Write(body)
	return err
}
