package feed_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/store"
)

// desk gives commands to a house.
type desk struct {
	*house
	files map[string][]byte
	out   bytes.Buffer
}

func (d *desk) Context() context.Context             { return d.t.Context() }
func (d *desk) Feeds() (*feed.Keeper, error)         { return d.feeds, nil }
func (d *desk) Out() io.Writer                       { return &d.out }
func (d *desk) Watch(string) func(done, total int64) { return nil }
func (d *desk) Open(name string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(d.files[name])), nil
}

func (d *desk) run(args ...string) (string, error) {
	d.t.Helper()
	d.out.Reset()
	var cli struct {
		Feed feed.Command `cmd:""`
	}
	parser, err := kong.New(&cli, kong.BindTo(d, (*feed.Env)(nil)))
	if err != nil {
		d.t.Fatal(err)
	}
	c, err := parser.Parse(append([]string{"feed"}, args...))
	if err != nil {
		return "", err
	}
	err = c.Run()
	return d.out.String(), err
}

func (d *desk) must(want string, args ...string) string {
	d.t.Helper()
	out, err := d.run(args...)
	if err != nil || !strings.Contains(out, want) {
		d.t.Fatalf("%v: %v, %s; want %s", args, err, out, want)
	}
	return out
}

func (d *desk) fails(want string, args ...string) {
	d.t.Helper()
	if out, err := d.run(args...); err == nil || !strings.Contains(err.Error(), want) {
		d.t.Errorf("%v: %v, %s; want %s", args, err, out, want)
	}
}

func pemOf(s signer) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate})
}

func TestAFederationIsKeptWithCommands(t *testing.T) {
	h := open(t)
	f, one, two := newFederation(h), newSigner(t), newSigner(t)
	d := &desk{house: h, files: map[string][]byte{"one.pem": pemOf(one), "two.cer": two.Certificate, "bad.pem": []byte("x")}}
	url := h.world.publish("/g1.xml", f.write(one, 0, 1))
	second := h.world.publish("/g2.xml", f.write(two, 0, 1, 2))

	d.fails("no certificate", "add", "gakunin", "--url", url, "--signer", "bad.pem")
	d.fails("must begin with https", "add", "gakunin", "--url", "http://metadata.example.org/", "--signer", "one.pem")
	d.must(feed.Fingerprint(one.pinned), "add", "gakunin", "--url", url, "--signer", "one.pem", "--precedence", "10")
	d.fails("exists already", "add", "gakunin", "--url", url, "--signer", "one.pem")
	d.must("not loaded yet", "list")
	d.must("2 entities, 2 of them services: 2 new, 0 changed, 0 gone", "refresh", "gakunin")
	d.must("has not changed", "refresh", "gakunin")
	d.must("dies in 14 days", "list")
	d.must("generation 2 is believed", "pin", "gakunin", "--url", second, "--signer", "two.cer", "--generation", "2")
	d.must("generation 2, 3 entities", "refresh", "gakunin")
	d.fails("has no generation 7", "unpin", "gakunin", "--generation", "7")
	d.must("not believed any more", "unpin", "gakunin", "--generation", "1")
	third := h.world.publish("/g3.xml", f.write(one, 0, 1))
	d.must("generation 3 is believed", "pin", "gakunin", "--url", third, "--signer", "one.pem", "--generation", "3")
	if until := h.describe(entity(0)).Until; !h.clock.Now().Before(until) {
		t.Error("a generation that was not in force takes the services along")
	}
	d.must("nor what was loaded", "unpin", "gakunin", "--generation", "2")
	if until := h.describe(entity(0)).Until; h.clock.Now().Before(until) {
		t.Error("what a disowned key signed is believed")
	}
	d.must("generation 3, 2 entities, 2 of them services: 0 new, 0 changed, 1 gone", "refresh", "gakunin")
	if until := h.describe(entity(0)).Until; !h.clock.Now().Before(until) {
		t.Error("the next generation does not count")
	}
	if s := h.describe(entity(2)); !s.Gone || h.clock.Now().Before(s.Until) {
		t.Error("a service that only a disowned key had signed lives on")
	}
	d.fails("sources", "unpin", "gakunin", "--generation", "3")
}

func TestWhatIsShown(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	d := &desk{house: h, files: map[string][]byte{"one.pem": pemOf(by), "all.xml": f.write(by, 0, 1)}}
	url := h.world.publish("/all.xml", d.files["all.xml"])
	d.must("believed", "add", "gakunin", "--url", url, "--signer", "one.pem")
	d.must("2 new", "refresh", "gakunin")
	out := d.must("generation 1, in force", "show", "gakunin")
	if !strings.Contains(out, feed.Fingerprint(by.pinned)) {
		t.Error(out)
	}
	out = d.must("from the feed gakunin", "show", entity(0))
	for _, want := range []string{"研究サービス 0", "registered by https://registry.example.org", "category http://refeds.org", "mail: required; by the rule research and scholarship"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	d.fails("neither a feed nor a service", "show", "nothing")
	for _, args := range [][]string{{"list", "--json"}, {"show", "gakunin", "--json"}, {"show", entity(0), "--json"}, {"refresh", "gakunin", "--json"}, {"check", "all.xml", "--signer", "one.pem", "--json"}} {
		if out := d.must("", args...); !json.Valid([]byte(out)) {
			t.Errorf("%v: %s", args, out)
		}
	}
	d.must("removed", "remove", "gakunin")
	d.fails("no feed", "remove", "gakunin")
	d.fails("no feed", "refresh", "gakunin")
}

func TestCheckNamesTheServicesThatCannotBeUsed(t *testing.T) {
	h := open(t)
	f, by, other := newFederation(h), newSigner(t), newSigner(t)
	f.change = func(i int, p *aggregate.Provider) {
		if i == 2 {
			p.Consumer = "http://sp.example.org/plain"
		}
		if i == 3 {
			p.Certificates = []string{base64.StdEncoding.EncodeToString([]byte("no certificate"))}
		}
	}
	d := &desk{house: h, files: map[string][]byte{"one.pem": pemOf(by), "two.pem": pemOf(other), "all.xml": f.write(by, upTo(5)...)}}
	out := d.must("5 entities, 5 of them services", "check", "all.xml", "--signer", "one.pem")
	if strings.Count(out, "cannot be used") != 2 || !strings.Contains(out, entity(2)+" cannot be used: assertion_consumers") {
		t.Error(out)
	}
	d.fails("does not fit any of the registered keys", "check", "all.xml", "--signer", "two.pem")
	h.put(gakunin(h.world.publish("/all.xml", d.files["all.xml"]), by))
	h.must("gakunin")
	if _, err := h.party(entity(2)); err == nil {
		t.Error("a service that cannot be answered safely is a party")
	}
	if _, err := h.party(entity(1)); err != nil {
		t.Error("one broken service takes the others along: ", err)
	}
}

func TestAlarms(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	alarm := func() string {
		t.Helper()
		var out []feed.Alarm
		if err := h.db.Read(t.Context(), func(tx *store.Tx) (err error) { out, err = h.feeds.Alarms(tx); return err }); err != nil {
			t.Fatal(err)
		}
		if len(out) == 0 {
			return ""
		}
		return out[0].Code
	}
	left := func() (d time.Duration, ok bool) {
		t.Helper()
		if err := h.db.Read(t.Context(), func(tx *store.Tx) (err error) { d, ok, err = h.feeds.Left(tx); return err }); err != nil {
			t.Fatal(err)
		}
		return d, ok
	}
	h.put(gakunin(h.world.publish("/all.xml", f.write(by, 0)), by))
	if _, ok := left(); alarm() != feed.AlarmNever || ok {
		t.Error(alarm())
	}
	h.must("gakunin")
	if d, ok := left(); alarm() != "" || !ok || d != f.life {
		t.Error(alarm(), d)
	}
	h.world.publish("/all.xml", nil)
	for range 3 {
		if _, err := h.refresh("gakunin"); err == nil {
			t.Fatal("nothing is a feed")
		}
	}
	if alarm() != feed.AlarmFailing {
		t.Error(alarm())
	}
	h.clock.Add(f.life - 3*day)
	if alarm() != feed.AlarmSoon {
		t.Error(alarm())
	}
	h.clock.Add(3 * day)
	if d, _ := left(); alarm() != feed.AlarmExpired || d != 0 {
		t.Error(alarm(), d)
	}
}
