package policy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

type desk struct {
	t      *testing.T
	db     *store.DB
	book   *policy.Book
	words  *lang.Words
	tag    lang.Tag
	files  fstest.MapFS
	out    bytes.Buffer
	events []string
	known  []string
}

func newDesk(t *testing.T) *desk {
	db, _ := storetest.Open(t, policy.Schema())
	return &desk{t: t, db: db, book: policy.NewBook(db), words: allWords(t), tag: lang.EN, files: fstest.MapFS{}, known: []string{"payroll", "library"}}
}

func allWords(t testing.TB) *lang.Words {
	t.Helper()
	w, err := lang.New(nil, policy.Words())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (d *desk) Context() context.Context                { return d.t.Context() }
func (d *desk) Out() io.Writer                          { return &d.out }
func (d *desk) Open(name string) (io.ReadCloser, error) { return d.files.Open(name) }
func (d *desk) Words() (lang.Printer, error)            { return d.words.In(d.tag), nil }
func (d *desk) Rules() (policy.Office, error) {
	return policy.Office{
		DB: d.db, Book: d.book, Actor: "admin",
		Known: func(*store.Tx) (func(string) bool, error) {
			return func(s string) bool { return slices.Contains(d.known, s) }, nil
		},
		Note: func(tx *store.Tx, event string, facts map[string]string) error {
			d.events = append(d.events, event+" "+facts["before"]+">"+facts["version"])
			return nil
		},
	}, nil
}

func (d *desk) file(name, text string) string {
	d.files[name] = &fstest.MapFile{Data: []byte(text)}
	return name
}

func (d *desk) printed() string {
	s := d.out.String()
	d.out.Reset()
	return s
}

func TestApplyShowsWhatChangesAndKeepsARecord(t *testing.T) {
	d := newDesk(t)
	one := d.file("one.toml", "[[rule]]\nname = \"all\"\nclasses = 2\n[enrolment]\nclasses = 2\nwith = [\"recovery\", \"deskpass\"]\n")
	if err := (&policy.ApplyCommand{File: one}).Run(d); err != nil {
		t.Fatal(err)
	}
	if got := d.printed(); !strings.Contains(got, "Rule “two classes everywhere” is removed.") || !strings.Contains(got, "Rule “all” is added.") || !strings.Contains(got, "Version 1 is in force.") {
		t.Error(got)
	}
	if err := (&policy.ApplyCommand{File: one}).Run(d); err != nil {
		t.Fatal(err)
	}
	if got := d.printed(); !strings.Contains(got, "already") {
		t.Error(got)
	}
	two := d.file("two.toml", "[[rule]]\nname = \"all\"\nclasses = 1\n[mailcode]\nlifetime = \"24h\"\n[enrolment]\nclasses = 2\nwith = [\"deskpass\", \"recovery\"]\n")
	d.tag = lang.JA
	if err := (&policy.DiffCommand{File: two}).Run(d); err != nil {
		t.Fatal(err)
	}
	if got := d.printed(); got != "規則「all」が変わります。これまで：every service / everybody / everywhere: classes 2。これから：every service / everybody / everywhere: classes 1\n設定 mailcode.lifetime が 10m から 24h に変わります。\n" {
		t.Error(got)
	}
	if err := (&policy.ApplyCommand{File: two, JSON: true}).Run(d); err != nil {
		t.Fatal(err)
	}
	var out struct {
		Version           int64
		Changes, Findings []struct{ Code, Text string }
	}
	if err := json.Unmarshal([]byte(d.printed()), &out); err != nil || out.Version != 2 || len(out.Changes) != 2 || len(out.Findings) != 2 {
		t.Errorf("%+v %v", out, err)
	}
	if want := []string{"policy.applied 0>1", "policy.applied 1>2"}; !slices.Equal(d.events, want) {
		t.Errorf("%v", d.events)
	}
	if err := (&policy.VersionsCommand{}).Run(d); err != nil || strings.Count(d.printed(), "admin") != 2 {
		t.Error(err)
	}
	first := int64(1)
	if err := (&policy.ShowCommand{Version: &first}).Run(d); err != nil || d.printed() != string(d.files["one.toml"].Data) {
		t.Error(err)
	}
	if err := (&policy.DiffCommand{File: "one.toml", From: &first}).Run(d); err != nil || d.printed() != "変わるところはありません。\n" {
		t.Error(err)
	}
	ninth := int64(9)
	if err := (&policy.ShowCommand{Version: &ninth}).Run(d); err == nil || !strings.Contains(err.Error(), "no policy version 9") {
		t.Error(err)
	}
}

func TestBadDocumentChangesNothing(t *testing.T) {
	d := newDesk(t)
	bad := d.file("bad.toml", "[[rule]]\nservice = \"payrol\"\nclasses = 2\n")
	for _, run := range []func() error{
		func() error { return (&policy.ApplyCommand{File: bad}).Run(d) },
		func() error { return (&policy.CheckCommand{File: bad}).Run(d) },
		func() error { return (&policy.CheckCommand{File: bad, JSON: true}).Run(d) },
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), `bad.toml:2: there is no service "payrol"`) {
			t.Errorf("%v", err)
		}
	}
	if got := d.printed(); !strings.Contains(got, `"valid": false`) || !strings.Contains(got, "bad.toml:2") {
		t.Error(got)
	}
	if err := (&policy.VersionsCommand{}).Run(d); err != nil || !strings.Contains(d.printed(), "built-in") || len(d.events) > 0 {
		t.Error(err, d.events)
	}
	if err := (&policy.CheckCommand{File: bad, Alone: true}).Run(d); err != nil {
		t.Error(err)
	}
	if err := (&policy.CheckCommand{File: "missing.toml"}).Run(d); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	weak := d.file("weak.toml", "[[rule]]\n")
	if err := (&policy.CheckCommand{File: weak, Strict: true}).Run(d); !errors.Is(err, policy.ErrUnwise) {
		t.Error(err)
	}
	if got := d.printed(); !strings.Contains(got, "weak.toml:1: In rule") || !strings.Contains(got, "(rule.password-alone)") {
		t.Error(got)
	}
}

func TestAsk(t *testing.T) {
	d := newDesk(t)
	file := d.file("full.toml", full)
	c := policy.AskCommand{Service: "payroll", Address: netip.MustParseAddr("10.9.7.1"), Groups: []string{"student"}, File: file}
	if err := c.Run(d); err != nil {
		t.Fatal(err)
	}
	if got := d.printed(); got != "zone     library-eduroam (eduroam) 10.9.0.0/16\nrule     payroll in the library\nasks     classes 1, phishing_resistant\nrefused  R2: only for staff, faculty\nwhy      most specific: service > zone; service is for staff, faculty\n" {
		t.Error(got)
	}
	c.File, c.JSON = "", true
	if err := c.Run(d); err != nil {
		t.Fatal(err)
	}
	var a policy.Answer
	if err := json.Unmarshal([]byte(d.printed()), &a); err != nil || a.Zone.Kind != authn.Elsewhere || a.Rule != "two classes everywhere" || a.Requirement.Classes != 2 {
		t.Errorf("%+v %v", a, err)
	}
}

func TestExampleIsSound(t *testing.T) {
	d := newDesk(t)
	if err := (&policy.ExampleCommand{}).Run(d); err != nil {
		t.Fatal(err)
	}
	text := d.printed()
	doc := parse(t, text)
	if err := doc.Check(func(s string) bool { return s == "library" || s == "payroll" }); err != nil {
		t.Error(err)
	}
	var codes []string
	for _, f := range doc.Lint() {
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	// The price of the seeds' policy, and nothing else.
	want := []string{"rule.mailcode", "rule.password-alone", "rule.password-alone", "rule.password-alone", "rule.portal"}
	if !slices.Equal(codes, want) {
		t.Errorf("%v", codes)
	}
	for _, c := range []struct {
		service, addr, groups, rule, asks string
		refused                           authn.Code
	}{
		{"webmail", "10.1.2.3", "student", "on campus", "classes 1", ""},
		{"webmail", "10.250.1.1", "student", "on campus", "classes 1", ""},
		{"webmail", "10.240.1.1", "student", "off campus", "classes 1, kinds clientcert|mailcode|matrix|passkey|totp, trusted_browser", ""},
		{"webmail", "2001:db8:241::9", "student", "off campus", "classes 1, kinds clientcert|mailcode|matrix|passkey|totp, trusted_browser", ""},
		{"webmail", "203.0.113.9", "student", "off campus", "classes 1, kinds clientcert|mailcode|matrix|passkey|totp, trusted_browser", ""},
		{"library", "203.0.113.9", "student", "library", "classes 1", ""},
		{"payroll", "10.1.2.3", "staff", "payroll", "classes 2, fresh 5m", ""},
		{"payroll", "10.1.2.3", "student", "payroll", "classes 2, fresh 5m", "R2"},
		{"portal", "203.0.113.9", "student", "portal off campus", "classes 2", ""},
		{"portal", "10.1.2.3", "student", "portal on campus", "classes 1, fresh 1h", ""},
	} {
		addr := netip.MustParseAddr(c.addr)
		r := doc.Rule(policy.Question{Service: c.service, Groups: []string{c.groups}, Zone: doc.Zone(addr), Addr: addr})
		if r.Name != c.rule || policy.Describe(r.Requirement) != c.asks || r.Refused != c.refused {
			t.Errorf("%s from %s: %s, %s, %s", c.service, c.addr, r.Name, policy.Describe(r.Requirement), r.Refused)
		}
	}
}

func TestLint(t *testing.T) {
	campus := zone("lan", "campus", `"10.0.0.0/8"`, `"2001:db8::/32"`)
	all := "[[rule]]\nclasses = 2\n"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {all, ""},
		"built-in":            {string(policy.Default().Text()), ""},
		"password alone":      {"[[rule]]\n", "rule.password-alone:1"},
		"in the portal":       {all + "[[rule]]\nservice = \"portal\"\n", "rule.password-alone:3 rule.portal:3"},
		"short":               {"[[rule]]\n[password]\nalone = 12\n", "rule.password-alone:1 password.alone:3"},
		"short but not alone": {all + "[password]\nalone = 12\n", ""},
		"mail code":           {"[[rule]]\nkinds = [\"mailcode\"]\n", "rule.mailcode:2"},
		"mail code as class":  {"[[rule]]\nclasses = 2\nkinds = [\"totp\", \"mailcode\"]\n", "rule.mailcode:3 rule.unreachable:3"},
		"unreachable traits":  {"[[rule]]\nphishing_resistant = true\nkinds = [\"totp\", \"passkey\"]\n", "rule.unreachable:3"},
		"trust for nothing":   {"[[rule]]\ntrusted_browser = true\n", "rule.password-alone:1 rule.trust-without-effect:2"},
		"trust for no days":   {"[[rule]]\nclasses = 2\ntrusted_browser = true\n[trusted_browser]\ndays = 0\n", "rule.trust-without-days:3"},
		"long trust":          {all + "[trusted_browser]\ndays = 31\n", "trusted_browser.days:4"},
		"thirty days":         {all + "[trusted_browser]\ndays = 30\n", ""},
		"mail life":           {all + "[mailcode]\nlifetime = \"11m\"\n", "mailcode.lifetime:4"},
		"mail life, the seed": {all + "[mailcode]\nlifetime = \"24h\"\n", "mailcode.lifetime:4"},
		"server-made keys":    {all + "[clientcert]\nserver_made = true\n", "clientcert.server_made:4"},
		"last wins":           {all + "[totp]\nlast_wins = true\n", "totp.last_wins:4"},
		"no default":          {campus + "[[rule]]\nzones = [\"lan\"]\nclasses = 2\n", "rule.no-default:0"},
		"zones unused":        {campus + all, "zone.no-effect:1"},
		"zones missing":       {all + "[enrolment]\nzones = [\"on-campus\"]\n", "zone.none:0"},
		"only IPv4":           {zone("lan", "campus", `"10.0.0.0/8"`) + all + "[enrolment]\nzones = [\"lan\"]\n", "zone.ipv6:1"},
		"guest only IPv4":     {campus + zone("g", "guest", `"192.0.2.0/24"`) + all + "[enrolment]\nzones = [\"lan\"]\n", "zone.ipv6:5"},
		"wide":                {zone("lan", "campus", `"0.0.0.0/0"`, `"::/0"`) + all + "[enrolment]\nzones = [\"lan\"]\n", "zone.wide:1 zone.wide:1"},
		"enrolment weak":      {all + "[enrolment]\nclasses = 1\n", "enrolment.password-alone:3"},
		"enrolment open":      {campus + all + "[enrolment]\nzones = [\"guest\"]\n", "enrolment.off-campus:7"},
		"enrolment by mail":   {all + "[enrolment]\nwith = [\"mailcode\"]\n", "enrolment.mailcode:3"},
		"enrolment closed":    {all + "[enrolment]\nclasses = 0\n", "enrolment.closed:3"},
		"apart":               {"[group.a]\n[group.b]\n" + all + "[[rule]]\ngroups = [\"a\"]\nkinds = [\"totp\"]\n[[rule]]\ngroups = [\"b\"]\nkinds = [\"matrix\"]\n", "rule.apart:8"},
		"same agreement":      {all + "[agreement]\nversion = \"1\"\nja = \"x\"\nen = \"x\"\n", "agreement.same:3"},
	} {
		words := allWords(t)
		var got []string
		for _, f := range parse(t, c.text).Lint() {
			got = append(got, f.Code+":"+string(rune('0'+f.Line)))
			for _, tag := range words.Tags() {
				if s := words.In(tag).Text(f.ID, f.Facts); strings.Contains(s, "{{") {
					t.Errorf("%s: %s", f.Code, s)
				}
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", name, s, c.want)
		}
	}
}

func TestDiffSpeaksInSentences(t *testing.T) {
	old := parse(t, full)
	changed := strings.NewReplacer(
		`"10.0.0.0/8", "2001:db8::/32"`, `"10.0.0.0/8", "2001:db8::/36"`,
		`[group.student]`, "[group.student]\nja = \"学生\"\nen = \"Students\"\n[group.guest]",
		`groups = ["staff", "faculty"]`, `groups = ["staff"]`,
		`devices = 1`, `devices = 3`,
		"name = \"payroll in the library\"", "name = \"reading room\"",
		`with = ["matrix+mailcode", "recovery"]`, `with = ["recovery"]`,
	).Replace(full)
	words := allWords(t)
	got := map[lang.Tag][]string{}
	for _, c := range policy.Diff(old, parse(t, changed)) {
		for _, tag := range words.Tags() {
			got[tag] = append(got[tag], words.In(tag).Text(c.ID, c.Facts))
		}
	}
	want := []string{
		"Group “guest” is added.",
		"Group “student” gets other names: becomes (学生, Students).",
		"Zone “main-lan” changes. It loses 2001:db8::/32 and gains 2001:db8::/36.",
		"Service “payroll” is from now on for staff instead of faculty,staff.",
		"Rule “payroll in the library” is removed. It was: payroll / everybody / library-eduroam: classes 1, phishing_resistant.",
		"Rule “reading room” is added. payroll / everybody / library-eduroam: classes 1, phishing_resistant.",
		"Enrolment of “*” changes. It was: zones on-campus, classes 2, with matrix+mailcode|recovery, fresh 10m. It becomes: zones on-campus, classes 2, with recovery, fresh 10m.",
		"Setting totp.devices changes from 1 to 3.",
	}
	if !slices.Equal(got[lang.EN], want) {
		t.Errorf("got\n%s", strings.Join(got[lang.EN], "\n"))
	}
	if len(got[lang.JA]) != len(want) {
		t.Error("ja")
	}
}
