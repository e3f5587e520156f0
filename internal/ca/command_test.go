package ca_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/store"
)

// desk runs commands as the program does.
type desk struct {
	*house
	files map[string][]byte
	out   bytes.Buffer
	typed []string
}

func (d *desk) Context() context.Context { return d.t.Context() }
func (d *desk) Out() io.Writer           { return &d.out }
func (d *desk) Open(name string) (io.ReadCloser, error) {
	text, ok := d.files[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

func (d *desk) Create(name string) (io.WriteCloser, error) {
	if _, ok := d.files[name]; ok {
		return nil, os.ErrExist
	}
	return &created{d: d, name: name}, nil
}

// created is a file that is being written.
type created struct {
	bytes.Buffer
	d    *desk
	name string
}

func (c *created) Close() error {
	c.d.files[c.name] = c.Bytes()
	return nil
}

// Line takes what is typed next.
func (d *desk) Line() (string, error) {
	if len(d.typed) == 0 {
		return "", io.ErrUnexpectedEOF
	}
	text := d.typed[0]
	d.typed = d.typed[1:]
	return text, nil
}

func (d *desk) Passphrase(string) (authn.Secret, error) {
	text, err := d.Line()
	return authn.Secret(text), err
}

func (d *desk) Authority() (ca.Office, error) {
	return ca.Office{
		DB: d.db, CA: d.ca, Actor: "cli:test", University: "Example University",
		Holder: func(_ *store.Tx, user string) (ca.Holder, error) {
			if user != "taro" {
				return ca.Holder{}, fmt.Errorf("there is no user %q", user)
			}
			return order(nil).Holder, nil
		},
		User: func(_ *store.Tx, account authn.AccountID) string {
			return map[authn.AccountID]string{"acc_1": "taro"}[account]
		},
	}, nil
}

func (d *desk) run(line string) (string, error) {
	d.t.Helper()
	d.out.Reset()
	var cli struct {
		Ca   ca.Command     `cmd:"" name:"ca"`
		Cert ca.CertCommand `cmd:""`
	}
	parser, err := kong.New(&cli, kong.BindTo(d, (*ca.Env)(nil)))
	if err != nil {
		d.t.Fatal(err)
	}
	c, err := parser.Parse(strings.Fields(line))
	if err == nil {
		err = c.Run()
	}
	return d.out.String(), err
}

func (d *desk) must(line string) string {
	d.t.Helper()
	out, err := d.run(line)
	if err != nil {
		d.t.Fatalf("%s: %v", line, err)
	}
	return out
}

func (d *desk) wrong(line, words string) {
	d.t.Helper()
	if _, err := d.run(line); err == nil || !strings.Contains(err.Error(), words) {
		d.t.Errorf("%s: %v", line, err)
	}
}

func TestCommandsLeadFromNothingToARevokedCertificate(t *testing.T) {
	d := &desk{house: open(t), files: map[string][]byte{}}
	d.wrong("ca show", "seimon ca init")
	d.wrong("cert log verify", "seimon ca init")
	d.wrong("cert log key", "seimon ca init")
	d.files["r.pem"] = armoured("CERTIFICATE REQUEST", request(t, nil))
	d.wrong("cert issue taro --request r.pem --label laptop", "seimon ca init")

	out := d.must("ca init --country JP")
	for _, words := range []string{`"Example University Root CA G1"`, "SHA-256", "2.25.", "log key"} {
		if !strings.Contains(out, words) {
			t.Errorf("init says nothing of %s: %s", words, out)
		}
	}
	d.wrong("ca init", "exists already")
	d.wrong("cert log head", "no certificate")
	if out := d.must("cert log verify"); !strings.HasPrefix(out, "0 certificates") {
		t.Error(out)
	}
	block, rest := pem.Decode([]byte(d.must("cert issue taro --request r.pem --label laptop --days 30")))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		t.Fatal("no certificate was printed")
	}
	d.files["broken.pem"] = []byte("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")
	d.wrong("cert issue taro --request broken.pem --label laptop", "C9.form: the request")
	d.wrong("cert issue taro --request r.pem --label "+strings.Repeat("x", 41), "label")
	d.wrong("cert issue hanako --request r.pem --label laptop", `"hanako"`)
	d.wrong("cert issue taro --request none.pem --label laptop", "not exist")
	var list []struct{ ID, Serial, User, State, PEM string }
	if err := json.Unmarshal([]byte(d.must("cert list taro --json")), &list); err != nil || len(list) != 1 || list[0].User != "taro" || !strings.HasPrefix(list[0].PEM, "-----BEGIN") {
		t.Fatalf("%+v %v", list, err)
	}
	id, serial := list[0].ID, list[0].Serial
	if out := d.must("cert list --within 31"); !strings.Contains(out, id) {
		t.Error(out)
	}
	if out := d.must("cert list --within 29"); strings.Contains(out, id) {
		t.Error(out)
	}
	colons := strings.ToLower(serial[:2] + ":" + serial[2:])
	if out := d.must("cert show " + colons); !strings.Contains(out, id) {
		t.Error(out)
	}
	if out := d.must("cert show --chain " + id); strings.Count(out, "BEGIN CERTIFICATE") != 3 {
		t.Error(out)
	}
	if out := d.must("cert show taro/laptop"); !strings.Contains(out, id) {
		t.Error(out)
	}
	if out := d.must("cert show taro/laptop --json"); !strings.Contains(out, `"id": "`+id) {
		t.Error(out)
	}
	d.files["seimon.toml"] = []byte("[certificates]\n")
	d.wrong("cert issue taro --request seimon.toml --label laptop", "this is no PKCS#10 request")
	d.wrong("cert issue taro --request r.pem --label laptop --replace cert_none", "must be one of this user")
	d.wrong("cert show taro/phone", `no certificate "taro/phone"`)
	d.wrong("cert show hanako/laptop", `"hanako"`)
	d.wrong("cert show nothing", `no certificate "nothing"`)

	d.files["proof.json"] = []byte(d.must("cert log proof " + id))
	d.files["head.json"] = []byte(d.must("cert log head"))
	d.files["key.pem"] = []byte(d.must("cert log key"))
	if out := d.must("cert log check proof.json --key key.pem"); !strings.Contains(out, "entry 0 of 1") || strings.Contains(out, "compare") {
		t.Error(out)
	}
	if out := d.must("cert log check proof.json"); !strings.Contains(out, "compare") {
		t.Error(out)
	}
	d.must("cert log verify --head head.json")
	d.files["forged.json"] = bytes.Replace(d.files["proof.json"], []byte(`"timestamp": 1`), []byte(`"timestamp": 2`), 1)
	var damage *ca.Damage
	if _, err := d.run("cert log check forged.json"); !errors.As(err, &damage) || damage.ExitCode() != 3 {
		t.Errorf("a forged proof: %v", err)
	}
	if out := d.must("cert revoke " + serial + " --reason certificateHold"); !strings.Contains(out, "is revoked") {
		t.Error(out)
	}
	if out := d.must("cert restore " + id); !strings.Contains(out, "is active") {
		t.Error(out)
	}
	for _, step := range []struct{ command, state, reason string }{
		{"cert revoke " + id + " --reason certificateHold --json", "revoked", "certificateHold"},
		{"cert restore " + id + " --json", "active", ""},
	} {
		var told, shown map[string]any
		if err := errors.Join(json.Unmarshal([]byte(d.must(step.command)), &told), json.Unmarshal([]byte(d.must("cert show "+id+" --json")), &shown)); err != nil {
			t.Fatal(err)
		}
		if reason, _ := told["reason"].(string); told["state"] != step.state || reason != step.reason || told["id"] != id || (told["revoked"] != nil) != (reason != "") {
			t.Errorf("%s: %v", step.command, told)
		}
		if !reflect.DeepEqual(told, shown) {
			t.Errorf("%s tells %v, and show %v", step.command, told, shown)
		}
	}
	d.must("cert revoke " + id)
	d.wrong("cert restore "+id, "revoked for good (unspecified)")
	d.wrong("cert revoke cert_none", "no certificate")
	d.write(func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE ca_certificate SET serial = 'AB' WHERE id = $1", id)
		return err
	})
	if _, err := d.run("cert log verify --json"); !errors.As(err, &damage) || !strings.Contains(d.out.String(), "does not belong") {
		t.Errorf("%v %s", err, d.out.String())
	}
}

func TestCommandsOfARollover(t *testing.T) {
	d := &desk{house: founded(t), files: map[string][]byte{}}
	first := d.active()
	if out := d.must("ca show"); !strings.Contains(out, first) || !strings.Contains(out, "sealed in the database") {
		t.Error(out)
	}
	d.must("ca rollover prepare --new-root --algorithm RSA-2048")
	var issuers []struct{ ID, Name, State string }
	if err := json.Unmarshal([]byte(d.must("ca issuers --json")), &issuers); err != nil || len(issuers) != 4 {
		t.Fatal(issuers, err)
	}
	next := issuers[3].ID
	bundle := func() int { return strings.Count(d.must("ca show --bundle"), "BEGIN CERTIFICATE") }
	if n := bundle(); n != 3 { // both roots, the active issuer
		t.Errorf("%d in the bundle", n)
	}
	d.wrong("ca rollover activate "+next, "it is prepared; from there it can only distribute or discard")
	d.wrong("ca rollover activate", "no issuer can take this step now")
	for _, word := range []string{first, "Example\u00a0University", "none"} {
		if _, err := d.run("ca show " + word); (err == nil) != (word == first) {
			t.Errorf("%q: %v", word, err)
		}
	}
	d.must("ca rollover distribute")
	if n := bundle(); n != 4 {
		t.Errorf("%d in the bundle", n)
	}
	d.must("ca rollover activate " + next)
	d.wrong("ca rollover retire "+next, "activate its successor")
	d.must("ca rollover retire " + first)
	d.wrong("ca rollover discard iss_none", `no issuer "iss_none"`)
	if out := d.must("ca show --pem " + next); strings.Count(out, "BEGIN CERTIFICATE") != 2 {
		t.Error(out)
	}
	if out := d.must("ca show --json " + next); !strings.Contains(out, `"state": "active"`) {
		t.Error(out)
	}
	d.wrong("ca show iss_none", "no issuer")
	if out := d.must("ca issuers"); !strings.Contains(out, "retired") {
		t.Error(out)
	}
}

func TestCommandsOfOrphansAndProfiles(t *testing.T) {
	d := &desk{house: founded(t)}
	if out := d.must("ca orphans"); !strings.Contains(out, "no orphans") {
		t.Error(out)
	}
	if _, err := d.ca.Prepare(t.Context(), order(p256(t).Public())); err != nil {
		t.Fatal(err)
	}
	d.wrong("ca orphans --older 1m --mend", "may still become")
	d.clock.Add(2 * time.Hour)
	if out := d.must("ca orphans"); !strings.Contains(out, "1 orphans") {
		t.Error(out)
	}
	if out := d.must("ca orphans --json"); !strings.Contains(out, `"state": "prepared"`) {
		t.Error(out)
	}
	if out := d.must("ca orphans --mend"); !strings.Contains(out, "1 serials are revoked") {
		t.Error(out)
	}
	if out := d.must("ca profiles"); !strings.Contains(out, "wifi-pseudonym") || !strings.Contains(out, d.ca.Policy(ca.OnCard)) {
		t.Error(out)
	}
	if out := d.must("ca profiles --json"); !strings.Contains(out, "person-device") {
		t.Error(out)
	}
}
