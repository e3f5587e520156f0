// Command zitadel is a peer of the lab: a relying party on zitadel/oidc.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/client/rs"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"seimon/test/lab/stand"
	"seimon/test/walk"
)

func main() {
	s, err := stand.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := stand.NewReport("zitadel/oidc")
	for _, style := range []struct {
		method string
		style  oauth2.AuthStyle
		alg    string
	}{
		{"client_secret_basic", oauth2.AuthStyleInHeader, "ES256"},
		{"client_secret_post", oauth2.AuthStyleInParams, "RS256"},
	} {
		j := &journey{stand: s, tr: s.Transport(), seen: map[string]*tokens{}, told: make(chan url.Values, 4)}
		named := func(what string) string { return style.method + ", " + style.alg + ": " + what }
		if !r.Check(named("discovery"), func() error { return j.open(style.method, style.style, style.alg) }) {
			continue
		}
		r.Check(named("password on campus, PKCE, userinfo"), j.campus)
		r.Check(named("password and one-time code from home"), j.home)
		r.Check(named("refresh, introspection, revocation"), j.tokens)
		r.Check(named("sign-out, with word by back channel"), j.leave)
	}
	r.Exit()
}

// tokens is what one sign-in gave.
type tokens struct {
	*oidc.Tokens[*oidc.IDTokenClaims]
	info *oidc.UserInfo
}

// journey is an application and what people do there.
type journey struct {
	stand  *stand.Stand
	tr     http.RoundTripper
	rp     rp.RelyingParty
	rs     rs.ResourceServer
	origin string

	mu   sync.Mutex
	seen map[string]*tokens // by state
	told chan url.Values
}

func (j *journey) open(method string, style oauth2.AuthStyle, alg string) (err error) {
	mux := http.NewServeMux()
	if j.origin, err = j.stand.Listen("zitadel.localhost", mux); err != nil {
		return err
	}
	id := "lab-zitadel-" + alg
	secret, err := j.stand.Register(id, map[string]any{
		"redirect_uris": []string{j.origin + "/callback"}, "post_logout_redirect_uris": []string{j.origin + "/bye"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": method,
		"id_token_signed_response_alg": alg, "backchannel_logout_uri": j.origin + "/backchannel", "client_secret": "new",
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	cookies := httphelper.NewCookieHandler([]byte(rand.Text()), []byte(rand.Text())[:16])
	// offline_access is asked for although it is not granted: what is not granted is left out, not an error.
	j.rp, err = rp.NewRelyingPartyOIDC(ctx, j.stand.SSO, id, secret, j.origin+"/callback", []string{"openid", "profile", "email", "offline_access"},
		rp.WithPKCE(cookies), rp.WithCookieHandler(cookies), rp.WithHTTPClient(j.stand.Client()), rp.WithAuthStyle(style), rp.WithSigningAlgsFromDiscovery())
	if err != nil {
		return err
	}
	if j.rs, err = rs.NewResourceServerClientCredentials(ctx, j.stand.SSO, id, secret, rs.WithClient(j.stand.Client())); err != nil {
		return err
	}
	mux.Handle("GET /start", rp.AuthURLHandler(rand.Text, j.rp))
	mux.Handle("GET /callback", rp.CodeExchangeHandler(rp.UserinfoCallback(j.arrived), j.rp))
	mux.HandleFunc("GET /bye", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "bye ", r.URL.Query().Get("state")) })
	mux.HandleFunc("POST /backchannel", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm() //nolint:errcheck // an empty form is a failure later
		j.told <- r.PostForm
	})
	return nil
}

func (j *journey) arrived(w http.ResponseWriter, r *http.Request, t *oidc.Tokens[*oidc.IDTokenClaims], state string, _ rp.RelyingParty, info *oidc.UserInfo) {
	j.mu.Lock()
	j.seen[state] = &tokens{t, info}
	j.mu.Unlock()
	fmt.Fprint(w, state)
}

func (j *journey) signIn(w *walk.Walker) (*tokens, walk.Page, error) {
	p, err := w.Visit(context.Background(), j.origin+"/start")
	if err != nil {
		return nil, p, err
	}
	if p.Status != http.StatusOK || p.URL.Path != "/callback" {
		return nil, p, fmt.Errorf("arrived at %s with %d: %s", p.URL, p.Status, walk.Text(p.Body))
	}
	return j.seen[string(p.Body)], p, nil
}

func (j *journey) campus() error {
	who := j.stand.Take(false)
	t, p, err := j.signIn(j.stand.Browser(j.tr, who, "campus"))
	if err != nil {
		return err
	}
	if slices.Contains(p.Asked, "totp") || t.info.PreferredUsername != who.User || t.IDTokenClaims.AuthenticationContextClassReference != "aal1" {
		return fmt.Errorf("asked %v, user %q, acr %q", p.Asked, t.info.PreferredUsername, t.IDTokenClaims.AuthenticationContextClassReference)
	}
	if !t.info.EmailVerified || t.info.Email == "" {
		return errors.New("userinfo lacks the address or says it is not verified")
	}
	return nil
}

func (j *journey) home() error {
	t, p, err := j.signIn(j.stand.Browser(j.tr, j.stand.Take(true), "home"))
	if err != nil {
		return err
	}
	if !slices.Contains(p.Asked, "totp") || t.IDTokenClaims.AuthenticationContextClassReference != "aal2" || !slices.Contains(t.IDTokenClaims.AuthenticationMethodsReferences, "mfa") {
		return fmt.Errorf("asked %v, acr %q", p.Asked, t.IDTokenClaims.AuthenticationContextClassReference)
	}
	return nil
}

func (j *journey) active(token string) (*oidc.IntrospectionResponse, error) {
	return rs.Introspect[*oidc.IntrospectionResponse](context.Background(), j.rs, token)
}

func (j *journey) tokens() error {
	t, _, err := j.signIn(j.stand.Browser(j.tr, j.stand.Take(false), "campus"))
	if err != nil {
		return err
	}
	ctx := context.Background()
	fresh, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, j.rp, t.RefreshToken, "", "")
	if err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	if fresh.RefreshToken == "" || fresh.RefreshToken == t.RefreshToken || fresh.IDTokenClaims == nil || fresh.IDTokenClaims.Subject != t.IDTokenClaims.Subject {
		return errors.New("refresh gave no new tokens about the same person")
	}
	if j.rp.OAuthConfig().Endpoint.AuthStyle == oauth2.AuthStyleInHeader { // the library's resource server knows no other way
		told, err := j.active(fresh.AccessToken)
		if err != nil || !told.Active || told.Subject != t.IDTokenClaims.Subject {
			return fmt.Errorf("introspection: %+v, %v", told, err)
		}
	}
	if err := rp.RevokeToken(ctx, j.rp, fresh.RefreshToken, "refresh_token"); err != nil {
		return fmt.Errorf("revocation: %w", err)
	}
	if _, err := rp.Userinfo[*oidc.UserInfo](ctx, fresh.AccessToken, "Bearer", t.IDTokenClaims.Subject, j.rp); err == nil {
		return errors.New("the access token outlives the revocation of its refresh token")
	}
	if _, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, j.rp, fresh.RefreshToken, "", ""); err == nil {
		return errors.New("a revoked refresh token still works")
	}
	return nil
}

func (j *journey) leave() error {
	w := j.stand.Browser(j.tr, j.stand.Take(false), "campus")
	t, _, err := j.signIn(w)
	if err != nil {
		return err
	}
	// The library asks by itself and is told where to send the browser.
	to, err := rp.EndSession(context.Background(), j.rp, t.IDToken, j.origin+"/bye", "so long", "", oidc.Locales{})
	if err != nil || to == nil {
		return fmt.Errorf("end of session: %v, %w", to, err)
	}
	p, err := w.Visit(context.Background(), to.String())
	if err != nil {
		return err
	}
	if string(p.Body) != "bye so long" {
		return fmt.Errorf("arrived at %s: %s", p.URL, walk.Text(p.Body))
	}
	select {
	case form := <-j.told:
		claims, err := rp.VerifyIDToken[*logoutClaims](context.Background(), form.Get("logout_token"), j.rp.IDTokenVerifier())
		if err != nil {
			return fmt.Errorf("logout token: %w", err)
		}
		if sid, _ := t.IDTokenClaims.Claims["sid"].(string); sid == "" || claims.SessionID != sid || len(claims.Events) != 1 {
			return fmt.Errorf("logout token for %q instead of %q, events %v", claims.SessionID, sid, claims.Events)
		}
	case <-time.After(time.Minute):
		return errors.New("no word by back channel within a minute")
	}
	if _, err := rp.RefreshTokens[*oidc.IDTokenClaims](context.Background(), j.rp, t.RefreshToken, "", ""); err == nil {
		return errors.New("tokens outlive the session")
	}
	return nil
}

// logoutClaims lets the library's ID token verifier judge a logout token: it is
// signed and addressed alike.
type logoutClaims struct {
	oidc.TokenClaims
	Events    map[string]any `json:"events"`
	SessionID string         `json:"sid"`
}

func (c *logoutClaims) UnmarshalJSON(text []byte) error {
	var more struct {
		Events    map[string]any `json:"events"`
		SessionID string         `json:"sid"`
	}
	err := errors.Join(json.Unmarshal(text, &c.TokenClaims), json.Unmarshal(text, &more))
	c.Events, c.SessionID = more.Events, more.SessionID
	return err
}
