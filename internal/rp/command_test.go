package rp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"seimon/internal/rp"
	"seimon/internal/store"
)

type desk struct {
	house
	in, out bytes.Buffer
	events  []string
}

func (d *desk) Context() context.Context              { return d.t.Context() }
func (d *desk) Parties() (*store.DB, *rp.Book, error) { return d.db, d.book, nil }
func (d *desk) Open(string) (io.ReadCloser, error)    { return io.NopCloser(&d.in), nil }
func (d *desk) Out() io.Writer                        { return &d.out }
func (d *desk) TakeOver(t rp.TakeOver) error {
	d.events = append(d.events, t.From+" "+t.Folder)
	return nil
}
func (d *desk) Record(_ *store.Tx, event, party string, _ map[string]string) error {
	d.events = append(d.events, event+" "+party)
	return nil
}

func (d *desk) run(args ...string) (string, error) {
	d.t.Helper()
	d.out.Reset()
	var cli struct {
		Party rp.Command `cmd:""`
	}
	parser, err := kong.New(&cli, kong.BindTo(d, (*rp.Env)(nil)))
	if err != nil {
		d.t.Fatal(err)
	}
	c, err := parser.Parse(append([]string{"party"}, args...))
	if err != nil {
		return "", err
	}
	err = c.Run()
	return d.out.String(), err
}

func (d *desk) must(args ...string) string {
	d.t.Helper()
	out, err := d.run(args...)
	if err != nil {
		d.t.Fatal(args, err)
	}
	return out
}

func TestCommandsKeepTheBook(t *testing.T) {
	d := &desk{house: open(t)}
	d.must("add", "library", "--name", "ja=図書館, 本館", "--name", "en=Library", "--release", "mail=required", "--release", "displayName",
		"--with", "redirect_uris=https://library.example/cb", "--with", "native=true", "--with", `jwks={"keys":[]}`, "--pairwise")
	var p rp.Party
	if err := json.Unmarshal([]byte(d.must("show", "library")), &p); err != nil {
		t.Fatal(err)
	}
	if p.Names["ja"] != "図書館, 本館" || !p.Pairwise || !p.Release[0].Required || p.Release[1].Required {
		t.Errorf("party %+v", p)
	}
	var reg map[string]any
	if err := json.Unmarshal(p.Registration, &reg); err != nil || len(reg["redirect_uris"].([]any)) != 1 || reg["native"] != true {
		t.Errorf("registration %s %v", p.Registration, err)
	}
	if _, err := d.run("add", "library", "--name", "en=Again"); err == nil {
		t.Error("added twice")
	}
	d.must("set", "library", "--no-pairwise", "--with", "native=", "--with", "redirect_uris=https://a.example/", "--with", "redirect_uris=https://b.example/", "--release", "none")
	p = rp.Party{}
	if err := json.Unmarshal([]byte(d.must("show", "library")), &p); err != nil {
		t.Fatal(err)
	}
	if p.Pairwise || len(p.Release) != 0 || strings.Contains(string(p.Registration), "native") || !strings.Contains(string(p.Registration), "b.example") || p.Names["en"] != "Library" {
		t.Errorf("after set %+v %s", p, p.Registration)
	}
	if out := d.must("list"); !strings.Contains(out, "library") || !strings.Contains(out, "Library") {
		t.Error(out)
	}
	d.must("remove", "library")
	if _, err := d.run("show", "library"); err == nil || !strings.Contains(err.Error(), `"library"`) {
		t.Errorf("show after remove: %v", err)
	}
	if out := d.must("list", "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("list after remove: %s", out)
	}
	if strings.Join(d.events, ",") != "party.added library,party.changed library,party.removed library" {
		t.Error(d.events)
	}
}

func TestImportIsAllOrNothing(t *testing.T) {
	d := &desk{house: open(t)}
	good := `{"id":"a","protocol":"oidc","names":{"en":"A"}}`
	for text, want := range map[string]string{
		`[` + good + `,{"id":"b c","protocol":"oidc","names":{"en":"B"}}]`: `party "b c": id`,
		`[` + good + `,{"id":"b","colour":"red"}]`:                         `party number 2: json: unknown field "colour"`,
		`[` + good + `,` + good + `]`:                                      `stands in the document twice`,
		"[" + good + ",\n{]":                                               "line 2",
		good + good:                                                        "line 1",
	} {
		d.in.Reset()
		d.in.WriteString(text)
		if _, err := d.run("import", "-"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
		if out := d.must("list", "--json"); strings.TrimSpace(out) != "[]" {
			t.Fatalf("%s left %s", text, out)
		}
	}
	d.in.Reset()
	d.in.WriteString("\ufeff" + `[` + good + `,{"id":"b","protocol":"oidc","names":{"en":"B"}}]`)
	d.must("import", "-")
	if out := d.must("list"); strings.Count(out, "oidc") != 2 {
		t.Error(out)
	}
}

func FuzzReadDocument(f *testing.F) {
	f.Add([]byte(`[{"id":"a","protocol":"oidc","names":{"en":"A"}}]`))
	f.Add([]byte(`{"id":"a","registration":{"x":[1,{}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := rp.ReadDocument(bytes.NewReader(text))
		if err != nil {
			return
		}
		book := rp.New(nil, mac)
		for _, p := range list {
			if _, err := book.Judge(&p, nil); err == nil && (p.ID == "" || len(p.Names) == 0 || p.Consent == "") {
				t.Errorf("accepted %+v", p)
			}
		}
	})
}
