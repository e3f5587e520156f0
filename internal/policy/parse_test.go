package policy_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/policy"
)

func parse(t testing.TB, text string) *policy.Document {
	t.Helper()
	d, err := policy.Parse("campus.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestBadDocuments gives, for each bad document, every line of the refusal.
func TestBadDocuments(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"broken syntax":           {"[[rule]]\nclasses = \n", `2: not valid TOML`},
		"key twice":               {"[totp]\ndevices = 1\ndevices = 2\n", `3: not valid TOML`},
		"unknown key":             {"[[rule]]\nclases = 2\n", `2: unknown key "clases"; did you mean "classes"?`},
		"unknown table":           {"[[zones]]\nname = \"a\"\n", `1: unknown key "zones"; did you mean "zone"?`},
		"keys know their case":    {"[totp]\nDevices = 1\n", `2: unknown key "Devices"; did you mean "devices"?`},
		"unknown key far down":    {"[group.a]\nja = \"あ\"\nen = \"A\"\n[service.x]\ngroups = [\"a\"]\nfoo.bar = 1\n", `6: unknown key "foo"`},
		"wrong types":             {"[[rule]]\nservice = 1\nclasses = \"two\"\ntrusted_browser = 1\nkinds = \"totp\"\nfresh = 5\n", "2: service must be a text that is not empty\n3: classes must be a whole number from 1 to 2\n4: trusted_browser must be true or false\n5: kinds must be a list of texts\n6: fresh must be a duration from 1s to 24h, such as \"10m\" or \"24h\""},
		"table for array":         {"[rule]\nclasses = 2\n", `1: rule must be written as [[rule]]`},
		"array for table":         {"[[totp]]\ndevices = 2\n", `1: totp must be a table: [totp]`},
		"too many classes":        {"[[rule]]\nclasses = 3\n", `2: classes must be a whole number from 1 to 2`},
		"bad durations":           {"[[rule]]\nfresh = \"5 minutes\"\n[mailcode]\nlifetime = \"-1h\"\n", "2: fresh must be a duration from 1s to 24h, such as \"10m\" or \"24h\"\n4: lifetime must be a duration from 1m to 24h, such as \"10m\" or \"24h\""},
		"not a range":             {zone("a", "campus", `"10.0.0.0/33"`), `4: zone "a": "10.0.0.0/33" is not a range such as 192.0.2.0/24 or 2001:db8::/32`},
		"an address":              {zone("a", "campus", `"10.0.0.1"`), `4: zone "a": "10.0.0.1" is an address; for this one address write 10.0.0.1/32`},
		"host bits":               {zone("a", "campus", `"10.1.2.3/8"`, `"2001:db8::1/48"`), "4: zone \"a\": \"10.1.2.3/8\" has bits set behind the /8; write 10.0.0.0/8\n4: zone \"a\": \"2001:db8::1/48\" has bits set behind the /48; write 2001:db8::/48"},
		"mixed families":          {zone("a", "campus", `"::ffff:0.0.0.0/90"`), `4: zone "a": "::ffff:0.0.0.0/90" mixes IPv4 and IPv6; write the IPv4 range`},
		"equal ranges":            {zone("a", "campus", `"10.0.0.0/8"`) + zone("b", "vpn", `"10.0.0.0/8"`), `8: zone "b": range 10.0.0.0/8 is already in zone "a" on line 4`},
		"equal by mapping":        {zone("a", "campus", `"10.0.0.0/8"`) + zone("b", "vpn", `"::ffff:10.0.0.0/104"`), `8: zone "b": range 10.0.0.0/8 is already in zone "a" on line 4`},
		"zone without name":       {"[[zone]]\nkind = \"campus\"\nranges = [\"10.0.0.0/8\"]\n", `1: a zone needs a name`},
		"zone with a kind's name": {zone("campus", "vpn", `"10.0.0.0/8"`), `2: zone "campus": this word is a kind of zone, and not this one's; give the zone another name`},
		"zone twice":              {zone("a", "vpn", `"10.0.0.0/8"`) + zone("a", "vpn", `"10.1.0.0/16"`), `6: zone "a" is already on line 1`},
		"zone of no kind":         {zone("a", "elsewhere", `"10.0.0.0/8"`), `3: zone "a": kind must be one of campus, vpn, eduroam, guest, relay`},
		"zone without ranges":     {zone("a", "campus"), `4: zone "a" has no ranges`},
		"missing zone":            {zone("main-lan", "campus", `"10.0.0.0/8"`) + "[[rule]]\nzones = [\n  \"main-lna\",\n  \"mars\",\n]\n", "7: there is no zone \"main-lna\"; did you mean \"main-lan\"?\n8: there is no zone \"mars\"; declare it with [[zone]] or name a kind of zone"},
		"missing group":           {"[group.staff]\n[[rule]]\ngroups = [\"stafff\", \"dean\"]\n[service.x]\ngroups = [\"nobody\"]\n", "3: there is no group \"stafff\"; did you mean \"staff\"?\n3: there is no group \"dean\"; declare it with [group.dean]\n5: there is no group \"nobody\"; declare it with [group.nobody]"},
		"missing kind":            {"[[rule]]\nkinds = [\"topt\", \"blood\"]\n", "2: there is no factor kind \"topt\"; did you mean \"totp\"?\n2: there is no factor kind \"blood\"; the kinds are clientcert, deskpass, mailcode, matrix, passkey, password, recovery, totp"},
		"kinds that are no step":  {"[[rule]]\nkinds = [\"password\", \"recovery\"]\n", "2: password is the first step; name only what may come after it\n2: recovery opens enrolment and recovery only, never a service"},
		"same rule twice":         {"[[rule]]\nservice = \"x\"\nclasses = 2\n[[rule]]\nservice = \"x\"\n", `4: the rule on line 1 already speaks about x / everybody / everywhere`},
		"same rule in lists":      {"[[rule]]\nzones = [\"campus\", \"vpn\"]\n[[rule]]\nzones = [\"guest\", \"vpn\"]\nclasses = 2\n", `3: the rule on line 1 already speaks about every service / everybody / vpn`},
		"rule name twice":         {"[[rule]]\nname = \"r\"\nservice = \"x\"\n[[rule]]\nname = \"r\"\nservice = \"y\"\n", `5: a rule named "r" is already on line 1`},
		"empty lists":             {"[[rule]]\nzones = []\nkinds = []\n[service.x]\ngroups = []\n", "2: zones is empty; leave it out to mean all of them\n3: kinds is empty; leave it out to mean all of them\n4: service \"x\": say in groups who may use it, or leave the table out: then everybody may"},
		"word twice in a list":    {"[[rule]]\nkinds = [\"totp\", \"totp\"]\n", `2: kinds holds "totp" twice`},
		"enrolment":               {"[enrolment]\nzones = [\"moon\"]\nwith = [\"matrix+mail\"]\n[enrolment.topt]\nclasses = 1\n", "2: there is no zone \"moon\"; declare it with [[zone]] or name a kind of zone\n3: there is no factor kind \"mail\"; the kinds are clientcert, deskpass, mailcode, matrix, passkey, password, recovery, totp\n4: unknown key \"topt\""},
		"agreement":               {"[agreement]\nversion = \"1\"\nja = \"文\"\n", `1: agreement: en is missing`},
		"one language":            {"[group.a]\nja = \"あ\"\n", `1: give the name in both languages: ja and en`},
		"password lengths":        {"[password]\nminimum = 12\nalone = 10\n", `3: alone must not be smaller than minimum (12)`},
		"bad group name":          {"[group.\"a b\"]\n", `1: group "a b": a name is made of letters, digits and - _ . : / @ +`},
		"settings":                {"[trusted_browser]\ndays = 400\n[totp]\ndevices = 0\n", "2: days must be a whole number from 0 to 365\n4: devices must be a whole number from 1 to 20"},
	} {
		d, err := policy.Parse("campus.toml", []byte(c.text))
		var invalid *policy.Invalid
		if !errors.As(err, &invalid) || d != nil {
			t.Errorf("%s: was accepted", name)
			continue
		}
		var want []string
		for line := range strings.SplitSeq(c.want, "\n") {
			want = append(want, "campus.toml:"+line)
		}
		got := strings.Split(err.Error(), "\n")
		same := len(got) == len(want)
		for i := range min(len(got), len(want)) {
			same = same && strings.HasPrefix(got[i], want[i])
		}
		if !same {
			t.Errorf("%s:\n got %s\nwant %s", name, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
}

func zone(name, kind string, ranges ...string) string {
	return fmt.Sprintf("[[zone]]\nname = %q\nkind = %q\nranges = [%s]\n", name, kind, strings.Join(ranges, ", "))
}

func TestHugeDocumentIsRefused(t *testing.T) {
	if _, err := policy.Parse("f", []byte("# "+strings.Repeat("x", 5<<20))); err == nil {
		t.Error("accepted")
	}
}

func TestCheckNamesMissingServices(t *testing.T) {
	d := parse(t, "[group.staff]\n[service.payrol]\ngroups = [\"staff\"]\n[[rule]]\nservice = \"portal\"\n[[rule]]\nclasses = 2\nservice = \"library\"\n[[rule]]\nclasses = 2\n")
	err := d.Check(func(s string) bool { return s == "payroll" })
	if err == nil || err.Error() != "campus.toml:2: there is no service \"payrol\"\ncampus.toml:8: there is no service \"library\"" {
		t.Errorf("%v", err)
	}
	if err := d.Check(anyService); err != nil {
		t.Error(err)
	}
}

const full = `
[group.staff]
ja = "職員"
en = "Staff"
[group.student]
[group.faculty]

[[zone]]
name = "main-lan"
kind = "campus"
ja = "学内LAN"
en = "Campus network"
ranges = ["10.0.0.0/8", "2001:db8::/32"]

[[zone]]
name = "library-eduroam"
kind = "eduroam"
ranges = ["10.9.0.0/16"]

[[zone]]
name = "vpn"
kind = "vpn"
ranges = ["10.9.8.0/24"]

[service.payroll]
groups = ["staff", "faculty"]

[[rule]]
name = "everything"
classes = 2
[[rule]]
name = "campus"
zones = ["on-campus"]
[[rule]]
name = "vpn"
zones = ["vpn"]
fresh = "8h"
[[rule]]
name = "students"
groups = ["student"]
kinds = ["totp"]
[[rule]]
name = "staff off campus"
groups = ["staff"]
zones = ["off-campus"]
classes = 2
trusted_browser = true
[[rule]]
name = "faculty off campus"
groups = ["faculty"]
zones = ["off-campus"]
kinds = ["totp", "mailcode"]
fresh = "1h"
[[rule]]
name = "payroll"
service = "payroll"
classes = 2
fresh = "5m"
[[rule]]
name = "payroll in the library"
service = "payroll"
zones = ["library-eduroam"]
phishing_resistant = true

[enrolment]
zones = ["on-campus"]
classes = 2
with = ["matrix+mailcode", "recovery"]
[enrolment.mailcode]
classes = 2
fresh = "5m"

[trusted_browser]
days = 14
[agreement]
version = "2026-04"
ja = "規約"
en = "Terms"
[password]
alone = 16
[totp]
devices = 1
last_wins = true
[clientcert]
devices = 3
server_made = true
[mailcode]
lifetime = "24h"
`

func TestRuleBySpecificity(t *testing.T) {
	d := parse(t, full)
	for _, c := range []struct {
		service, groups, addr string
		rule                  string
		place                 authn.ZoneKind
		refused               authn.Code
	}{
		{"library", "", "192.0.2.1", "everything", authn.Elsewhere, ""},
		{"library", "", "2001:db9::1", "everything", authn.Elsewhere, ""},
		{"library", "", "10.1.1.1", "campus", authn.Campus, ""},
		{"library", "", "10.9.8.1", "vpn", authn.VPN, ""},
		{"library", "", "10.9.7.1", "everything", authn.Eduroam, ""},
		{"library", "student", "10.1.1.1", "students", authn.Campus, ""}, // a group counts for more than a zone
		{"library", "student", "192.0.2.1", "students", policy.Anywhere, ""},
		{"library", "staff", "192.0.2.1", "staff off campus", authn.Elsewhere, ""},
		{"library", "staff", "10.1.1.1", "campus", authn.Campus, ""},
		{"library", "faculty staff", "192.0.2.1", "faculty off campus + staff off campus", authn.Elsewhere, ""},
		{"payroll", "staff", "10.1.1.1", "payroll", authn.Campus, ""},
		{"payroll", "staff", "192.0.2.1", "payroll", policy.Anywhere, ""},
		{"payroll", "staff", "10.9.7.1", "payroll in the library", authn.Eduroam, ""},
		{"payroll", "student", "192.0.2.1", "payroll", policy.Anywhere, "R2"},
	} {
		addr := netip.MustParseAddr(c.addr)
		r := d.Rule(policy.Question{Service: c.service, Groups: strings.Fields(c.groups), Zone: d.Zone(addr), Addr: addr})
		if r.Name != c.rule || r.Place != c.place || r.Refused != c.refused || len(r.Why) == 0 {
			t.Errorf("%s, %s, %s: %+v", c.service, c.groups, c.addr, r)
		}
	}
	r := d.Rule(policy.Question{Service: "x", Groups: []string{"faculty", "staff"}, Zone: d.Zone(netip.MustParseAddr("192.0.2.1"))}).Requirement
	if r.Classes != 2 || r.TrustedBrowser || r.Fresh != time.Hour || !slices.Equal(r.Kinds, []authn.Kind{"totp", "mailcode"}) {
		t.Errorf("two groups must give the strictest of both: %+v", r)
	}
	if r := d.Rule(policy.Question{Service: "payroll", Groups: []string{"student"}}); !slices.Equal(r.For, []string{"staff", "faculty"}) {
		t.Errorf("for %v", r.For)
	}
}

func TestOrderOfTheFileHasNoMeaning(t *testing.T) {
	blocks := strings.Split(full, "[[rule]]")
	head, rules := blocks[0], blocks[1:]
	last, tail, _ := strings.Cut(rules[len(rules)-1], "[enrolment]")
	rules[len(rules)-1] = last
	slices.Reverse(rules)
	turned := head
	for _, r := range rules {
		turned += "[[rule]]" + r
	}
	a, b := parse(t, full), parse(t, turned+"[enrolment]"+tail)
	for _, service := range []string{"x", "payroll"} {
		for set := range 8 {
			var groups []string
			for i, g := range []string{"staff", "student", "faculty"} {
				if set>>i&1 == 1 {
					groups = append(groups, g)
				}
			}
			for _, addr := range []string{"10.1.1.1", "10.9.1.1", "10.9.8.1", "192.0.2.1", "2001:db8::1"} {
				q := policy.Question{Service: service, Groups: groups, Zone: a.Zone(netip.MustParseAddr(addr))}
				if x, y := a.Rule(q), b.Rule(q); fmt.Sprint(x) != fmt.Sprint(y) {
					t.Errorf("%+v:\n%+v\n%+v", q, x, y)
				}
			}
		}
	}
	if len(policy.Diff(a, b)) != 0 {
		t.Errorf("diff: %+v", policy.Diff(a, b))
	}
}

func TestNoRuleMeansTwoClasses(t *testing.T) {
	d := parse(t, "[[rule]]\nservice = \"library\"\n")
	r := d.Rule(policy.Question{Service: "payroll"})
	if r.Requirement.Classes != 2 || r.Requirement.TrustedBrowser || r.Name != "built-in" {
		t.Errorf("%+v", r)
	}
}

func TestEnrolment(t *testing.T) {
	d := parse(t, full)
	home, campus := authn.Zone{Kind: authn.Elsewhere}, authn.Zone{Name: "main-lan", Kind: authn.Campus}
	eduroam := authn.Zone{Name: "library-eduroam", Kind: authn.Eduroam}
	for _, c := range []struct {
		kind     authn.Kind
		zone     authn.Zone
		evidence string
		want     bool
	}{
		{"totp", campus, "", false},
		{"totp", campus, "password", true},
		{"totp", campus, "password@11m", false},
		{"totp", campus, "totp", false},
		{"totp", eduroam, "password", false},
		{"totp", home, "password", false},
		{"totp", home, "password mailcode", false},
		{"totp", home, "password totp", true},
		{"totp", home, "password totp@11m", false},
		{"totp", home, "password matrix mailcode", true},
		{"totp", home, "password recovery", true},
		{"totp", home, "recovery", false},
		{"totp", home, "card", true},
		{"mailcode", campus, "password", false}, // its own rule has no zones
		{"mailcode", campus, "password totp", true},
		{"mailcode", campus, "password totp@6m", false},
		{"mailcode", home, "password recovery", false},
	} {
		q := policy.EnrolQuestion{Kind: c.kind, Zone: c.zone, Evidence: proofs(c.evidence), Now: now}
		if got := d.Enrolment(q); got != c.want {
			t.Errorf("%s in %s after %q: %v", c.kind, c.zone.Kind, c.evidence, got)
		}
	}
	if r := d.EnrolmentRule("mailcode"); r.Fresh != 5*time.Minute {
		t.Errorf("%+v", r)
	}
}

func TestSettings(t *testing.T) {
	d := parse(t, full)
	for kind, want := range map[authn.Kind]string{
		"password":   "map[alone:16 minimum:8]",
		"totp":       "map[devices:1 lastWins:true]",
		"clientcert": "map[devices:3 first:false first_card:false serverMade:true]",
		"mailcode":   "map[lifetime:24h0m0s]",
		"matrix":     "map[]",
	} {
		if got := fmt.Sprint(d.Settings(kind)); got != want {
			t.Errorf("%s: %s", kind, got)
		}
	}
	version, ja, en := d.Agreement()
	if version != "2026-04" || ja != "規約" || en != "Terms" || d.TrustFor() != 14*24*time.Hour {
		t.Error(version, ja, en, d.TrustFor())
	}
	if d.GroupLabel("staff", "ja") != "職員" || d.GroupLabel("student", "ja") != "student" || d.ZoneLabel("main-lan", "en") != "Campus network" {
		t.Error("labels")
	}
	if !d.UsesZones() || policy.Default().UsesZones() {
		t.Error("zones")
	}
	empty := parse(t, "")
	if v, _, _ := empty.Agreement(); v != "" || empty.TrustFor() != 7*24*time.Hour || empty.Settings("mailcode")["lifetime"] != "10m0s" || empty.Settings("password")["alone"] != "15" {
		t.Error("defaults")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte("[[zone]]\nname=\"a\"\nkind=\"campus\"\nranges=[\"::ffff:10.0.0.0/104\"]"))
	f.Add([]byte("rule = [{classes=2},{a.b.c=[[1],{d=2}]}]"))
	f.Add([]byte("[a]\n[a.b]\n[[a.c]]\n[a.c.d]\n[[a.c.e]]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := policy.Parse("f", text)
		if err != nil {
			var invalid *policy.Invalid
			if !errors.As(err, &invalid) || len(invalid.Problems) == 0 {
				t.Fatalf("%v", err)
			}
			lines := strings.Count(string(text), "\n") + 1
			for _, p := range invalid.Problems {
				if p.Line < 1 || p.Line > lines {
					t.Fatalf("line %d of %d: %s", p.Line, lines, p.Reason)
				}
			}
			return
		}
		d.Lint()
		if err := d.Check(func(string) bool { return true }); err != nil {
			t.Fatal(err)
		}
		if len(policy.Diff(d, d)) != 0 {
			t.Fatal("differs from itself")
		}
		for _, z := range d.Zones() {
			for _, p := range z.Ranges {
				if got := d.Zone(p.Addr()); !p.Addr().IsUnspecified() && got.Kind == authn.Elsewhere {
					t.Fatalf("%s is elsewhere", p)
				}
			}
		}
		if !policy.Met(d.Rule(policy.Question{Service: "x"}).Requirement, nil, true, now) {
			return
		}
		t.Fatal("a document let somebody in without proof")
	})
}
