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
	// TimeZone is the campus's, in tz database form; Asia/Tokyo when empty.
	TimeZone string `toml:"time_zone"`
	// Languages are those of the pages; ja and en.
	Languages []string `toml:"languages"`
	// LogLevel is debug, info, warn or error; info when empty.
	LogLevel string `toml:"log_level"`

	TLS        TLSConfig        `toml:"tls"`
	Proxy      ProxyConfig      `toml:"proxy"`
	Database   DatabaseConfig   `toml:"database"`
	Keys       KeysConfig       `toml:"keys"`
	Mail       MailConfig       `toml:"mail"`
	University UniversityConfig `toml:"university"`
	Words      WordsConfig      `toml:"words"`
	Password   PasswordConfig   `toml:"password"`
	Session    SessionConfig    `toml:"session"`
	Metrics    MetricsConfig    `toml:"metrics"`
	Outage     OutageConfig     `toml:"outage"`

	Certificates CertificatesConfig `toml:"certificates"`
	CertHost     CertHostConfig     `toml:"certificate_host"`
	SAML         SAMLConfig         `toml:"saml"`
	Assurance    AssuranceConfig    `toml:"assurance"`
	Eduroam      EduroamConfig      `toml:"eduroam"`

	file  string
	lines map[string]int
}

// TLSConfig names the certificate of the main listener. Without one the gate
// speaks plain HTTP, which is only for a declared proxy in front.
type TLSConfig struct {
	Certificate string `toml:"certificate"` // PEM, the server's own first
	Key         string `toml:"key"`         // PEM
}

// ProxyConfig declares the proxies whose header is believed.
type ProxyConfig struct {
	Addresses []string `toml:"addresses"`
	Header    string   `toml:"header"` // X-Forwarded-For or Forwarded
	// Behind says that every request comes through a proxy.
	Behind bool `toml:"behind"`
}

// DatabaseConfig names the database.
type DatabaseConfig struct {
	URL string `toml:"url"`
	// URLFile holds the URL when it has a password in it. The environment variable
	// SEIMON_DATABASE_URL stands above both.
	URLFile string `toml:"url_file"`
}

// KeysConfig names the files of the master keys and says how signing keys age.
type KeysConfig struct {
	Master      string   `toml:"master"`
	Old         []string `toml:"old"`
	RotateEvery Duration `toml:"rotate_every"`
	Lead        Duration `toml:"lead"`
	Overlap     Duration `toml:"overlap"`
}

// MailConfig says how mail leaves the house.
type MailConfig struct {
	From         string `toml:"from"`
	ReplyTo      string `toml:"reply_to"`
	Host         string `toml:"host"`
	Port         int    `toml:"port"`
	Security     string `toml:"security"` // starttls, tls or plain
	User         string `toml:"user"`
	PasswordFile string `toml:"password_file"`
	Hello        string `toml:"hello"`
	Desk         string `toml:"desk"`
	// Services says whose contacts hear of requests that do not fit: registered, all or none.
	Services string `toml:"services"`
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
	// Scopes are the domains of the university; the first stands behind identifiers.
	Scopes []string `toml:"scopes"`
	// Words are refused in new passwords: names, places, mascots.
	Words []string `toml:"words"`
}

// WordsConfig names files with the university's own sentences.
type WordsConfig struct {
	JA string `toml:"ja"`
	EN string `toml:"en"`
}

// PasswordConfig are the parameters of Argon2id.
type PasswordConfig struct {
	MemoryKiB uint32 `toml:"memory_kib"`
	Time      uint32 `toml:"time"`
	Threads   uint8  `toml:"threads"`
	Parallel  int    `toml:"parallel"`
	Queue     int    `toml:"queue"`
	// Decoys are example hashes of imported formats, so that unknown names take the same time.
	Decoys []string `toml:"decoys"`
}

// SessionConfig are the limits of sessions.
type SessionConfig struct {
	Idle       Duration `toml:"idle"`
	Absolute   Duration `toml:"absolute"`
	PerAccount int      `toml:"per_account"`
}

// MetricsConfig is the separate listener for measurements; empty means none.
type MetricsConfig struct {
	Listen string `toml:"listen"`
	// Profile adds /debug/pprof there, for those who look for the cause of slowness.
	Profile bool `toml:"profile"`
}

// OutageConfig names a file of announcements, one for each language, shown on every page.
type OutageConfig struct {
	File string `toml:"file"`
}

// Duration is a time.Duration written as "10m", "8h" or "30d".
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	unit := time.Duration(1)
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		s, unit = days+"h", 24
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a span of time such as 10m, 8h or 30d", text)
	}
	*d = Duration(v * unit)
	return nil
}

// ConfigError is everything that is wrong with a configuration: a line each, with
// file and line in front.
type ConfigError []string

// Error gives all lines.
func (e ConfigError) Error() string { return strings.Join(e, "\n") }

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
	c.lines = tomlLines(text)
	if wrong := c.check(); len(wrong) > 0 {
		return nil, wrong
	}
	return c, nil
}

// tomlError gives file, line and reason for each thing that is wrong.
func tomlError(file string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var all ConfigError
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			all = append(all, fmt.Sprintf("%s:%d: the key %q is unknown", file, line, strings.Join(e.Key(), ".")))
		}
		return all
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		return ConfigError{fmt.Sprintf("%s:%d: %s", file, line, strings.TrimPrefix(bad.Error(), "toml: "))}
	}
	return ConfigError{fmt.Sprintf("%s:1: %v", file, err)}
}

// at gives "file:line: " for a key, or for the nearest table above it that is there.
func (c *Config) at(key string) string {
	for k := key; ; {
		if line, ok := c.lines[k]; ok {
			return fmt.Sprintf("%s:%d: ", c.file, line)
		}
		i := strings.LastIndexByte(k, '.')
		if i < 0 {
			return fmt.Sprintf("%s:1: ", c.file)
		}
		k = k[:i]
	}
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

// proxyHeader is the header of the declared proxies; empty without any.
func (c *Config) proxyHeader() string {
	if len(c.Proxy.Addresses) > 0 && c.Proxy.Header == "" {
		return "X-Forwarded-For"
	}
	return c.Proxy.Header
}

func (c *Config) passwords() password.Config {
	return password.Config{
		Memory: c.Password.MemoryKiB, Time: c.Password.Time, Threads: c.Password.Threads,
		Parallel: c.Password.Parallel, Queue: c.Password.Queue, Decoys: c.Password.Decoys, Words: c.University.Words,
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
		text, err := readSecret(c.path(c.Database.URLFile))
		if err != nil {
			return "", err
		}
		url = string(text)
	}
	if u := os.Getenv("SEIMON_DATABASE_URL"); u != "" {
		url = u
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
