package oidc

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/login"
)

// request is an authorization request that was found sound. The hall keeps it
// sealed while the person signs in; of it a grant keeps what the code is bound to.
type request struct {
	Client    string        `json:"client"`
	Redirect  string        `json:"redirect"`
	Mode      string        `json:"mode,omitempty"`
	State     string        `json:"state,omitempty"`
	Nonce     string        `json:"nonce,omitempty"`
	Scope     []string      `json:"scope"`
	Challenge string        `json:"challenge,omitempty"` // PKCE S256
	Claims    claimsRequest `json:"claims,omitzero"`
	ACR       []string      `json:"acr,omitempty"`
	// Essential says that one of ACR must be reached (OIDC Core 5.5.1.1).
	Essential bool   `json:"essential,omitempty"`
	MaxAge    *int64 `json:"max_age,omitempty"` // seconds
	Login     bool   `json:"login,omitempty"`   // only a sign-in after At will do
	// Subject, when set, is the only subject that will do.
	Subject string `json:"subject,omitempty"`
	Offline bool   `json:"offline,omitempty"`
	Pushed  []byte `json:"pushed,omitempty"` // hash of the request_uri that brought it
	At      int64  `json:"at"`               // when it came, Unix seconds

	prompt []string
	hint   string
	langs  []string
}

// scopes are what a service may ask for; others are ignored (OIDC Core 3.1.2.1).
func scopes() []string {
	return []string{"openid", "profile", "email", "groups", "eduperson", "offline_access"}
}

// The values of prompt that we know (OIDC Core 3.1.2.1).
func prompts() []string { return []string{"none", "login", "consent", "select_account"} }

// judge turns parameters into a request. The redirect address was checked before;
// a refusal is told to the client there.
func (f *Front) judge(c *client, p params, now time.Time) (*request, *refusal) {
	if no := p.refusal(); no != nil {
		return nil, no
	}
	q := &request{
		Client: c.ID, Redirect: p.get("redirect_uri"), Mode: p.get("response_mode"), State: p.get("state"), Nonce: p.get("nonce"),
		hint: p.get("login_hint"), langs: strings.Fields(p.get("ui_locales")), At: now.Unix(),
	}
	for _, step := range []func(*client, params) *refusal{
		q.readResponse, q.readChallenge, q.readScope, q.readPrompt, q.readAge, q.readClaims,
	} {
		if no := step(c, p); no != nil {
			return nil, no
		}
	}
	return q, f.readHint(q, p.get("id_token_hint"))
}

// readResponse: the code flow alone, answered in the query or by a form.
func (q *request) readResponse(_ *client, p params) *refusal {
	switch p.get("response_type") {
	case "code":
	case "": // RFC 6749 3.1.1
		return refuse(errInvalidRequest, "response_type is missing")
	default:
		return refuse(errUnsupportedResponse, "only response_type=code is offered")
	}
	switch q.Mode {
	case "", "query":
		q.Mode = ""
	case modeForm: // OAuth 2.0 Form Post Response Mode
	default:
		q.Mode = ""
		return refuse(errInvalidRequest, "response_mode must be query or form_post")
	}
	return nil
}

// readChallenge: RFC 7636 4.3 with S256 alone; "plain" is never accepted
// (RFC 9700 2.1.1).
func (q *request) readChallenge(c *client, p params) *refusal {
	q.Challenge = p.get("code_challenge")
	method := p.get("code_challenge_method")
	switch {
	case q.Challenge == "" && method != "":
		return refuse(errInvalidRequest, "code_challenge is missing")
	case q.Challenge == "" && c.PKCE == "optional":
		return nil
	case q.Challenge == "":
		return refuse(errInvalidRequest, "code_challenge is required (PKCE)")
	case method != "S256":
		return refuse(errInvalidRequest, "code_challenge_method must be S256")
	}
	if raw, err := base64.RawURLEncoding.DecodeString(q.Challenge); err != nil || len(raw) != 32 {
		return refuse(errInvalidRequest, "code_challenge is not the base64url form of a SHA-256 hash")
	}
	return nil
}

func (q *request) readScope(c *client, p params) *refusal {
	for _, s := range strings.Fields(p.get("scope")) {
		if slices.Contains(scopes(), s) && !slices.Contains(q.Scope, s) {
			q.Scope = append(q.Scope, s)
		}
	}
	if !slices.Contains(q.Scope, "openid") { // OIDC Core 3.1.2.1
		return refuse(errInvalidScope, "scope must contain openid")
	}
	return nil
}

// readPrompt also settles offline access, which depends on it: without consent
// asked for it is silently left out (OIDC Core 11).
func (q *request) readPrompt(c *client, p params) *refusal {
	q.prompt = strings.Fields(p.get("prompt"))
	for _, v := range q.prompt {
		if !slices.Contains(prompts(), v) {
			return refuse(errInvalidRequest, "prompt has a value that is not known")
		}
	}
	if q.asks("none") && len(q.prompt) > 1 { // OIDC Core 3.1.2.1
		return refuse(errInvalidRequest, "prompt=none stands alone")
	}
	q.Login = q.asks("login")
	if slices.Contains(q.Scope, "offline_access") {
		q.Offline = c.may(grantRefresh) && (c.Offline == offlineGranted || c.Offline == offlineConsent && q.asks("consent"))
	}
	if !q.Offline {
		q.Scope = slices.DeleteFunc(q.Scope, func(s string) bool { return s == "offline_access" })
	}
	return nil
}

func (q *request) asks(prompt string) bool { return slices.Contains(q.prompt, prompt) }

func (q *request) readAge(c *client, p params) *refusal {
	q.MaxAge = c.DefaultMaxAge
	text := p.get("max_age")
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return refuse(errInvalidRequest, "max_age must be a number of seconds")
	}
	q.MaxAge = &n
	return nil
}

func (q *request) readClaims(c *client, p params) *refusal {
	var err error
	if q.Claims, err = readClaims(p.get("claims")); err != nil {
		return refuse(errInvalidRequest, err.Error())
	}
	q.Subject = q.Claims.subject()
	if q.ACR, q.Essential = q.Claims.acr(); q.ACR == nil {
		if q.ACR = strings.Fields(p.get("acr_values")); len(q.ACR) == 0 {
			q.ACR = c.DefaultACR
		}
	}
	known := slices.ContainsFunc(q.ACR, func(v string) bool { _, ok := classOf(v); return ok })
	if q.Essential && !known {
		return refuse(errUnmetAuthentication, "none of the acr values is known")
	}
	return nil
}

// readHint takes the subject from an ID token that we issued to this client,
// however old (OIDC Core 3.1.2.1). A hint that cannot be checked says nothing,
// except where the person cannot be asked.
func (f *Front) readHint(q *request, hint string) *refusal {
	if hint == "" {
		return nil
	}
	token, err := f.openIDToken(hint)
	if err != nil || !slices.Contains(token.Audience, q.Client) {
		if q.asks("none") {
			return refuse(errLoginRequired, "id_token_hint is not an ID token that was issued to this client")
		}
		return nil
	}
	if q.Subject != "" && q.Subject != token.Subject {
		return refuse(errInvalidRequest, "claims and id_token_hint name different subjects")
	}
	q.Subject = token.Subject
	return nil
}

// ask is the request in the words of the hall.
func (q *request) ask(c *client, sealed []byte) login.Ask {
	a := login.Ask{
		Front: Name, Party: c.ID, Request: sealed, Hint: q.hint, Lang: q.langs,
		Passive: q.asks("none"), Force: q.asks("login"), Reconsent: q.asks("consent"), Pick: q.asks("select_account"),
		Origins: origins(q.Redirect), Attributes: attributesFor(c, q),
	}
	if q.MaxAge != nil {
		a.MaxAge, a.HasMaxAge = time.Duration(*q.MaxAge)*time.Second, true
	}
	a.Wish = wanted(q.ACR, false)
	if q.Essential {
		a.Want = wanted(q.ACR, true)
	}
	return a
}
