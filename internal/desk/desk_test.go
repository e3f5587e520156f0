package desk_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/desk"
	"seimon/internal/directory"
	"seimon/internal/factor/mailcode"
	"seimon/internal/factor/password"
	"seimon/internal/factor/totp"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/web"
	"seimon/internal/web/webtest"
)

func words(t *testing.T) *lang.Words {
	t.Helper()
	w, err := lang.New(time.UTC, desk.Words(), web.Words(), password.Words(), totp.Words(), mailcode.Words())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestEveryKindOfNetworkIsExplained(t *testing.T) {
	w := words(t)
	for _, tag := range w.Tags() {
		for _, kind := range []authn.ZoneKind{authn.Campus, authn.VPN, authn.Eduroam, authn.Guest, authn.Relay, authn.Elsewhere} {
			if !w.In(tag).Has("desk.what." + string(kind)) {
				t.Errorf("%s: nothing is said about %s", tag, kind)
			}
		}
	}
}

func TestRequirementsAreToldInWholeSentences(t *testing.T) {
	p := words(t).In(lang.EN)
	for _, c := range []struct {
		r    authn.Requirement
		want string
	}{
		{authn.Requirement{}, "Your password is enough."},
		{authn.Requirement{Classes: 2}, "Your password and a second step are needed."},
		{authn.Requirement{Classes: 2, TrustedBrowser: true}, "Your password and a second step are needed. In a browser that you trust, the second step is left out."},
		{authn.Requirement{Classes: 1, TrustedBrowser: true}, "Your password is enough."},
		{authn.Requirement{Classes: 2, Fresh: 5 * time.Minute}, "Your password and a second step are needed. The proof may not be older than 5 minutes."},
		{authn.Requirement{Kinds: []authn.Kind{"totp", "mailcode", "passkey"}}, "Your password and one of these are needed: One-time password app, Code by mail."},
		{authn.Requirement{Kinds: []authn.Kind{"passkey"}}, "Your password and one of these are needed: passkey."},
		{authn.Requirement{Kinds: []authn.Kind{authn.KindNone}}, "Nobody can enter from here: the rules ask for something that does not exist."},
		{authn.Requirement{PhishingResistant: true}, "A client certificate, an IC card or a passkey is needed."},
		{authn.Requirement{HardwareBound: true, PhishingResistant: true}, "An IC card or a security key is needed."},
	} {
		if got := strings.Join(desk.Asks(p, c.r), " "); got != c.want {
			t.Errorf("%+v: %q", c.r, got)
		}
	}
	if got := desk.Kinds(words(t).In(lang.JA), []authn.Kind{"password", "totp"}); got != "パスワード、ワンタイムパスワードアプリ" {
		t.Error(got)
	}
}

// gate is a site behind a declared proxy that shows how it sees each request.
func gate(t *testing.T, doc string) http.Handler {
	t.Helper()
	d, err := policy.Parse("policy.toml", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	site, err := web.New(web.Config{
		Origin: "https://sso.example.ac.jp", Words: words(t), ProxyHeader: "X-Forwarded-For",
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := desk.Templates(site); err != nil {
		t.Fatal(err)
	}
	parties := []rp.Party{
		{ID: "webmail", Names: map[lang.Tag]string{lang.EN: "Webmail"}},
		{ID: "closed", Names: map[lang.Tag]string{lang.EN: "Closed"}, Disabled: true},
	}
	site.Page("GET /zone", func(w http.ResponseWriter, r *http.Request) error {
		view := desk.See(r, desk.Forecaster{Doc: d, Now: time.Unix(1e9, 0)}, nil, parties)
		return site.Render(w, r, web.View{Template: "desk.gate", Title: "desk.gate.network", Data: view})
	})
	return site.Handler()
}

func TestTheGateTellsTheWholeWay(t *testing.T) {
	for _, c := range []struct {
		name, peer, header, other string
		want, not                 []string
	}{
		{name: "straight", peer: "203.0.113.9:1", want: []string{"You count as off campus", "203.0.113.9", "IPv4", "none of the ranges", "Webmail", "second step", "On campus: Your password is enough"}, not: []string{"passes requests on", "Closed"}},
		{name: "through the declared proxy", peer: "10.9.0.1:1", header: "10.1.2.3", want: []string{"You count as on campus", "Your device or its network 10.1.2.3", "A server of the university that passes requests on 10.9.0.1", "10.0.0.0/8", "X-Forwarded-For", "main-lan"}, not: []string{"did not believe"}},
		{name: "two proxies", peer: "10.9.0.1:1", header: "203.0.113.9, 10.9.0.2", want: []string{"203.0.113.9", "10.9.0.2", "10.9.0.1", "off campus"}},
		{name: "a lie before the proxy", peer: "10.9.0.1:1", header: "10.1.2.3, 203.0.113.9", want: []string{"203.0.113.9", "off campus"}, not: []string{"10.1.2.3"}},
		{name: "a lie without a proxy", peer: "203.0.113.9:1", header: "10.1.2.3", want: []string{"203.0.113.9", "We did not believe them", "X-Forwarded-For", "off campus"}, not: []string{"10.1.2.3"}},
		{name: "a silent proxy", peer: "10.9.0.1:1", want: []string{"Not known", "did not say whose request it passes on", "off campus"}},
		{name: "eduroam", peer: "192.0.2.7:1", want: []string{"This is eduroam", "192.0.2.0/24", "change to the university"}},
		{name: "a gap", peer: "[2001:db8::7]:1", want: []string{"IPv6", "only IPv4 ranges for the campus", "2001:db8::7"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := webtest.New(t, "https://sso.example.ac.jp", gate(t, strings.Replace(logintest.Policy, `, "2001:db8:1::/48"`, "", 1)))
			b.Address, b.Accept = c.peer, "en"
			if c.header != "" {
				b.Extra.Set("X-Forwarded-For", c.header)
			}
			b.Get("/zone").WantStatus(http.StatusOK).Want(c.want...).Refuse(c.not...)
		})
	}
}

func TestForecastsNameWhatIsLost(t *testing.T) {
	d, err := policy.Parse("policy.toml", []byte(logintest.Policy))
	if err != nil {
		t.Fatal(err)
	}
	h := logintest.New(t, nil, []lang.Source{desk.Words()})
	f := desk.Forecaster{Doc: d, Factors: h.Factors, Now: h.Clock.Now()}
	account := directory.Account{ID: "acc", State: directory.Active}
	app := []authn.Authenticator{{Kind: "password", Traits: h.Factors.Of("password").Traits()}, {Kind: "totp", Traits: h.Factors.Of("totp").Traits()}}
	before := desk.Standing{Account: account, Has: app}
	after := desk.Standing{Account: account, Has: app[:1]}
	parties := []rp.Party{{ID: "library"}, {ID: "webmail"}, {ID: "payroll"}}
	got := f.Losses(before, after, parties)
	if len(got) != 2 || got[0].Party.ID != "webmail" || got[0].Campus || !got[0].Away || got[1].Party.ID != "payroll" || !got[1].Campus || !got[1].Away {
		t.Errorf("%+v", got)
	}
	if lost := f.Losses(after, before, parties); len(lost) != 0 {
		t.Errorf("having more loses %+v", lost)
	}
	account.State = directory.Suspended
	if f.For(desk.Standing{Account: account, Has: app}, desk.OnCampus(), "library").Open() != true {
		t.Error("before anything is proved a forecast tells that the account is suspended")
	}
	if f.For(f.AfterPassword(desk.Standing{Account: account, Has: app}), desk.OnCampus(), "library").Open() {
		t.Error("a suspended account gets in")
	}
}
