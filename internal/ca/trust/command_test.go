package trust_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"seimon/internal/authn"
	"seimon/internal/ca/trust"
	"seimon/internal/store"
)

// counter is where the commands are given.
type counter struct {
	*house
	files  map[string][]byte
	out    bytes.Buffer
	events []string
	bound  []string
}

func (c *counter) Context() context.Context { return c.t.Context() }
func (c *counter) Out() io.Writer           { return &c.out }
func (c *counter) Open(name string) (io.ReadCloser, error) {
	text, ok := c.files[name]
	if !ok {
		return nil, fmt.Errorf("there is no file %q", name)
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

func (c *counter) Trusting() (trust.Office, error) {
	return trust.Office{
		DB: c.db, Trust: c.trust,
		User: func(tx *store.Tx, name string) (authn.AccountID, error) {
			id, err := c.people.ByUserName(tx, name)
			if err == nil && id == "" {
				err = fmt.Errorf("there is no user %q", name)
			}
			return id, err
		},
		Bind: func(_ *store.Tx, k *x509.Certificate) error {
			c.bound = append(c.bound, k.Subject.CommonName)
			return nil
		},
		Name: func(_ *store.Tx, account authn.AccountID) (string, error) {
			return strings.TrimPrefix(string(account), "acc_"), nil
		},
		Note: func(_ *store.Tx, event string, _ map[string]string) error {
			c.events = append(c.events, event)
			return nil
		},
	}, nil
}

func (c *counter) run(args ...string) (string, error) {
	c.t.Helper()
	c.out.Reset()
	var cli trust.Command
	parser, err := kong.New(&cli, kong.BindTo(c, (*trust.Env)(nil)))
	if err != nil {
		c.t.Fatal(err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return "", err
	}
	err = parsed.Run()
	return c.out.String(), err
}

func TestCommands(t *testing.T) {
	e := newElsewhere(t)
	mine := e.person("Card 1")
	c := &counter{house: open(t), files: map[string][]byte{"nii.pem": inPEM(e.cert), "mine.pem": inPEM(mine), "all.pem": inPEM(mine, e.person("Card 2")), "other.pem": inPEM(e.person("Card 3"))}}
	c.files["ours.pem"] = inPEM(newElsewhere(t).person("Card 1")) // of another house with the same name
	must := func(want string, args ...string) {
		t.Helper()
		if out, err := c.run(args...); err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	fails := func(want string, args ...string) {
		t.Helper()
		if out, err := c.run(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	fails("(--no-crl)", "add", "nii.pem", "--name", "nii", "--rule", "serial")
	fails("needs the domain", "add", "nii.pem", "--name", "nii", "--rule", "mail", "--no-crl")
	must("switched off", "add", "nii.pem", "--name", "nii", "--rule", "serial", "--no-crl")
	fails("no check", "enable", "nii")
	must("leads to taro", "pin", "nii", "mine.pem", "taro")
	fails("no user", "pin", "nii", "mine.pem", "nobody")
	fails("not of nii", "pin", "nii", "ours.pem", "taro")
	fails("no rule of nii looks at what would be pinned (ski): its rules are serial", "pin", "nii", "mine.pem", "taro", "--by", "ski")
	fails("one certificate", "pin", "nii", "all.pem", "taro")
	must("conflict", "check", "nii", "--certificates", "nii.pem") // the issuer is nobody's certificate
	must("of which 1 lead to an account", "check", "nii", "--certificates", "all.pem")
	must("Card 1", "check", "nii", "--certificates", "mine.pem")
	must("leads to taro.", "check", "nii", "--certificates", "mine.pem")
	must("leads to nobody.\nAn address in a certificate counts once", "check", "nii", "--certificates", "other.pem")
	c.bound = nil
	must("switched on", "enable", "nii")
	if slices.Sort(c.bound); strings.Join(c.bound, ", ") != "Card 1, Card 2, Card 3" {
		t.Errorf("bound at once: %q", c.bound)
	}
	if v := c.judge(mine); v.Account != "acc_taro" || v.Fault != nil {
		t.Errorf("%+v", v)
	}
	must("serial", "list")
	var listed []struct {
		Enabled bool
		Checked trust.Report
	}
	if out, err := c.run("list", "--json"); err != nil || json.Unmarshal([]byte(out), &listed) != nil || len(listed) != 1 || !listed[0].Enabled || listed[0].Checked.Mapped != 1 {
		t.Error(err, out)
	}
	must("off", "disable", "nii")
	must("removed", "remove", "nii")
	fails("no trusted issuer", "check", "nii")
	if want := "trust.added trust.pinned trust.checked trust.checked trust.checked trust.checked trust.checked trust.enabled trust.disabled trust.removed"; strings.Join(c.events, " ") != want {
		t.Error(c.events)
	}
}
