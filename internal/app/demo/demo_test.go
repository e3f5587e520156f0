package demo_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"seimon/internal/app"
	"seimon/internal/app/demo"
	"seimon/internal/app/demo/vcard"
	"seimon/internal/card/pcsc/pcsctest"
	"seimon/internal/web/webtest"
)

// running is a demo that was started with the command line.
type running struct {
	demo.Announcement
	t      testing.TB
	client *http.Client
	stop   func()
	ended  chan int
	errors *bytes.Buffer
}

// announced hands over the first write.
type announced struct {
	first chan []byte
	rest  bytes.Buffer
}

func (a *announced) Write(p []byte) (int, error) {
	select {
	case a.first <- bytes.Clone(p):
	default:
		a.rest.Write(p)
	}
	return len(p), nil
}

// start runs "seimon demo" and waits until it says that it is ready.
func start(t testing.TB, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out := &announced{first: make(chan []byte, 1)}
	r := &running{t: t, stop: stop, ended: make(chan int, 1), errors: &bytes.Buffer{}}
	go func() {
		s := app.Streams{In: iotest.ErrReader(io.EOF), Out: out, Err: r.errors}
		r.ended <- app.Run(ctx, append([]string{"demo", "--json", "--listen", "127.0.0.1:0"}, args...), s, demo.Extra())
	}()
	select {
	case text := <-out.first:
		if err := json.Unmarshal(text, &r.Announcement); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	case code := <-r.ended:
		t.Fatalf("the demo ended with %d: %s", code, r.errors)
	case <-time.After(3 * time.Minute):
		t.Fatal("the demo does not begin")
	}
	t.Cleanup(func() {
		stop()
		<-r.ended
	})
	r.client = r.newClient()
	return r
}

// newClient trusts the demo's authority and finds its hosts.
func (r *running) newClient() *http.Client {
	r.t.Helper()
	text, err := os.ReadFile(r.CAFile)
	if err != nil {
		r.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		r.t.Fatalf("%s holds no certificate", r.CAFile)
	}
	return &http.Client{
		Timeout:       2 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool},
			DialContext: func(ctx context.Context, kind, address string) (net.Conn, error) {
				_, port, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				return (&net.Dialer{}).DialContext(ctx, kind, net.JoinHostPort("127.0.0.1", port))
			},
		},
	}
}

// wire is the demo as a handler: every request goes over TLS.
func (r *running) wire(w http.ResponseWriter, q *http.Request) {
	out := q.Clone(q.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "https", q.Host
	answer, err := r.client.Do(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	io.Copy(w, answer.Body) //nolint:errcheck // the recorder takes everything
}

// browser opens a browser that knows every host of the demo.
func (r *running) browser(t testing.TB, accept string) *webtest.Browser {
	t.Helper()
	b := webtest.New(t, r.SSO, http.HandlerFunc(r.wire))
	b.Accept = accept
	b.Serve(strings.TrimSuffix(r.Home, "/"), http.HandlerFunc(r.wire))
	for _, s := range r.Services {
		b.Serve(strings.TrimSuffix(s.URL, "/"), http.HandlerFunc(r.wire))
	}
	return b
}

// somebody finds an account of a kind, with or without an app.
func (r *running) somebody(kind string, app bool, skip int) demo.Citizen {
	r.t.Helper()
	for _, p := range r.People {
		if p.Kind == kind && p.Trouble == "" && (p.TOTPSecret != "") == app {
			if skip--; skip < 0 {
				return p
			}
		}
	}
	r.t.Fatalf("nobody is %s", kind)
	return demo.Citizen{}
}

func (r *running) trouble(name string) demo.Citizen {
	r.t.Helper()
	for _, p := range r.People {
		if p.Trouble == name {
			return p
		}
	}
	r.t.Fatalf("nobody is in the trouble %q", name)
	return demo.Citizen{}
}

func (r *running) service(id string) demo.Offered {
	r.t.Helper()
	for _, s := range r.Services {
		if s.Name == id {
			return s
		}
	}
	r.t.Fatalf("there is no service %q", id)
	return demo.Offered{}
}

// code reads the present one-time code where a visitor would.
func (r *running) code(user string) string {
	r.t.Helper()
	b := r.browser(r.t, "en")
	b.Get(r.Home + "people/" + user).WantStatus(http.StatusOK)
	for _, n := range b.Page().All("p") {
		if n.Attr["id"] == "code" {
			return n.Text()
		}
	}
	r.t.Fatalf("no code on the page of %s:\n%s", user, b.Text())
	return ""
}

// move changes the network of a browser as the switch does.
func (r *running) move(b *webtest.Browser, network string) {
	r.t.Helper()
	b.Get(r.SSO + "/demo/network/" + network + "?return=" + url.QueryEscape(r.Home+"network")).WantStatus(http.StatusOK)
	if !strings.HasPrefix(b.Location(), r.Home+"network") {
		r.t.Fatalf("the switch ends at %s", b.Location())
	}
}

// through answers the gate's questions until the browser is somewhere else.
func (r *running) through(b *webtest.Browser, who demo.Citizen) *webtest.Browser {
	r.t.Helper()
	for range 8 {
		switch {
		case !strings.HasPrefix(b.Location(), r.SSO+"/login/") && !strings.Contains(b.Body, `name="SAMLResponse"`):
			return b
		case b.Has("Agree and go on"):
			b.Submit("Agree and go on", "agree", "1")
		case strings.Contains(b.Body, `name="password"`):
			b.Submit("Continue", "password", who.Password)
		case strings.Contains(b.Body, `name="code"`):
			b.Submit("Continue", "code", r.code(who.User))
		case strings.Contains(b.Body, `name="attribute"`):
			b.Submit("Send and go on")
		case strings.Contains(b.Body, `name="SAMLResponse"`):
			b.Submit("Go on")
		case strings.Contains(b.Body, `id="f-username"`):
			b.Submit("Continue", "username", who.User)
		default:
			return b
		}
	}
	return b
}

func TestDemo(t *testing.T) {
	r := start(t)
	t.Run("announcement", r.testAnnouncement)
	t.Run("pages", r.testPages)
	t.Run("networks", r.testNetworks)
	t.Run("library", r.testLibrary)
	t.Run("webmail", r.testWebmail)
	t.Run("payroll", r.testPayroll)
	t.Run("journals", r.testJournals)
	t.Run("courses", r.testCourses)
	t.Run("troubles", r.testTroubles)
	t.Run("sign out", r.testSignOut)
	t.Run("clock", r.testClock)
	t.Run("hosts", r.testHosts)
	t.Run("revocation", r.testRevocation)
	t.Run("end", r.testEnd)
}

func (r *running) testAnnouncement(t *testing.T) {
	if len(r.People) < 190 || len(r.Services) != 5 || len(r.Networks) != 5 {
		t.Errorf("%d people, %d services, %d networks", len(r.People), len(r.Services), len(r.Networks))
	}
	for _, p := range r.People {
		if p.User == "" || len(p.Password) < 15 || p.Kind == "" {
			t.Errorf("%+v", p)
		}
	}
	if r.trouble("pending").ActivationCode == "" || r.trouble("replaced").OldTOTPSecret == "" || r.trouble("changed").FormerPassword == "" {
		t.Error("the secrets of people in trouble are missing")
	}
}

// Programs beside the demo find the issuer, its list and its responder at once.
func (r *running) testRevocation(t *testing.T) {
	text, err := os.ReadFile(r.IssuerCAFile)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	root, _ := pem.Decode(rest)
	if block == nil || root == nil {
		t.Fatal("the file must hold issuer and root")
	}
	issuer, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	take := func(r *http.Response, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatal(r.Status, err)
		}
		return body
	}
	list, err := x509.ParseRevocationList(take(http.Get(r.CRL)))
	if err != nil || list.CheckSignatureFrom(issuer) != nil {
		t.Error("the list", err)
	}
	if said := take(http.Post(r.OCSP, "application/ocsp-request", strings.NewReader("hello"))); !bytes.Equal(said, []byte{0x30, 3, 10, 1, 1}) {
		t.Errorf("the responder says %x to nonsense", said) // RFC 6960 4.2.1, malformedRequest
	}
}

func (r *running) testPages(t *testing.T) {
	for lang, texts := range map[string][]string{"ja": {"正門大学", "人びと", "メール箱"}, "en": {"Seimon University", "People", "Mailbox"}} {
		b := r.browser(t, lang)
		b.Get(r.Home).WantStatus(http.StatusOK).Want(texts...)
		for _, path := range []string{"people", "people?kind=trouble", "people?q=" + url.QueryEscape("サトウ"), "mailbox", "network", "trust"} {
			b.Get(r.Home + path).WantStatus(http.StatusOK)
		}
		b.Get(r.Home + "people/nobody").WantStatus(http.StatusNotFound)
		for _, s := range r.Services {
			b.Get(s.URL).WantStatus(http.StatusOK)
		}
	}
	b := r.browser(t, "en")
	if b.Get(r.Home + "ca.pem"); !strings.Contains(b.Body, "BEGIN CERTIFICATE") || strings.Contains(b.Body, "PRIVATE") {
		t.Error("the certificate is not given")
	}
}

func (r *running) testNetworks(t *testing.T) {
	b := r.browser(t, "en")
	for _, n := range r.Networks {
		r.move(b, n.Name)
		if got := b.Cookie("__Host-demo-network"); got != n.Name {
			t.Errorf("the gate's cookie says %q, want %q", got, n.Name)
		}
	}
	b.Get(r.service("library").URL).Want("You are on: Home")
	b.Get(r.SSO + "/demo/network/moon").WantStatus(http.StatusNotFound)
	for _, foreign := range []string{"https://evil.example/", "https://demo.localhost.evil.example/", "https://demo.localhost@evil.example/", "//evil.example", "javascript:alert(1)"} {
		b.Get(r.SSO + "/demo/network/home?return=" + url.QueryEscape(foreign)).WantStatus(http.StatusOK)
		if b.Location() != r.Home {
			t.Errorf("%s leads to %s", foreign, b.Location())
		}
	}
}

func (r *running) testLibrary(t *testing.T) {
	b := r.browser(t, "en")
	who := r.somebody("student", false, 0)
	r.move(b, "home")
	b.Get(r.service("library").URL).Click("Sign in")
	r.through(b, who).Want("You are signed in", who.NameLatin, "aal1")
	b.Refuse("preferred_username") // the library was not granted it
	more := r.browser(t, "en")
	more.Extra.Set("X-Demo-Network", "home")
	with := r.somebody("student", true, 0)
	more.Get(r.service("library").URL).Click("Sign in")
	r.through(more, with).Want("You are signed in", "aal1").Click("Prove a second step too")
	r.through(more, with).Want("You are signed in", "aal2").Refuse("Prove a second step too")
}

func (r *running) testWebmail(t *testing.T) {
	who := r.somebody("student", true, 1)
	campus, home := r.browser(t, "en"), r.browser(t, "en")
	campus.Get(r.service("webmail").URL).Click("Sign in")
	r.through(campus, who).Want("You are signed in", "aal1")
	home.Extra.Set("X-Demo-Network", "home")
	home.Get(r.service("webmail").URL).Click("Sign in")
	r.through(home, who).Want("You are signed in", "aal2", `["mfa","otp","pwd"]`)
	home.Submit("Refresh").Want("You are signed in")

	without := r.browser(t, "en")
	without.Extra.Set("X-Demo-Network", "eduroam")
	without.Get(r.service("webmail").URL).Click("Sign in")
	r.through(without, r.trouble("unfinished"))
	if !strings.HasPrefix(without.Location(), r.SSO) {
		t.Errorf("without a second step one gets to %s", without.Location())
	}
}

// testJournals signs in by SAML, with a signed request and an encrypted assertion.
func (r *running) testJournals(t *testing.T) {
	b := r.browser(t, "en")
	who := r.somebody("student", true, 4)
	b.Get(r.service("journals").URL).Click("Sign in")
	r.through(b, who).Want("You are signed in", "PasswordProtectedTransport", "student@seimon.example", "正門大学", "pairwise-id")
	b.Refuse("eduPersonPrincipalName") // the journals were not granted it
	b.Click("Prove a second step too")
	r.through(b, who).Want("You are signed in", "https://refeds.org/profile/mfa").Refuse("Prove a second step too")
	meta := r.browser(t, "en").Get(r.SAMLMetadata).WantStatus(http.StatusOK)
	if r.service("journals").Protocol != "saml" || !strings.Contains(meta.Body, "<ds:Signature ") || !strings.Contains(meta.Body, "seimon.example</shibmd:Scope>") {
		t.Errorf("%+v %s", r.service("journals"), meta.Body)
	}
	r.testJournalsSignOut(t, b, who)
	alone := r.browser(t, "en")
	without := r.somebody("student", false, 4)
	alone.Get(r.service("journals").URL+"signin?more").Submit("Continue", "username", without.User).Submit("Continue", "password", without.Password)
	alone.Submit("Cancel").Submit("Go on").Want("AuthnFailed").Refuse("You are signed in")
}

// testJournalsSignOut signs out at the journals, which ends the session at the gate and
// at the library, and then at the gate, of which the journals are told.
func (r *running) testJournalsSignOut(t *testing.T, b *webtest.Browser, who demo.Citizen) {
	t.Helper()
	ends := func(name string) {
		t.Helper()
		for range 100 {
			if strings.Contains(b.Get(r.service(name).URL).Text(), "The gate told us") {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Errorf("%s did not hear of the sign-out: %s", name, b.Text())
	}
	b.Get(r.service("library").URL).Click("Sign in")
	r.through(b, who).Want("You are signed in")
	b.Get(r.service("journals").URL).Submit("Sign out").Want("You are signed out: here, at the gate")
	ends("library")
	b.Get(r.service("journals").URL).Click("Sign in").Want("Continue").Refuse("You are signed in")
	r.through(b, who).Want("You are signed in")
	b.Get(r.SSO + "/signout").Submit("Sign out")
	ends("journals")
}

// testCourses signs in by CAS, and hears of a sign-out elsewhere.
func (r *running) testCourses(t *testing.T) {
	b := r.browser(t, "en")
	b.Get(r.service("courses").URL).Click("Sign in")
	who := r.somebody("student", true, 6)
	r.through(b, who).Want("You are signed in", who.User, "isFromNewLogin", "eduPersonAffiliation")
	if s := r.service("courses"); s.Protocol != "cas" || !strings.HasSuffix(s.RedirectURI, "/enter") || s.ClientSecret != "" {
		t.Errorf("%+v", s)
	}
	away := r.browser(t, "en")
	away.Extra.Set("X-Demo-Network", "home")
	away.Get(r.service("courses").URL).Click("Sign in")
	r.through(away, who).Want("You are signed in", "aal2")
	b.Submit("Sign out").Submit("Sign out")
	if !strings.HasPrefix(b.Location(), r.service("courses").URL) {
		t.Errorf("signed out at %s", b.Location())
	}
}

func (r *running) testPayroll(t *testing.T) {
	b := r.browser(t, "en")
	b.Get(r.service("payroll").URL).Click("Sign in")
	r.through(b, r.somebody("staff", true, 2)).Want("You are signed in", "aal2")
	student := r.browser(t, "en")
	student.Get(r.service("payroll").URL).Click("Sign in")
	r.through(student, r.somebody("student", true, 3))
	if !strings.HasPrefix(student.Location(), r.SSO) {
		t.Errorf("a student gets to %s", student.Location())
	}
}

func (r *running) testTroubles(t *testing.T) {
	for _, name := range []string{"pending", "suspended", "expired", "early", "change"} {
		b := r.browser(t, "en")
		b.Get(r.service("library").URL).Click("Sign in")
		r.through(b, r.trouble(name))
		if !strings.HasPrefix(b.Location(), r.SSO) {
			t.Errorf("%s: one gets to %s", name, b.Location())
		}
		b.Refuse("user name or password is wrong")
	}
}

// testSignOut signs in to two services and out at one: the other hears of it.
func (r *running) testSignOut(t *testing.T) {
	b := r.browser(t, "en")
	who := r.somebody("faculty", true, 1)
	b.Get(r.service("webmail").URL).Click("Sign in")
	r.through(b, who).Want("You are signed in")
	b.Get(r.service("library").URL).Click("Sign in")
	r.through(b, who).Want("You are signed in")
	b.Submit("Sign out").Refuse("You are signed in")
	for range 100 {
		if b.Get(r.service("webmail").URL); strings.Contains(b.Text(), "The gate told us that you signed out") {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("webmail never heard of the sign-out:\n%s", b.Text())
}

// testClock types the code of a phone whose clock is slow: the gate names the error.
func (r *running) testClock(t *testing.T) {
	who := r.somebody("student", true, 5)
	b := r.browser(t, "en")
	b.Get(r.Home + "people/" + who.User)
	found := regexp.MustCompile(`three minutes slow, it would show: (\d{6})`).FindStringSubmatch(b.Text())
	if found == nil {
		t.Fatalf("no code of a slow phone:\n%s", b.Text())
	}
	b.Extra.Set("X-Demo-Network", "home")
	b.Get(r.service("webmail").URL).Click("Sign in")
	b.Submit("Continue", "username", who.User).Submit("Continue", "password", who.Password)
	b.Submit("Continue", "code", found[1]).Want("slow")
}

func (r *running) testHosts(t *testing.T) {
	q, err := http.NewRequest(http.MethodGet, r.SSO+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Host = "elsewhere.example"
	answer, err := r.client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a foreign host is answered with %d", answer.StatusCode)
	}
}

func (r *running) testEnd(t *testing.T) {
	dir := filepath.Dir(r.CAFile)
	r.stop()
	select {
	case code := <-r.ended:
		r.ended <- code
		if code != 0 {
			t.Errorf("ended with %d: %s", code, r.errors)
		}
	case <-time.After(time.Minute):
		t.Fatal("the demo does not end")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", dir, err)
	}
}

func TestDemoKeepsItsData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "town")
	r := start(t, "--data", dir)
	secret := r.service("library").ClientSecret
	command := func(want int, args ...string) string {
		t.Helper()
		var out, bad bytes.Buffer
		code := app.Run(t.Context(), append([]string{"--config", r.Config}, args...), app.Streams{In: strings.NewReader(""), Out: &out, Err: &bad}, demo.Extra())
		if code != want {
			t.Errorf("%v ended with %d, want %d: %s", args, code, want, bad.String())
		}
		return out.String()
	}
	who := r.somebody("student", false, 0)
	if out := command(0, "user", "list", who.User); !strings.Contains(out, who.Name) {
		t.Errorf("the running demo lists %q", out)
	}
	command(0, "user", "suspend", who.User, "--why", "rehearsal")
	b := r.browser(t, "en")
	b.Get(r.service("library").URL).Click("Sign in")
	r.through(b, who)
	if !strings.HasPrefix(b.Location(), r.SSO) {
		t.Errorf("a suspended person gets to %s", b.Location())
	}
	r.stop()
	r.ended <- <-r.ended

	again := start(t, "--data", dir)
	if again.service("library").ClientSecret != secret || len(again.People) != len(r.People) {
		t.Error("the second start is another town")
	}
	if out := command(0, "user", "show", who.User); !strings.Contains(out, "suspended") {
		t.Errorf("the suspension is forgotten: %s", out)
	}
	checkPrivate(t, dir)
}

// checkPrivate wants keys to be readable by their owner alone.
func checkPrivate(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"master.key", "ca.key", "tls.key", "seimon.toml"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&fs.FileMode(0o077) != 0 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
	}
}

func TestCardsNeedAReader(t *testing.T) {
	t.Setenv("PCSCLITE_CSOCK_NAME", filepath.Join(t.TempDir(), "none"))
	for name, want := range map[string]string{"no daemon": "start pcscd", "taken": "another virtual card"} {
		if name == "taken" {
			card, err := vcard.New("", 10, 10)
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("PCSCLITE_CSOCK_NAME", pcsctest.New(card).Listen(t))
		}
		var out, bad bytes.Buffer
		code := app.Run(t.Context(), []string{"demo", "--card", "--listen", "127.0.0.1:0"}, app.Streams{In: strings.NewReader(""), Out: &out, Err: &bad}, demo.Extra())
		if code == 0 || !strings.Contains(bad.String(), want) || !strings.Contains(bad.String(), "Without --card the demo needs nothing") {
			t.Errorf("%s: %d %s", name, code, bad.String())
		}
	}
}
