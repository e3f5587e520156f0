package oidc_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/store"
)

func TestACodeServesOnce(t *testing.T) {
	for what, wait := range map[string]time.Duration{"at once": 0, "after 30 seconds": 31 * time.Second, "after it expired": time.Hour} {
		t.Run(what, func(t *testing.T) {
			g := open(t)
			g.client("library", members{"access_token_seconds": 7200})
			code := g.code(g.browser(), asking("library"))
			first := g.must(g.redeem("library", code), http.StatusOK)
			g.must(g.userInfo(first.text("access_token")), http.StatusOK)
			g.Clock.Add(wait)
			g.refused(g.redeem("library", code), http.StatusBadRequest, "invalid_grant")
			g.refused(g.userInfo(first.text("access_token")), http.StatusUnauthorized, "invalid_token")
			g.refused(g.renew("library", first.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
			ended := g.events("oidc.grant.ended")
			if len(ended) != 1 || ended[0].Facts["why"] != "code.reused" || ended[0].Account != g.hanak.ID || ended[0].Party != "library" {
				t.Errorf("audit %+v", ended)
			}
		})
	}
}

func TestACodeServesOnceUnderLoad(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	code := g.code(g.browser(), asking("library"))
	var wg sync.WaitGroup
	var mu sync.Mutex
	ok := 0
	for range 8 {
		wg.Go(func() {
			if r := g.redeem("library", code); r.status == http.StatusOK {
				mu.Lock()
				ok++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ok != 1 {
		t.Errorf("%d of 8 got tokens", ok)
	}
}

func TestCodesExpire(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	code := g.code(g.browser(), asking("library"))
	g.Clock.Add(61 * time.Second)
	g.refused(g.redeem("library", code), http.StatusBadRequest, "invalid_grant")
}

// A code is bound to client, address and verifier; using it wrongly burns it,
// except in the hands of another client, where its owner may still use it.
func TestCodeBindings(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("evil", nil)
	g.client("old", members{"pkce": "optional"})
	b := g.browser()
	for what, pairs := range map[string][]string{
		"no verifier":      {"code_verifier", "-"},
		"wrong verifier":   {"code_verifier", strings.Repeat("a", 43)},
		"challenge itself": {"code_verifier", challenge},
		"short verifier":   {"code_verifier", "abc"},
		"no redirect":      {"redirect_uri", "-"},
		"other redirect":   {"redirect_uri", callback("evil")},
	} {
		code := g.code(b, asking("library"))
		g.refused(g.redeem("library", code, pairs...), http.StatusBadRequest, "invalid_grant")
		if r := g.redeem("library", code); r.status == http.StatusOK {
			t.Errorf("%s: the code still served", what)
		}
	}
	code := g.code(b, asking("library"))
	g.refused(g.redeem("evil", code, "redirect_uri", callback("library")), http.StatusBadRequest, "invalid_grant")
	g.must(g.redeem("library", code), http.StatusOK)
	if e := g.events("oidc.code.stolen"); len(e) != 1 || e[0].Facts["by"] != "evil" {
		t.Errorf("audit %+v", e)
	}
	// RFC 9700 4.8.2: a challenge stripped from the request shows when the verifier comes.
	code = g.code(b, asking("old", "code_challenge", "-", "code_challenge_method", "-"))
	g.refused(g.redeem("old", code), http.StatusBadRequest, "invalid_grant")
	code = g.code(b, asking("old", "code_challenge", "-", "code_challenge_method", "-"))
	g.must(g.redeem("old", code, "code_verifier", "-"), http.StatusOK)
	code = g.code(b, asking("old"))
	g.refused(g.redeem("old", code, "code_verifier", "-"), http.StatusBadRequest, "invalid_grant")
}

func TestTokenRequestsThatAreWrong(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("once", members{"grant_types": []string{"authorization_code"}})
	for what, c := range map[string]struct {
		form   url.Values
		status int
		want   string
	}{
		"no grant type":      {url.Values{"code": {"x"}}, 400, "invalid_request"},
		"password grant":     {url.Values{"grant_type": {"password"}, "username": {"hanako"}}, 400, "unsupported_grant_type"},
		"client credentials": {url.Values{"grant_type": {"client_credentials"}}, 400, "unsupported_grant_type"},
		"no code":            {url.Values{"grant_type": {"authorization_code"}}, 400, "invalid_request"},
		"no refresh token":   {url.Values{"grant_type": {"refresh_token"}}, 400, "invalid_request"},
		"unknown code":       {redeeming("library", "x"), 400, "invalid_grant"},
		"unknown refresh":    {url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, 400, "invalid_grant"},
		"two codes":          {url.Values{"grant_type": {"authorization_code"}, "code": {"x", "y"}}, 400, "invalid_request"},
		"two grant types":    {url.Values{"grant_type": {"authorization_code", "refresh_token"}}, 400, "invalid_request"},
	} {
		r := g.call("/oidc/token", c.form, basic("library")...)
		if r.status != c.status || r.text("error") != c.want {
			t.Errorf("%s: %d %s", what, r.status, r.raw)
		}
	}
	g.refused(g.renew("once", "x"), http.StatusBadRequest, "unauthorized_client")
	r := g.redeem("once", g.code(g.browser(), asking("once")))
	if _, has := r.body["refresh_token"]; has || r.status != http.StatusOK {
		t.Errorf("a refresh token for a client without the grant type: %s", r.raw)
	}
	g.refused(g.call("/oidc/token", redeeming("library", "x"), append(basic("library"), "Content-Type", "application/json")...), http.StatusBadRequest, "invalid_request")
	if r := g.call("/oidc/token?"+redeeming("library", "x").Encode(), nil); r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", r.status)
	}
	// Parameters in the query do not count (RFC 6749 3.2).
	code := g.code(g.browser(), asking("library"))
	g.refused(g.call("/oidc/token?code="+code, redeeming("library", "-", "code", "-"), basic("library")...), http.StatusBadRequest, "invalid_request")
}

func TestRefreshRotates(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	first := g.redeem("library", g.code(g.browser(), asking("library")))
	was := g.claims(first.text("id_token"))
	g.Clock.Add(time.Hour)
	second := g.must(g.renew("library", first.text("refresh_token")), http.StatusOK)
	is := g.claims(second.text("id_token"))
	for _, name := range []string{"iss", "sub", "aud", "auth_time", "acr", "sid"} { // OIDC Core 12.2
		if was[name] != is[name] {
			t.Errorf("%s changed from %v to %v", name, was[name], is[name])
		}
	}
	if is["nonce"] != nil || is["iat"] == was["iat"] || is["at_hash"] != hash(second.text("access_token")) {
		t.Errorf("claims %v", is)
	}
	if second.text("refresh_token") == first.text("refresh_token") || second.text("access_token") == first.text("access_token") {
		t.Error("tokens did not change")
	}
	narrow := g.must(g.renew("library", second.text("refresh_token"), "scope", "openid email"), http.StatusOK)
	if u := g.userInfo(narrow.text("access_token")); u.body["name"] != nil || u.text("email") == "" {
		t.Errorf("narrowed: %s", u.raw)
	}
	wide := g.must(g.renew("library", narrow.text("refresh_token")), http.StatusOK)
	if wide.text("scope") != "openid profile email" {
		t.Errorf("the scope shrank for good: %s", wide.text("scope"))
	}
	g.refused(g.renew("library", wide.text("refresh_token"), "scope", "openid groups"), http.StatusBadRequest, "invalid_scope")
	g.refused(g.renew("library", wide.text("refresh_token"), "scope", "offline_access calendar"), http.StatusBadRequest, "invalid_scope")
	// Libraries repeat what they asked for at first, whatever came of it.
	same := g.must(g.renew("library", wide.text("refresh_token"), "scope", "openid email offline_access calendar"), http.StatusOK)
	if same.text("scope") != "openid email" {
		t.Errorf("the scope is %s", same.text("scope"))
	}
}

func TestARefreshTokenUsedTwiceEndsTheFamily(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("evil", nil)
	b := g.browser()
	first := g.redeem("library", g.code(b, asking("library")))
	other := g.redeem("library", g.code(b, asking("library")))
	second := g.must(g.renew("library", first.text("refresh_token")), http.StatusOK)
	g.refused(g.renew("evil", second.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	g.must(g.userInfo(second.text("access_token")), http.StatusOK)
	g.refused(g.renew("library", first.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	g.refused(g.renew("library", second.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	for _, r := range []reply{first, second} {
		g.refused(g.userInfo(r.text("access_token")), http.StatusUnauthorized, "invalid_token")
	}
	if e := g.events("oidc.grant.ended"); len(e) != 1 || e[0].Facts["why"] != "refresh.reused" {
		t.Errorf("audit %+v", e)
	}
	g.must(g.renew("library", other.text("refresh_token")), http.StatusOK)
	// An access token is no refresh token, nor the other way round.
	g.refused(g.renew("library", other.text("access_token")), http.StatusBadRequest, "invalid_grant")
	g.refused(g.userInfo(other.text("refresh_token")), http.StatusUnauthorized, "invalid_token")
}

func TestParallelRefreshesLeaveNobodyWithTwoFamilies(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	first := g.redeem("library", g.code(g.browser(), asking("library")))
	var wg sync.WaitGroup
	got := make(chan reply, 6)
	for range 6 {
		wg.Go(func() { got <- g.renew("library", first.text("refresh_token")) })
	}
	wg.Wait()
	close(got)
	ok := 0
	for r := range got {
		if r.status == http.StatusOK {
			ok++
			g.refused(g.userInfo(r.text("access_token")), http.StatusUnauthorized, "invalid_token")
		} else if r.status != http.StatusBadRequest {
			t.Errorf("status %d: %s", r.status, r.raw)
		}
	}
	if ok > 1 {
		t.Errorf("%d requests got tokens", ok)
	}
}

func TestOfflineAccess(t *testing.T) {
	g := open(t)
	g.client("never", nil)
	g.client("consent", members{"offline_access": "consent"})
	g.client("granted", members{"offline_access": "granted"})
	b := g.browser()
	wants := "openid offline_access"
	signedOut := func(v url.Values) (scope string, after reply) {
		t.Helper()
		b.Get(address(v))
		if asksName(b) {
			signIn(b, "hanako")
		}
		if b.Has("Send and go on") {
			b.Submit("Send and go on")
		}
		id := v.Get("client_id")
		r := g.must(g.redeem(id, g.answer(b, id).Get("code")), http.StatusOK)
		g.Write(func(tx *store.Tx) error { return g.Sessions.EndAll(tx, g.hanak.ID, "test", "") })
		g.Clock.Add(time.Minute)
		return r.text("scope"), g.renew(id, r.text("refresh_token"))
	}
	for _, c := range []struct {
		v      url.Values
		scope  string
		status int
	}{
		{asking("never", "scope", wants), "openid", 400},
		{asking("consent", "scope", wants), "openid", 400}, // OIDC Core 11: not without prompt=consent
		{asking("consent", "scope", wants, "prompt", "consent"), wants, 200},
		{asking("granted", "scope", wants), wants, 200},
		{asking("granted", "scope", "openid"), "openid", 400},
	} {
		if scope, after := signedOut(c.v); scope != c.scope || after.status != c.status {
			t.Errorf("%v: scope %q, refresh after sign-out %d", c.v, scope, after.status)
		}
	}
}

func TestRefreshTokensExpire(t *testing.T) {
	g := open(t)
	g.client("granted", members{"offline_access": "granted"})
	b := g.browser()
	one := g.redeem("granted", g.code(b, asking("granted", "scope", "openid offline_access"))).text("refresh_token")
	g.Clock.Add(31 * 24 * time.Hour)
	g.refused(g.renew("granted", one), http.StatusBadRequest, "invalid_grant")
	two := g.redeem("granted", g.code(b, asking("granted", "scope", "openid offline_access"))).text("refresh_token")
	for range 8 {
		g.Clock.Add(20 * 24 * time.Hour)
		r := g.must(g.renew("granted", two), http.StatusOK)
		two = r.text("refresh_token")
	}
	g.Clock.Add(21 * 24 * time.Hour) // the 181st day: the grant itself is over
	g.refused(g.renew("granted", two), http.StatusBadRequest, "invalid_grant")
}

// The account's standing, the party and the consent are read afresh each time.
func TestGrantsEndWithWhatTheyRestOn(t *testing.T) {
	for what, end := range map[string]func(*gate){
		"suspended": func(g *gate) {
			g.Write(func(tx *store.Tx) error { return g.People.SetState(tx, g.hanak.ID, "suspended", "left", "test") })
		},
		"signed out": func(g *gate) {
			g.Write(func(tx *store.Tx) error { return g.Sessions.EndAll(tx, g.hanak.ID, "test", "") })
		},
		"client disabled": func(g *gate) {
			g.Write(func(tx *store.Tx) error {
				p, err := g.book.Get(tx, "library")
				p.Disabled = true
				if err == nil {
					err = g.book.Put(tx, p)
				}
				return err
			})
		},
		"session expired": func(g *gate) { g.Clock.Add(25 * time.Hour) },
	} {
		g := open(t)
		g.client("library", members{"access_token_seconds": 86400})
		r := g.redeem("library", g.code(g.browser(), asking("library")))
		g.must(g.userInfo(r.text("access_token")), http.StatusOK)
		g.Clock.Add(time.Second)
		end(g)
		if u := g.userInfo(r.text("access_token")); u.status != http.StatusUnauthorized {
			t.Errorf("%s: userinfo %d", what, u.status)
		}
		if again := g.renew("library", r.text("refresh_token")); again.status == http.StatusOK {
			t.Errorf("%s: refreshed", what)
		}
	}
}

func TestACodeDiesWithTheSession(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	code := g.code(g.browser(), asking("library"))
	g.Write(func(tx *store.Tx) error { return g.Sessions.EndAll(tx, g.hanak.ID, "test", "") })
	g.refused(g.redeem("library", code), http.StatusBadRequest, "invalid_grant")
}

func TestUserInfo(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	access := g.redeem("library", g.code(g.browser(), asking("library"))).text("access_token")
	bearer := "Bearer " + access
	sub := g.userInfo(access).text("sub")
	for what, r := range map[string]reply{
		"post header": g.call("/oidc/userinfo", url.Values{}, "Authorization", bearer),
		"post body":   g.call("/oidc/userinfo", url.Values{"access_token": {access}}),
		"lower case":  g.call("/oidc/userinfo", nil, "Authorization", "bearer "+access),
	} {
		if r.status != http.StatusOK || r.text("sub") != sub || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", what, r.status, r.raw)
		}
	}
	bare := g.call("/oidc/userinfo", nil)
	if bare.status != http.StatusUnauthorized || bare.header.Get("WWW-Authenticate") != `Bearer realm="seimon"` {
		t.Errorf("without a token: %d %q", bare.status, bare.header.Get("WWW-Authenticate"))
	}
	for what, c := range map[string]struct {
		r      reply
		status int
		want   string
	}{
		"unknown":    {g.userInfo("nonsense"), 401, "invalid_token"},
		"both":       {g.call("/oidc/userinfo", url.Values{"access_token": {access}}, "Authorization", bearer), 400, "invalid_request"},
		"basic":      {g.call("/oidc/userinfo", nil, "Authorization", "Basic "+access), 400, "invalid_request"},
		"two tokens": {g.call("/oidc/userinfo", url.Values{"access_token": {access, access}}), 400, "invalid_request"},
	} {
		g.refused(c.r, c.status, c.want)
		if !strings.Contains(c.r.header.Get("WWW-Authenticate"), `error="`+c.want+`"`) {
			t.Errorf("%s: %q", what, c.r.header.Get("WWW-Authenticate"))
		}
	}
	if r := g.call("/oidc/userinfo?access_token="+access, nil); r.status != http.StatusUnauthorized {
		t.Errorf("a token in the query: %d", r.status)
	}
	g.Clock.Add(11 * time.Minute)
	g.refused(g.userInfo(access), http.StatusUnauthorized, "invalid_token")
}

func TestIntrospection(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("other", nil)
	g.client("api", members{"introspects_all": true})
	g.client("spa", members{"token_endpoint_auth_method": "none", "client_secret": nil})
	r := g.redeem("library", g.code(g.browser(), asking("library")))
	ask := func(id, token string) reply {
		return g.must(g.call("/oidc/introspect", url.Values{"token": {token}, "token_type_hint": {"bogus"}}, basic(id)...), http.StatusOK)
	}
	own := ask("library", r.text("access_token"))
	want := map[string]any{
		"active": true, "client_id": "library", "scope": "openid profile email", "token_type": "Bearer", "iss": issuer, "aud": "library",
		"sub": g.claims(r.text("id_token"))["sub"], "exp": float64(g.Clock.Now().Add(10 * time.Minute).Unix()), "acr": "aal1",
	}
	for name, v := range want {
		if own.body[name] != v {
			t.Errorf("%s: %v, want %v", name, own.body[name], v)
		}
	}
	if ask("library", r.text("refresh_token")).body["active"] != true || ask("api", r.text("access_token")).body["active"] != true {
		t.Error("a token in force is not active")
	}
	for what, x := range map[string]reply{"foreign": ask("other", r.text("access_token")), "unknown": ask("library", "x"), "ID token": ask("library", r.text("id_token"))} {
		if len(x.body) != 1 || x.body["active"] != false {
			t.Errorf("%s: %s", what, x.raw)
		}
	}
	g.refused(g.call("/oidc/introspect", url.Values{"token": {"x"}, "client_id": {"spa"}}), http.StatusUnauthorized, "invalid_client")
	g.refused(g.call("/oidc/introspect", url.Values{"token": {"x"}}), http.StatusUnauthorized, "invalid_client")
	g.refused(g.call("/oidc/introspect", url.Values{}, basic("library")...), http.StatusBadRequest, "invalid_request")
	g.Clock.Add(11 * time.Minute)
	if ask("library", r.text("access_token")).body["active"] != false {
		t.Error("expired but active")
	}
	g.Write(func(tx *store.Tx) error { return g.People.SetState(tx, g.hanak.ID, "suspended", "left", "test") })
	if ask("library", r.text("refresh_token")).body["active"] != false {
		t.Error("suspended but active")
	}
}

func TestRevocation(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	g.client("other", nil)
	b := g.browser()
	revoke := func(id, token string) reply {
		return g.call("/oidc/revoke", url.Values{"token": {token}}, basic(id)...)
	}
	r := g.redeem("library", g.code(b, asking("library")))
	g.refused(revoke("other", r.text("access_token")), http.StatusBadRequest, "invalid_grant")
	g.must(g.userInfo(r.text("access_token")), http.StatusOK)
	g.must(revoke("library", r.text("access_token")), http.StatusOK)
	g.refused(g.userInfo(r.text("access_token")), http.StatusUnauthorized, "invalid_token")
	again := g.must(g.renew("library", r.text("refresh_token")), http.StatusOK)
	g.must(revoke("library", again.text("refresh_token")), http.StatusOK)
	g.refused(g.userInfo(again.text("access_token")), http.StatusUnauthorized, "invalid_token")
	g.refused(g.renew("library", again.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	g.must(revoke("library", "unknown"), http.StatusOK)
	g.refused(g.call("/oidc/revoke", url.Values{"token": {"x"}, "client_id": {"library"}}), http.StatusUnauthorized, "invalid_client")
}

func TestTokensAreOpaqueAndStoredAsHashes(t *testing.T) {
	g := open(t)
	g.client("library", nil)
	code := g.code(g.browser(), asking("library"))
	r := g.redeem("library", code)
	for _, token := range []string{code, r.text("access_token"), r.text("refresh_token")} {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(raw) != 32 {
			t.Errorf("%q is not 256 bits", token)
		}
		err = g.DB.Read(t.Context(), func(tx *store.Tx) error {
			for _, table := range []string{"oidc_token WHERE hash", "oidc_grant WHERE code"} {
				var n int
				if err := tx.QueryRow("SELECT count(*) FROM "+table+" = $1 OR "+strings.Fields(table)[2]+" = $2", raw, []byte(token)).Scan(&n); err != nil || n > 0 {
					t.Errorf("%s holds a token in clear: %d %v", table, n, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSweepRemovesWhatIsOverAndNothingElse(t *testing.T) {
	g := open(t)
	g.client("granted", members{"offline_access": "granted"})
	b := g.browser()
	kept := g.redeem("granted", g.code(b, asking("granted", "scope", "openid offline_access")))
	g.code(b, asking("granted"))
	g.must(g.call("/oidc/par", asking("granted"), basic("granted")...), http.StatusCreated)
	g.Clock.Add(26 * time.Hour)
	g.Write(g.front.Sweep)
	count := func(table string) (n int) {
		g.Write(func(tx *store.Tx) error { return tx.QueryRow("SELECT count(*) FROM " + table).Scan(&n) })
		return n
	}
	if count("oidc_grant") != 1 || count("oidc_token") != 1 || count("oidc_pushed") != 0 {
		t.Errorf("left: %d grants, %d tokens, %d pushed", count("oidc_grant"), count("oidc_token"), count("oidc_pushed"))
	}
	g.must(g.renew("granted", kept.text("refresh_token")), http.StatusOK)
	g.Clock.Add(400 * 24 * time.Hour)
	g.Write(g.front.Sweep)
	if count("oidc_grant")+count("oidc_token")+count("oidc_assertion") != 0 {
		t.Error("rows stay for ever")
	}
}

func TestOfflineAccessIsListedAndEnded(t *testing.T) {
	g := open(t)
	g.client("granted", members{"offline_access": "granted"})
	r := g.redeem("granted", g.code(g.browser(), asking("granted", "scope", "openid offline_access")))
	g.Write(func(tx *store.Tx) error {
		list, err := g.front.Offlines(tx, g.hanak.ID)
		if len(list) != 1 || list[0].Client != "granted" || list[0].Since.IsZero() {
			t.Errorf("list %v", list)
		}
		if err != nil {
			return err
		}
		n, err := g.front.EndAccount(tx, g.hanak.ID, "granted", "withdrawn")
		if n != 1 {
			t.Errorf("%d ended", n)
		}
		return err
	})
	g.refused(g.renew("granted", r.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	g.refused(g.userInfo(r.text("access_token")), http.StatusUnauthorized, "invalid_token")
}
