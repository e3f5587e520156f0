package campus

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"seimon/internal/app"
	"seimon/test/walk"
)

// Password is everybody's password.
const Password = "kawa-no-nagare-42-shizuka"

// Host is the name that the certificate is for; it is never resolved.
const Host = "sso.seimon.test"

// Plan says what kind of campus is wanted.
type Plan struct {
	// People is how many accounts there are: "p0000000" and so on.
	People int
	// Phones is how many of them, from the first, have a one-time password app.
	Phones int
	// Postgres is the URL of a PostgreSQL server; empty means SQLite in the folder.
	Postgres string
	// MemoryKiB and Time are the costs of Argon2id; zero means the program's defaults.
	MemoryKiB, Time int
	// Parallel is how many hashes may be computed at a time; zero means the program's default.
	Parallel int
	// Mail gives everybody a verified mail address, so that notices are sent to MailPort.
	Mail     bool
	MailPort int
	// Certificates opens hosts that ask for a client certificate, which may then come
	// before the user name.
	Certificates bool
	// Metrics is the address of the measurements' listener; empty means none.
	Metrics string
	// Profile turns the profiler on there.
	Profile bool
}

// Campus is a prepared folder.
type Campus struct {
	Plan
	Dir    string
	Config string // the configuration's file
	Gate   walk.Gate
	Listen string
	// CertListen is where the hosts that ask for certificates listen.
	CertListen string
}

// Prepare makes a campus in dir: configuration, certificate, keys, services, rules
// and people.
func Prepare(ctx context.Context, dir string, plan Plan) (*Campus, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(listen)
	c := &Campus{Plan: plan, Dir: dir, Config: filepath.Join(dir, "seimon.toml"), Listen: listen}
	c.Gate = walk.Gate{Origin: "https://" + Host + ":" + port, Dial: listen}
	var further []string
	if plan.Certificates {
		if c.CertListen, err = freeAddress(); err != nil {
			return nil, err
		}
		further = []string{"*.cert." + Host}
	}
	if c.Gate.Roots, err = certify(dir, further...); err != nil {
		return nil, err
	}
	if err := c.configure(ctx); err != nil {
		return nil, err
	}
	house, err := c.Open(ctx)
	if err != nil {
		return nil, err
	}
	return c, errors.Join(c.fill(ctx, house), house.Close())
}

// Open opens the rooms directly, beside the program or without it.
func (c *Campus) Open(ctx context.Context) (*app.House, error) {
	config, err := app.LoadConfig(c.Config)
	if err != nil {
		return nil, err
	}
	return app.Open(ctx, config, app.Options{})
}

// configure writes the configuration and the master key.
func (c *Campus) configure(ctx context.Context) error {
	url := "sqlite:seimon.db"
	if c.Postgres != "" {
		var err error
		if url, err = freshSchema(ctx, c.Postgres); err != nil {
			return err
		}
	}
	key := make([]byte, 32)
	rand.Read(key) //nolint:errcheck // never fails
	if err := os.WriteFile(filepath.Join(c.Dir, "master.key"), []byte(hex.EncodeToString(key)), 0o600); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "listen = %q\norigin = %q\n\n", c.Listen, c.Gate.Origin)
	fmt.Fprintf(&b, "[tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\n\n")
	fmt.Fprintf(&b, "[database]\nurl = %q\n\n[keys]\nmaster = \"master.key\"\n\n", url)
	fmt.Fprintf(&b, "[mail]\nfrom = \"gate@example.ac.jp\"\nhost = \"127.0.0.1\"\nsecurity = \"plain\"\nport = %d\n\n", max(c.MailPort, 1))
	fmt.Fprintf(&b, "[university]\nname = { ja = \"正門大学\", en = \"Seimon University\" }\n"+
		"help = { ja = \"情報センターに聞いてください。\", en = \"Ask the computing centre.\" }\n\n")
	if c.Certificates {
		b.WriteString("[certificates]\nbase = \"http://pki.seimon.test\"\n\n")
		fmt.Fprintf(&b, "[certificate_host]\nlisten = %q\nname = \"*.cert.%s\"\n\n", c.CertListen, Host)
	}
	b.WriteString("[password]\n")
	if c.MemoryKiB > 0 {
		fmt.Fprintf(&b, "memory_kib = %d\ntime = %d\n", c.MemoryKiB, max(1, c.Time))
	}
	if c.Parallel > 0 {
		fmt.Fprintf(&b, "parallel = %d\n", c.Parallel)
	}
	if c.Metrics != "" {
		fmt.Fprintf(&b, "\n[metrics]\nlisten = %q\n", c.Metrics)
		if c.Profile {
			b.WriteString("profile = true\n")
		}
	}
	return os.WriteFile(c.Config, []byte(b.String()), 0o600)
}

// freeAddress finds a port on the loopback that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// UserName is the name of the person with number n.
func UserName(n int) string { return fmt.Sprintf("p%07d", n) }
