package oidc_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"seimon/internal/front/oidc"
	"seimon/internal/jobs"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

// bye is the address of the end session endpoint with pairs of names and values.
func bye(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return "/oidc/logout?" + v.Encode()
}

const after = "https://library.example.org/bye"

// leaver is a browser that is signed in to library, and its ID token.
func leaver(g *gate, more members) (*webtest.Browser, string) {
	reg := members{"post_logout_redirect_uris": []string{after, after + "?x=1"}}
	for k, v := range more {
		reg[k] = v
	}
	g.client("library", reg)
	b := g.browser()
	return b, g.redeem("library", g.code(b, asking("library"))).text("id_token")
}

// signedIn asks silently whether the browser still has a session.
func (g *gate) signedIn(b *webtest.Browser) bool {
	g.T.Helper()
	q := g.answer(b.Tab().Get(address(asking("library", "prompt", "none"))), "library")
	return q.Has("code")
}

func TestSignOutWithAHintGoesBackAtOnce(t *testing.T) {
	g := open(t)
	b, token := leaver(g, nil)
	long := strings.Repeat("あ&=+", 30)
	g.Clock.Add(2 * time.Hour) // the hint has expired, which is no fault (RP-Initiated Logout 4)
	b.Get(bye("id_token_hint", token, "post_logout_redirect_uri", after, "state", long, "client_id", "library"))
	if u := b.URL; !b.Left() || !strings.HasPrefix(b.Location(), after+"?") || u.Query().Get("state") != long || len(u.Query()) != 1 {
		t.Fatalf("at %s", b.Location())
	}
	if g.signedIn(b) {
		t.Error("still signed in")
	}
	// Again, without a session: the way back stays open.
	if b.Get(bye("id_token_hint", token, "post_logout_redirect_uri", after)); b.Location() != after {
		t.Errorf("at %s", b.Location())
	}
}

func TestSignOutByForm(t *testing.T) {
	g := open(t)
	b, token := leaver(g, nil)
	b.ForeignPost("https://library.example.org/", "/oidc/logout", url.Values{"id_token_hint": {token}, "post_logout_redirect_uri": {after + "?x=1"}, "state": {"s"}})
	if b.Location() != after+"?x=1&state=s" || g.signedIn(b) {
		t.Errorf("at %s, signed in %v", b.Location(), g.signedIn(b))
	}
}

func TestSignOutWithoutAHintAsksFirst(t *testing.T) {
	g := open(t)
	b, _ := leaver(g, nil)
	for what, to := range map[string]string{
		"nothing": bye(), "only state": bye("state", "s"), "an address alone": bye("post_logout_redirect_uri", after, "state", "s"),
		"client alone": bye("client_id", "library"),
	} {
		b.Get(to)
		if b.Left() || b.Status != http.StatusOK || !g.signedIn(b) {
			t.Fatalf("%s: at %s", what, b.Location())
		}
	}
	b.Get(bye("client_id", "library", "post_logout_redirect_uri", after, "state", "s")).Want("hanako", "library")
	if b.Left() || !g.signedIn(b) {
		t.Fatalf("unasked: at %s", b.Location())
	}
	b.Submit("Sign out")
	if b.Location() != after+"?state=s" || g.signedIn(b) {
		t.Errorf("at %s", b.Location())
	}
}

// The page says only what is so: who is told, and who cannot be.
func TestThePageAfterSignOutIsHonest(t *testing.T) {
	g := open(t)
	b, _ := leaver(g, members{"backchannel_logout_uri": "https://library.example.org/out"})
	g.hears("library", http.StatusNoContent)
	g.client("silent", nil)
	g.redeem("silent", g.code(b, asking("silent")))
	b.Get("/signout").Want("You used these services", "library", "silent").Submit("Sign out")
	b.Want("being told that you signed out: library", "cannot be told. Sign out there, or close the browser: silent").Refuse("We have told")
	if g.signedIn(b) {
		t.Error("still signed in")
	}
}

func TestSignOutThatIsNotBelieved(t *testing.T) {
	g := open(t)
	b, token := leaver(g, nil)
	g.client("other", members{"post_logout_redirect_uris": []string{"https://other.example.org/bye"}})
	forged := newKey(t).sign(t, "JWT", map[string]any{"iss": issuer, "aud": "library", "sub": "x", "exp": 1})
	for what, to := range map[string]string{
		"forged hint":           bye("id_token_hint", forged, "post_logout_redirect_uri", after),
		"changed hint":          bye("id_token_hint", token[:len(token)-3]+"AAA", "post_logout_redirect_uri", after),
		"unsigned hint":         bye("id_token_hint", none(map[string]any{"iss": issuer, "aud": "library", "sub": "x"}), "post_logout_redirect_uri", after),
		"no token":              bye("id_token_hint", "x", "post_logout_redirect_uri", after),
		"unregistered":          bye("id_token_hint", token, "post_logout_redirect_uri", "https://evil.example/"),
		"query added":           bye("id_token_hint", token, "post_logout_redirect_uri", after+"?foo=bar"),
		"path added":            bye("id_token_hint", token, "post_logout_redirect_uri", after+"/"),
		"another client's":      bye("id_token_hint", token, "post_logout_redirect_uri", "https://other.example.org/bye"),
		"hint of another":       bye("id_token_hint", token, "client_id", "other", "post_logout_redirect_uri", "https://other.example.org/bye"),
		"redirect address":      bye("id_token_hint", token, "post_logout_redirect_uri", callback("library")),
		"unknown client":        bye("client_id", "nobody", "post_logout_redirect_uri", after),
		"repeated address":      bye("id_token_hint", token, "post_logout_redirect_uri", after, "post_logout_redirect_uri", "https://evil.example/"),
		"logout token for hint": bye("id_token_hint", g.signedLogoutToken(t), "post_logout_redirect_uri", after),
	} {
		b.Get(to)
		g.shown(b, what)
		if !g.signedIn(b) {
			t.Fatalf("%s: signed out", what)
		}
	}
	if len(g.events("request.refused")) == 0 {
		t.Error("nothing on record for the desk")
	}
}

// A hint from another session of the same person does not end this one unasked.
func TestAHintFromAnotherSessionAsksFirst(t *testing.T) {
	g := open(t)
	b, token := leaver(g, nil)
	other := g.browser()
	g.code(other, asking("library"))
	other.Get(bye("id_token_hint", token, "post_logout_redirect_uri", after))
	if other.Left() || !g.signedIn(other) || !g.signedIn(b) {
		t.Errorf("at %s", other.Location())
	}
}

// Long after a key was withdrawn its hints prove nothing, but they are no reason to
// keep somebody signed in: the person is asked.
func TestAHintOfAWithdrawnKeyAsksFirst(t *testing.T) {
	g := open(t)
	b, token := leaver(g, nil)
	for range 2 {
		if err := g.Ring.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.Clock.Add(49 * time.Hour)
	}
	if err := g.Ring.Rotate(t.Context(), "ES256"); err != nil {
		t.Fatal(err)
	}
	g.Clock.Add(8 * 24 * time.Hour)
	if err := g.Ring.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.code(b, asking("library"))
	b.Get(bye("id_token_hint", token, "client_id", "library", "post_logout_redirect_uri", after))
	if b.Left() || b.Status != http.StatusOK || !g.signedIn(b) {
		t.Fatalf("%d at %s", b.Status, b.Location())
	}
	if b.Submit("Sign out"); b.Location() != after || g.signedIn(b) {
		t.Errorf("at %s", b.Location())
	}
}

// receiver is a service that hears of sign-outs.
type receiver struct {
	status int
	forms  []url.Values
}

func (v *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.URL.Path != "/out" {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	v.forms = append(v.forms, r.PostForm)
	if v.status == http.StatusFound {
		w.Header().Set("Location", "https://evil.example.org/out")
	}
	w.WriteHeader(v.status)
}

// hears sets up a service at its sign-out address and the work that tells it.
func (g *gate) hears(id string, status int) *receiver {
	v := &receiver{status: status}
	g.wire.hosts["https://"+id+".example.org"] = v
	g.Jobs.Handle(session.SignOutKind(oidc.Name), func(ctx context.Context, task jobs.Task) error {
		var visit session.Visit
		if err := json.Unmarshal(task.Payload, &visit); err != nil {
			return err
		}
		return g.front.SignOut(ctx, visit)
	})
	return v
}

func (g *gate) work() {
	g.T.Helper()
	if _, err := g.Jobs.RunDue(g.T.Context()); err != nil {
		g.T.Fatal(err)
	}
}

// signedLogoutToken catches a logout token of ours.
func (g *gate) signedLogoutToken(t *testing.T) string {
	g.client("catcher", members{"backchannel_logout_uri": "https://catcher.example.org/out"})
	v := g.hears("catcher", http.StatusOK)
	if err := g.front.SignOut(t.Context(), session.Visit{ID: "v", Session: "s", Account: g.hanak.ID, Party: "catcher"}); err != nil {
		t.Fatal(err)
	}
	return v.forms[0].Get("logout_token")
}

func TestBackChannelLogout(t *testing.T) {
	g := open(t)
	b, token := leaver(g, members{"backchannel_logout_uri": "https://library.example.org/out", "backchannel_logout_session_required": true})
	v := g.hears("library", http.StatusNoContent)
	g.client("silent", nil)
	silent := g.redeem("silent", g.code(b, asking("silent")))
	was := g.claims(token)
	b.Get(bye("id_token_hint", token))
	g.work()
	if len(v.forms) != 1 || len(v.forms[0]) != 1 {
		t.Fatalf("told %v", v.forms)
	}
	is := g.claims(v.forms[0].Get("logout_token"))
	if is["iss"] != issuer || is["aud"] != "library" || is["sub"] != was["sub"] || is["sid"] != was["sid"] || is["jti"] == "" || is["nonce"] != nil {
		t.Errorf("claims %v", is)
	}
	events, _ := is["events"].(map[string]any)
	if body, ok := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any); !ok || len(body) != 0 || len(events) != 1 {
		t.Errorf("events %v", is["events"])
	}
	if is["exp"].(float64)-is["iat"].(float64) > 120 {
		t.Error("the logout token lives too long")
	}
	signed, err := jose.ParseSignedCompact(v.forms[0].Get("logout_token"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || signed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType] != "logout+jwt" {
		t.Errorf("type %v %v", signed.Signatures[0].Protected.ExtraHeaders, err)
	}
	if e := g.events("oidc.logout"); len(e) != 1 || e[0].Type != "oidc.logout.told" || e[0].Facts["status"] != "204" || e[0].Account != g.hanak.ID {
		t.Errorf("on record %+v", e)
	}
	g.refused(g.userInfo(silent.text("access_token")), http.StatusUnauthorized, "invalid_token")
	g.refused(g.renew("silent", silent.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
}

func TestBackChannelLogoutIsTriedAgainWhereThatHelps(t *testing.T) {
	for status, tries := range map[int]int{500: 3, 503: 3, 429: 3, 400: 1, 404: 1, 302: 1, 200: 1} {
		g := open(t)
		b, token := leaver(g, members{"backchannel_logout_uri": "https://library.example.org/out"})
		v := g.hears("library", status)
		evil := &receiver{status: 200}
		g.wire.hosts["https://evil.example.org"] = evil
		b.Get(bye("id_token_hint", token))
		for range 3 {
			g.work()
			g.Clock.Add(time.Hour)
		}
		if len(v.forms) != tries || len(evil.forms) != 0 {
			t.Errorf("%d: told %d times, elsewhere %d", status, len(v.forms), len(evil.forms))
		}
		if e := g.events("oidc.logout"); len(e) != tries || e[0].Facts["status"] != strconv.Itoa(status) {
			t.Errorf("%d: on record %+v", status, e)
		}
	}
}

// Whatever ends a session reaches the services: an administrator, a new person at
// the browser, a reset.
func TestEverySessionEndReachesTheServices(t *testing.T) {
	g := open(t)
	b, _ := leaver(g, members{"backchannel_logout_uri": "https://library.example.org/out"})
	v := g.hears("library", http.StatusOK)
	g.Write(func(tx *store.Tx) error { return g.Sessions.EndAll(tx, g.hanak.ID, "reset", "") })
	g.work()
	if len(v.forms) != 1 || g.signedIn(b) {
		t.Errorf("told %d times", len(v.forms))
	}
}
