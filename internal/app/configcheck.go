package app

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"seimon/internal/rp/owners"
)

// check tells everything that is wrong with the values.
func (c *Config) check() ConfigError {
	var all ConfigError
	wrong := func(key, format string, args ...any) {
		all = append(all, c.at(key)+fmt.Sprintf(format, args...))
	}
	c.checkNames(wrong)
	c.checkDoor(wrong)
	c.checkProxy(wrong)
	c.checkCertHost(wrong)
	c.checkStatusListen(wrong)
	c.checkEduroam(wrong)
	c.checkKeep(wrong)
	c.checkMail(wrong)
	c.checkUniversity(wrong)
	c.checkAssurance(wrong)
	return all
}

type complaint func(key, format string, args ...any)

func (c *Config) checkNames(wrong complaint) {
	u, err := url.Parse(c.Origin)
	switch {
	case c.Origin == "":
		wrong("origin", "origin is missing: the address under which browsers know the gate, such as https://sso.example.ac.jp")
	case err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil:
		wrong("origin", "origin %q is not of the form https://sso.example.ac.jp", c.Origin)
	case u.Scheme != "https":
		wrong("origin", "origin %q must begin with https://", c.Origin)
	}
	if _, err := c.location(); err != nil {
		wrong("time_zone", "time_zone %q is unknown", c.TimeZone)
	}
	for _, tag := range c.Languages {
		if !hasLanguage(tag) {
			wrong("languages", "the language %q is not there yet: only ja and en", tag)
		}
	}
	if c.Languages != nil && (!slices.Contains(c.Languages, "ja") || !slices.Contains(c.Languages, "en")) {
		wrong("languages", "both languages, ja and en, belong to the gate")
	}
	if !slices.Contains([]string{"", "debug", "info", "warn", "error"}, c.LogLevel) {
		wrong("log_level", "log_level must be debug, info, warn or error, not %q", c.LogLevel)
	}
}

func (c *Config) checkDoor(wrong complaint) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		wrong("listen", "listen %q is not of the form HOST:PORT", c.Listen)
		return
	}
	if c.Metrics.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Metrics.Listen); err != nil {
			wrong("metrics.listen", "listen %q is not of the form HOST:PORT", c.Metrics.Listen)
		}
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		wrong("tls", "certificate and key belong together")
	}
	if c.TLS.Certificate == "" && !c.Proxy.Behind && !isLoopback(host) {
		wrong("listen", "without [tls] the gate listens only on this machine or behind a declared proxy: give certificate and key, or [proxy] behind = true")
	}
}

func (c *Config) checkProxy(wrong complaint) {
	if c.Proxy.Behind && len(c.Proxy.Addresses) == 0 {
		wrong("proxy.behind", "a proxy stands in front but is not declared: name its addresses in [proxy] addresses, or every person would seem to come from the proxy and no zone could be trusted")
	}
	if !c.Proxy.Behind && len(c.Proxy.Addresses) > 0 {
		wrong("proxy.addresses", "proxies are declared but behind is not true")
	}
	if c.Proxy.Header != "" && c.Proxy.Header != "X-Forwarded-For" && c.Proxy.Header != "Forwarded" {
		wrong("proxy.header", "header must be X-Forwarded-For or Forwarded, not %q", c.Proxy.Header)
	}
	for _, text := range c.Proxy.Addresses {
		p, err := parsePrefix(text)
		switch {
		case err != nil:
			wrong("proxy.addresses", "%q is neither an address nor a range", text)
		case p.Bits() == 0:
			wrong("proxy.addresses", "the range %s would believe everybody", text)
		}
	}
}

func (c *Config) checkKeep(wrong complaint) {
	u := c.Database.URL
	switch {
	case u == "" && c.Database.URLFile == "" && os.Getenv("SEIMON_DATABASE_URL") == "":
		wrong("database.url", `the database is missing: [database] url = "sqlite:seimon.db" or a postgres:// URL`)
	case u != "" && c.Database.URLFile != "":
		wrong("database.url_file", "url and url_file exclude each other")
	case u != "" && !strings.HasPrefix(u, "sqlite:") && !strings.HasPrefix(u, "postgres://") && !strings.HasPrefix(u, "postgresql://"):
		wrong("database.url", "url must begin with sqlite: or postgres://")
	case strings.HasPrefix(u, "postgres"):
		if parsed, err := url.Parse(u); err == nil && parsed.User != nil {
			if _, there := parsed.User.Password(); there {
				wrong("database.url", "the URL carries a password: put it into a file (url_file) or into SEIMON_DATABASE_URL")
			}
		}
	}
	if c.Keys.Master == "" {
		wrong("keys.master", "the master key file is missing: [keys] master = \"master.key\"")
	}
	c.needFile(wrong, "keys.master", c.Keys.Master)
	for _, old := range c.Keys.Old {
		c.needFile(wrong, "keys.old", old)
	}
	for key, d := range map[string]Duration{
		"session.idle": c.Session.Idle, "session.absolute": c.Session.Absolute,
		"keys.rotate_every": c.Keys.RotateEvery, "keys.lead": c.Keys.Lead, "keys.overlap": c.Keys.Overlap,
	} {
		if d != 0 && time.Duration(d) < time.Minute {
			wrong(key, "must be a span of time of a minute or more, such as \"10m\", \"8h\" or \"30d\"")
		}
	}
	if c.Session.PerAccount < 0 {
		wrong("session.per_account", "per_account cannot be negative")
	}
	if err := c.passwords().Check(); err != nil {
		wrong("password", "%v", err)
	}
	c.needFile(wrong, "words.ja", c.Words.JA)
	c.needFile(wrong, "words.en", c.Words.EN)
}

func (c *Config) checkMail(wrong complaint) {
	if c.Mail.From == "" {
		wrong("mail.from", "from is missing: the address that mail comes from")
	} else if !strings.Contains(c.Mail.From, "@") {
		wrong("mail.from", "from %q is not a mail address", c.Mail.From)
	}
	if c.Mail.Host == "" {
		wrong("mail.host", "host is missing: the mail server that takes our mail")
	}
	if !slices.Contains([]string{"", "starttls", "tls", "plain"}, c.Mail.Security) {
		wrong("mail.security", "security must be starttls, tls or plain, not %q", c.Mail.Security)
	}
	if !slices.Contains(append(owners.Choices(), ""), c.Mail.Services) {
		wrong("mail.services", "services must be registered, all or none, not %q", c.Mail.Services)
	}
	if c.Mail.Port < 0 || c.Mail.Port > 65535 {
		wrong("mail.port", "port %d is not a port", c.Mail.Port)
	}
	c.needFile(wrong, "mail.password_file", c.Mail.PasswordFile)
}

func (c *Config) checkUniversity(wrong complaint) {
	for key, texts := range map[string]map[string]string{"university.name": c.University.Name, "university.help": c.University.Help, "university.short": c.University.Short} {
		for tag := range texts {
			if !hasLanguage(tag) {
				wrong(key+"."+tag, "the language %q is unknown", tag)
			}
		}
	}
	for _, tag := range []string{"ja", "en"} {
		if c.University.Name[tag] == "" {
			wrong("university.name", "the name of the university is missing in the language %s", tag)
		}
		if c.University.Help[tag] == "" {
			wrong("university.help", "whom people can ask is missing in the language %s", tag)
		}
	}
	c.needFile(wrong, "university.logo", c.University.Logo)
}

// needFile complains about a named file that cannot be read.
func (c *Config) needFile(wrong complaint, key, name string) {
	if name == "" {
		return
	}
	f, err := os.Open(c.path(name))
	if err != nil {
		wrong(key, "%v", err)
		return
	}
	f.Close()
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// hasLanguage tells whether a language is among ours.
func hasLanguage(tag string) bool { return tag == "ja" || tag == "en" }
