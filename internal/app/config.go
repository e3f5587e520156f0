package app

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"seimon/internal/factor/password"
	"seimon/internal/lang"
)

// Config is the process's own configuration. What the campus decides (zones,
// rules, services) is data in the database, not here.
type Config struct {
	// Listen is the address of the main listener, for example ":443".
	Listen string `toml:"listen"`
	// Origin is the address under which browsers know the gate.
	Origin string `toml:"origin"`
	// TimeZone is the campus's, in tz database form.
	TimeZone string `toml:"time_zone"`

	TLS        TLSConfig        `toml:"tls"`
	Proxy      ProxyConfig      `toml:"proxy"`
	Database   DatabaseConfig   `toml:"database"`
	Keys       KeysConfig       `toml:"keys"`
	Mail       MailConfig       `toml:"mail"`
	University UniversityConfig `toml:"university"`
	Password   PasswordConfig   `toml:"password"`
	Session    SessionConfig    `toml:"session"`
	Metrics    MetricsConfig    `toml:"metrics"`
	Outage     OutageConfig     `toml:"outage"`

	file string
}

// TLSConfig names the certificate of the main listener. Without one the gate
// speaks plain HTTP, which is only for a declared proxy in front.
type TLSConfig struct {
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
}

// ProxyConfig declares the proxies whose header is believed.
type ProxyConfig struct {
	Addresses []string `toml:"addresses"`
	Header    string   `toml:"header"`
	// Behind says that every request comes through a proxy.
	Behind bool `toml:"behind"`
}

// DatabaseConfig names the database.
type DatabaseConfig struct {
	URL string `toml:"url"`
	// URLFile holds the URL when it has a password in it.
	URLFile string `toml:"url_file"`
}

// KeysConfig names the files of the master keys.
type KeysConfig struct {
	Master string   `toml:"master"`
	Old    []string `toml:"old"`
}

// MailConfig says how mail leaves the house.
type MailConfig struct {
	From         string `toml:"from"`
	Host         string `toml:"host"`
	Port         int    `toml:"port"`
	Security     string `toml:"security"`
	User         string `toml:"user"`
	PasswordFile string `toml:"password_file"`
	Desk         string `toml:"desk"`
	// Behind lists the mail domains whose mailboxes open only through this sign-in.
	Behind []string `toml:"behind"`
}

// UniversityConfig is how the university looks and whom to ask.
type UniversityConfig struct {
	Name    map[string]string `toml:"name"`
	Short   map[string]string `toml:"short"`
	Help    map[string]string `toml:"help"`
	HelpURL string            `toml:"help_url"`
	Colour  string            `toml:"colour"`
	Logo    string            `toml:"logo"`
	Words   []string          `toml:"words"`
}

// PasswordConfig are the parameters of Argon2id.
type PasswordConfig struct {
	MemoryKiB uint32 `toml:"memory_kib"`
	Time      uint32 `toml:"time"`
	Threads   uint8  `toml:"threads"`
	Parallel  int    `toml:"parallel"`
}

// SessionConfig are the limits of sessions.
type SessionConfig struct {
	Idle     Duration `toml:"idle"`
	Absolute Duration `toml:"absolute"`
}

// MetricsConfig is the separate listener for measurements; empty means none.
type MetricsConfig struct {
	Listen string `toml:"listen"`
}

// OutageConfig names a file of announcements, one for each language, shown on every page.
type OutageConfig struct {
	File string `toml:"file"`
}

// Duration is a time.Duration written as "8h".
type Duration time.Duration

// UnmarshalText reads "90s", "10m", "8h".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// LoadConfig reads a configuration. An unknown key or a bad value is an error
// with file and line; relative file names are relative to the configuration.
func LoadConfig(file string) (*Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return ParseConfig(file, text)
}

// ParseConfig is LoadConfig for a text that was read already.
func ParseConfig(file string, text []byte) (*Config, error) {
	c := &Config{file: file}
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, tomlError(file, err)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// tomlError gives file, line and reason for each thing that is wrong.
func tomlError(file string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var all []error
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			all = append(all, fmt.Errorf("%s:%d: unknown key %q", file, line, strings.Join(e.Key(), ".")))
		}
		return errors.Join(all...)
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		return fmt.Errorf("%s:%d: %s", file, line, strings.TrimPrefix(bad.Error(), "toml: "))
	}
	return fmt.Errorf("%s: %w", file, err)
}

// check tells everything that is wrong beyond the form.
func (c *Config) check() error {
	var all []error
	bad := func(key, format string, args ...any) {
		all = append(all, fmt.Errorf("%s:%d: %s: %s", c.file, c.line(key), key, fmt.Sprintf(format, args...)))
	}
	if c.Listen == "" {
		bad("listen", "an address such as %q is needed", ":443")
	}
	if c.Origin == "" {
		bad("origin", "the address that browsers use is needed, such as %q", "https://sso.example.ac.jp")
	}
	if _, err := c.location(); err != nil {
		bad("time_zone", "%v", err)
	}
	if (c.Database.URL == "") == (c.Database.URLFile == "") {
		bad("url", "exactly one of database.url and database.url_file is needed")
	}
	if c.Keys.Master == "" {
		bad("master", "the file of the master key is needed; 'seimon init' makes one")
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		bad("certificate", "tls.certificate and tls.key go together")
	}
	if _, err := c.proxies(); err != nil {
		bad("addresses", "%v", err)
	}
	if c.Proxy.Behind && len(c.Proxy.Addresses) == 0 {
		bad("behind", "zones cannot be trusted behind a proxy that is not declared: set proxy.addresses and proxy.header")
	}
	if c.TLS.Certificate == "" && len(c.Proxy.Addresses) == 0 {
		bad("certificate", "without tls.certificate the gate must stand behind a declared proxy")
	}
	if c.Mail.From == "" {
		bad("from", "the address that mail comes from is needed")
	}
	if err := c.passwords().Check(); err != nil {
		bad("memory_kib", "%v", err)
	}
	return errors.Join(all...)
}

// line finds where a key stands in the file, or 1.
func (c *Config) line(key string) int {
	text, err := os.ReadFile(c.file)
	if err != nil {
		return 1
	}
	for i, l := range strings.Split(string(text), "\n") {
		if k, _, ok := strings.Cut(l, "="); ok && strings.TrimSpace(k) == key {
			return i + 1
		}
	}
	return 1
}

func (c *Config) location() (*time.Location, error) {
	if c.TimeZone == "" {
		return time.LoadLocation("Asia/Tokyo")
	}
	return time.LoadLocation(c.TimeZone)
}

func (c *Config) proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, a := range c.Proxy.Addresses {
		p, err := netip.ParsePrefix(a)
		if err != nil {
			addr, aerr := netip.ParseAddr(a)
			if aerr != nil {
				return nil, fmt.Errorf("%q is neither an address nor a range", a)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		out = append(out, p)
	}
	return out, nil
}

func (c *Config) passwords() password.Config {
	return password.Config{
		Memory: c.Password.MemoryKiB, Time: c.Password.Time, Threads: c.Password.Threads,
		Parallel: c.Password.Parallel, Words: c.University.Words,
	}
}

// path makes a file name relative to the configuration's folder absolute.
func (c *Config) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(c.file), name)
}

// databaseURL gives the URL, with a SQLite file relative to the configuration.
func (c *Config) databaseURL() (string, error) {
	url := c.Database.URL
	if c.Database.URLFile != "" {
		text, err := os.ReadFile(c.path(c.Database.URLFile))
		if err != nil {
			return "", err
		}
		url = strings.TrimSpace(string(text))
	}
	if name, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return "sqlite:" + c.path(name), nil
	}
	return url, nil
}

// readSecret reads a file whose content is a secret, without the line's end.
func readSecret(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return bytes.TrimSpace(text), nil
}

// tagged turns texts by language name into texts by tag.
func tagged(m map[string]string) map[lang.Tag]string {
	out := map[lang.Tag]string{}
	for k, v := range m {
		out[lang.Tag(k)] = v
	}
	return out
}
