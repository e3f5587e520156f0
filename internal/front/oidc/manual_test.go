package oidc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"seimon/internal/front/oidc"
	"seimon/internal/rp"
	"seimon/internal/store"
)

const manual = "../../../docs/oidc.md"

func readManual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// clerk runs the commands of the manual.
type clerk struct {
	*gate
	out  bytes.Buffer
	file string
}

func (c *clerk) Context() context.Context              { return c.T.Context() }
func (c *clerk) Parties() (*store.DB, *rp.Book, error) { return c.DB, c.book, nil }
func (c *clerk) Open(string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(c.file)), nil
}
func (c *clerk) Out() io.Writer { return &c.out }
func (c *clerk) Record(*store.Tx, string, string, map[string]string) error {
	return nil
}
func (c *clerk) TakeOver(rp.TakeOver) error { return errors.New("another front's") }

func TestCommandsOfTheManual(t *testing.T) {
	c := &clerk{gate: open(t), file: `[{"id":"wiki","protocol":"oidc","names":{"en":"Wiki"},"registration":{"redirect_uris":["https://wiki.example/cb"]}}]`}
	var cli struct {
		Party rp.Command `cmd:""`
	}
	parser, err := kong.New(&cli, kong.BindTo(c, (*rp.Env)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^    seimon (party .*)$`).FindAllStringSubmatch(readManual(t), -1)
	for _, line := range lines {
		run, err := parser.Parse(strings.Fields(line[1]))
		if err == nil {
			err = run.Run()
		}
		if err != nil {
			t.Errorf("%s: %v", line[1], err)
		}
	}
	if len(lines) < 7 || strings.Count(c.out.String(), "client_secret: ") != 3 {
		t.Errorf("%d commands:\n%s", len(lines), c.out.String())
	}
}

func TestManualNamesWhatThereIs(t *testing.T) {
	text := readManual(t)
	g := open(t)
	d := g.call("/.well-known/openid-configuration", nil)
	for _, list := range []string{"acr_values_supported", "token_endpoint_auth_methods_supported", "request_object_signing_alg_values_supported"} {
		for _, v := range texts(d.body[list]) {
			if !strings.Contains(text, "`"+v+"`") {
				t.Errorf("the manual does not name %s of %s", v, list)
			}
		}
	}
	reg := reflect.TypeFor[oidc.Registration]()
	for i := range reg.NumField() {
		name, _, _ := strings.Cut(reg.Field(i).Tag.Get("json"), ",")
		if !strings.Contains(text, "| `"+name+"` |") {
			t.Errorf("the manual does not name the member %s", name)
		}
	}
	standard := map[string]bool{"iss": true, "sub": true, "aud": true, "exp": true, "iat": true, "auth_time": true, "nonce": true, "acr": true, "amr": true, "sid": true, "at_hash": true}
	for _, name := range texts(d.body["claims_supported"]) {
		if !standard[name] && !strings.Contains(text, "| `"+name+"` |") {
			t.Errorf("the manual does not name the claim %s", name)
		}
	}
	// Each row of the claims table is true: the claim comes of that scope and attribute alone.
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]+)` \\| `(profile|email|groups|eduperson)` \\|$").FindAllStringSubmatch(text, -1)
	g.client("poor", nil, func(p *rp.Party) { p.Release = nil })
	b := g.browser()
	given := 0
	for _, row := range rows {
		g.grant("poor", row[2])
		r := g.redeem("poor", g.code(b, asking("poor", "scope", "openid "+row[3])))
		body := g.userInfo(r.text("access_token")).body
		if delete(body, "sub"); body[row[1]] != nil {
			given++
		} else if len(body) > 0 {
			got, _ := json.Marshal(body)
			t.Errorf("%s does not come of %s: %s", row[1], row[2], got)
		}
	}
	if len(rows) != 21 || given < 14 {
		t.Errorf("%d rows, %d of them given", len(rows), given)
	}
}

// grant gives a client one attribute and no other.
func (g *gate) grant(id, attribute string) {
	g.T.Helper()
	g.Write(func(tx *store.Tx) error {
		p, err := g.book.Get(tx, id)
		if err != nil {
			return err
		}
		p.Release = []rp.Release{{Attribute: attribute}}
		return g.book.Put(tx, p)
	})
}
