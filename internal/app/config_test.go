package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sound is a configuration without faults, in the given folder.
func sound(t *testing.T, dir string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "master.key"), []byte(NewMaster()), 0o600); err != nil {
		t.Fatal(err)
	}
	return `origin = "https://sso.example.ac.jp"
listen = "127.0.0.1:0"
[database]
url = "sqlite:seimon.db"
[keys]
master = "master.key"
[mail]
from = "sso@example.ac.jp"
host = "localhost"
[university]
name = { ja = "例大学", en = "Example University" }
help = { ja = "受付へ", en = "Ask the desk" }
[session]
idle = "2h"
absolute = "30d"
`
}

func TestConfigNamesFileAndLine(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":                {`idle = "2h"`, `idel = "2h"`, `seimon.toml:14: the key "session.idel" is unknown`},
		"unknown table":              {"[session]", "[sessions]", `seimon.toml:13: the key "sessions" is unknown`},
		"syntax":                     {"[mail]", "[mail", "seimon.toml:7: "},
		"wrong type":                 {`idle = "2h"`, `idle = 2`, "seimon.toml:14: "},
		"not a span":                 {`idle = "2h"`, `idle = "soon"`, `seimon.toml:14: `},
		"no origin":                  {`origin = "https://sso.example.ac.jp"`, "", "seimon.toml:1: origin is missing"},
		"plain origin":               {"https://sso.example.ac.jp", "http://sso.example.ac.jp", "seimon.toml:1: origin"},
		"origin with path":           {"https://sso.example.ac.jp", "https://sso.example.ac.jp/x", "seimon.toml:1: origin"},
		"no port":                    {"127.0.0.1:0", "127.0.0.1", "seimon.toml:2: listen"},
		"open without tls":           {"127.0.0.1:0", ":443", "seimon.toml:2: without [tls] the gate listens only"},
		"two databases":              {`url = "sqlite:seimon.db"`, "url = \"sqlite:seimon.db\"\nurl_file = \"x\"", "seimon.toml:5: url and url_file exclude each other"},
		"no database":                {`url = "sqlite:seimon.db"`, "", "seimon.toml:3: the database is missing"},
		"foreign database":           {"sqlite:seimon.db", "mysql://x", "seimon.toml:4: url must begin with"},
		"password in the URL":        {"sqlite:seimon.db", "postgres://a:b@c/d", "seimon.toml:4: the URL carries a password"},
		"no master key":              {`master = "master.key"`, `master = "gone.key"`, "seimon.toml:6: open "},
		"no sender":                  {`from = "sso@example.ac.jp"`, "", "seimon.toml:7: from is missing"},
		"mail security":              {`host = "localhost"`, "host = \"localhost\"\nsecurity = \"ssl\"", `seimon.toml:10: security must be`},
		"whom to tell":               {`host = "localhost"`, "host = \"localhost\"\nservices = \"some\"", `seimon.toml:10: services must be registered, all or none`},
		"time zone":                  {"[database]", "time_zone = \"Asia/Kioto\"\n[database]", `seimon.toml:3: time_zone "Asia/Kioto" is unknown`},
		"one language":               {"[database]", "languages = [\"ja\"]\n[database]", "seimon.toml:3: both languages"},
		"no English name":            {`, en = "Example University"`, "", "seimon.toml:11: the name of the university is missing in the language en"},
		"undeclared proxy":           {"[session]", "[proxy]\nbehind = true\n[session]", "seimon.toml:14: a proxy stands in front but is not declared"},
		"proxy for all":              {"[session]", "[proxy]\nbehind = true\naddresses = [\"0.0.0.0/0\"]\n[session]", "seimon.toml:15: the range 0.0.0.0/0 would believe everybody"},
		"bad proxy":                  {"[session]", "[proxy]\nbehind = true\naddresses = [\"lb\"]\n[session]", `seimon.toml:15: "lb" is neither`},
		"not a network":              {"[session]", "[certificates]\nstatus_unlimited = [\"radius\"]\n[session]", `seimon.toml:14: "radius" is neither an address`},
		"certificates at the gate":   {"[session]", "[certificate_host]\nlisten = \"127.0.0.1:0\"\nname = \"*.cert.sso.example.ac.jp\"\ncert_header = true\nproxies = [\"192.0.2.1\"]\n[session]", "seimon.toml:14: certificates need a listener of their own"},
		"certificates nowhere":       {"[session]", "[certificate_host]\nname = \"*.cert.sso.example.ac.jp\"\n[session]", "seimon.toml:13: listen is missing"},
		"certificates without names": {"[session]", "[certificate_host]\nlisten = \"127.0.0.1:1\"\n[session]", "seimon.toml:13: neither a wildcard nor a pool"},
		"no certificate for them":    {"[session]", "[certificate_host]\nlisten = \"127.0.0.1:1\"\nname = \"*.cert.sso.example.ac.jp\"\n[session]", "seimon.toml:13: the certificate for these names is missing"},
		"fields from anybody":        {"[session]", "[certificate_host]\nlisten = \"127.0.0.1:1\"\nname = \"*.cert.sso.example.ac.jp\"\ncert_header = true\n[session]", "seimon.toml:13: name the proxies whose word is believed"},
		"fields from everybody":      {"[session]", "[certificate_host]\nlisten = \"127.0.0.1:1\"\nname = \"*.cert.sso.example.ac.jp\"\ncert_header = true\nproxies = [\"::/0\"]\n[session]", "seimon.toml:17: the range ::/0 would believe everybody"},
		"both kinds of proxy":        {"[session]", "[certificate_host]\nlisten = \"127.0.0.1:1\"\nname = \"*.cert.sso.example.ac.jp\"\ncert_header = true\nproxy_protocol = true\nproxies = [\"192.0.2.1\"]\n[session]", "seimon.toml:16: a proxy either passes TLS through"},
		"old TLS":                    {"[session]", "[certificate_host]\nlisten = \"127.0.0.1:1\"\nname = \"*.cert.sso.example.ac.jp\"\ncert_header = true\nproxies = [\"192.0.2.1\"]\nmin_tls = \"1.1\"\n[session]", "seimon.toml:18: min_tls must be"},
		"proxy header":               {"[session]", "[proxy]\nbehind = true\naddresses = [\"192.0.2.1\"]\nheader = \"X-Real-IP\"\n[session]", "seimon.toml:16: header must be"},
		"forgotten behind":           {"[session]", "[proxy]\naddresses = [\"192.0.2.1\"]\n[session]", "seimon.toml:14: proxies are declared but behind"},
		"cheap password":             {"[session]", "[password]\nmemory_kib = 1\n[session]", "seimon.toml:13: password"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "seimon.toml")
			text := sound(t, dir)
			if !strings.Contains(text, c.old) {
				t.Fatalf("the sound configuration does not hold %q", c.old)
			}
			_, err := ParseConfig(file, []byte(strings.Replace(text, c.old, c.new, 1)))
			if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, c.want)) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

func TestConfigTellsEverythingAtOnce(t *testing.T) {
	dir := t.TempDir()
	_, err := ParseConfig(filepath.Join(dir, "c.toml"), []byte("origin = \"x\"\ntime_zone = \"y\"\n"))
	if n := strings.Count(err.Error(), "\n") + 1; n < 6 {
		t.Errorf("%d complaints: %v", n, err)
	}
}

func TestSoundConfig(t *testing.T) {
	dir := t.TempDir()
	c, err := ParseConfig(filepath.Join(dir, "seimon.toml"), []byte(sound(t, dir)))
	if err != nil {
		t.Fatal(err)
	}
	if time.Duration(c.Session.Absolute) != 720*time.Hour {
		t.Errorf("absolute is %v", time.Duration(c.Session.Absolute))
	}
	url, err := c.databaseURL()
	if err != nil || url != "sqlite:"+filepath.Join(dir, "seimon.db") {
		t.Errorf("database %q, %v", url, err)
	}
	t.Setenv("SEIMON_DATABASE_URL", "postgres://elsewhere/seimon")
	if url, _ := c.databaseURL(); url != "postgres://elsewhere/seimon" {
		t.Errorf("the environment does not stand above the file: %q", url)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add("origin = 1\n[proxy]\nbehind = true\n")
	f.Add("[university]\nname = { ja = \"x\", en = \"y\" }\n[[tls]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := ParseConfig("c.toml", []byte(text)); err != nil && !strings.HasPrefix(err.Error(), "c.toml:") {
			t.Errorf("%q: %v does not begin with file and line", text, err)
		}
	})
}
