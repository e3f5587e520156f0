package ca_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/keyring"
	"seimon/internal/store"
)

const phrase = "ivory lanterns over the gate"

func (h *house) root() ca.Issuer {
	h.t.Helper()
	var out []ca.Issuer
	h.read(func(tx *store.Tx) (err error) {
		out, err = h.ca.Roots(tx)
		return err
	})
	return out[0]
}

// TestTheRootKeyGoesOfflineAndComesBack: while it is away nothing that needs it works,
// on no node, also not on one that has used it before, and everything says so.
func TestTheRootKeyGoesOfflineAndComesBack(t *testing.T) {
	d := &desk{house: founded(t), files: map[string][]byte{}}
	other, root := d.another(), d.root()
	for _, a := range []*ca.Authority{d.ca, other} {
		if _, err := a.Sign(t.Context(), root.ID); err != nil {
			t.Fatal(err)
		}
	}
	d.typed = []string{phrase, phrase}
	out, err := d.run("ca root export root.key")
	if err != nil || !strings.Contains(out, "read back and proved") {
		t.Fatalf("%s %v", out, err)
	}
	d.typed = []string{phrase}
	if out, err = d.run("ca root remove root.key"); err != nil || !strings.Contains(out, "offline") {
		t.Fatalf("%s %v", out, err)
	}
	var away *ca.Offline
	for _, a := range []*ca.Authority{d.ca, other, d.another()} {
		if _, err := a.Sign(t.Context(), root.ID); !errors.As(err, &away) || !strings.Contains(err.Error(), "seimon ca root import") {
			t.Errorf("signed with a key that is away: %v", err)
		}
	}
	if out, err := d.run("ca issuers"); err != nil || !strings.Contains(out, "anchor, key offline") {
		t.Error(out, err)
	}
	if out, err := d.run("ca show " + root.ID); err != nil || !strings.Contains(out, "offline: seimon ca root import") || strings.Contains(out, "/ocsp/") {
		t.Error(out, err)
	}
	if out, err := d.run("ca issuers --json"); err != nil || strings.Count(out, `"key_offline": true`) != 1 {
		t.Error(out, err)
	}
	if _, err := d.run("ca rollover prepare"); !errors.As(err, &away) {
		t.Errorf("an issuer was made: %v", err)
	}
	if c := d.issue(order(p256(t).Public())); c.State != ca.Active {
		t.Errorf("%+v", c)
	}
	d.read(func(tx *store.Tx) error {
		var n int64
		if err := tx.QueryRow("SELECT LENGTH(k.sealed) FROM ca_key k JOIN ca_issuer i ON i.key_id = k.id WHERE i.id = $1", root.ID).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d bytes of the key are still here (%v)", n, err)
		}
		off, err := d.ca.RootsOffline(tx)
		if !off[root.ID] {
			t.Error("it is not told that the key is away")
		}
		return err
	})
	d.typed = []string{phrase, phrase}
	for _, line := range []string{"ca root remove root.key", "ca root export again.key"} {
		if _, err := d.run(line); !errors.As(err, &away) {
			t.Errorf("%s: %v", line, err)
		}
		d.typed = []string{phrase, phrase}
	}
	d.typed = []string{phrase}
	if out, err = d.run("ca root import root.key"); err != nil || !strings.Contains(out, "here again") {
		t.Fatalf("%s %v", out, err)
	}
	if _, err := other.Sign(t.Context(), root.ID); err != nil {
		t.Error(err)
	}
	if _, err := d.run("ca rollover prepare"); err != nil {
		t.Error(err)
	}
	d.typed = []string{phrase}
	if _, err := d.run("ca root import root.key"); err == nil || !strings.Contains(err.Error(), "here already") {
		t.Error(err)
	}
}

// TestBackupsOfARootThatIsOffline: as long as the master key of the day on which the
// root's key was taken away is in use, backups from before can be opened.
func TestBackupsOfARootThatIsOffline(t *testing.T) {
	d := &desk{house: founded(t), files: map[string][]byte{}}
	root := d.root()
	behind := func(a *ca.Authority) (out map[string]time.Time) {
		t.Helper()
		d.read(func(tx *store.Tx) (err error) {
			out, err = a.LeftBehind(tx)
			return err
		})
		return out
	}
	if got := behind(d.ca); len(got) != 0 {
		t.Errorf("with the key here: %v", got)
	}
	d.typed = []string{phrase, phrase, phrase}
	d.must("ca root export root.key")
	d.must("ca root remove root.key")
	if at := behind(d.ca)[root.ID]; !at.Equal(d.clock.Now().Truncate(time.Millisecond)) {
		t.Errorf("taken away at %s", at)
	}
	before, after := bytes.Repeat([]byte("k"), 32), bytes.Repeat([]byte("n"), 32)
	for _, step := range []struct {
		keys keyring.Config
		want int
	}{{keyring.Config{Master: after, Old: [][]byte{before}}, 1}, {keyring.Config{Master: after}, 0}} {
		var err error
		if d.ring, err = keyring.Open(t.Context(), d.db, step.keys); err != nil {
			t.Fatal(err)
		}
		if got := behind(d.another()); len(got) != step.want {
			t.Errorf("with %d former master keys: %v", len(step.keys.Old), got)
		}
	}
}

// TestAnExportThatIsNotGoodRemovesNothing: another passphrase, a changed file, another
// root's file, a file that asks for too much memory.
func TestAnExportThatIsNotGoodRemovesNothing(t *testing.T) {
	h := founded(t)
	for _, weak := range []authn.Secret{"", "short"} {
		if _, _, err := h.ca.ExportRoot(t.Context(), "", weak, "test"); err == nil {
			t.Errorf("the passphrase %d long was taken", len(weak.Reveal()))
		}
	}
	root, good, err := h.ca.ExportRoot(t.Context(), "", phrase, "test")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(good)
	changed := func(change func(map[string]any)) []byte {
		var all map[string]any
		if err := json.Unmarshal(block.Bytes, &all); err != nil {
			t.Fatal(err)
		}
		change(all)
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: text})
	}
	stranger := founded(t)
	_, foreign, err := stranger.ca.ExportRoot(t.Context(), "", phrase, "test")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text []byte
		pass authn.Secret
	}{
		"passphrase":    {good, "ivory lanterns over the moat"},
		"nothing":       {nil, phrase},
		"not PEM":       {[]byte("hello"), phrase},
		"other block":   {bytes.ReplaceAll(good, []byte("SEIMON ROOT KEY"), []byte("PRIVATE KEY")), phrase},
		"another root":  {foreign, phrase},
		"name":          {changed(func(m map[string]any) { m["name"] = "Other Root CA" }), phrase},
		"sealed":        {changed(func(m map[string]any) { m["sealed"] = "AAAA" }), phrase},
		"nonce":         {changed(func(m map[string]any) { m["nonce"] = "AAAA" }), phrase},
		"public":        {changed(func(m map[string]any) { m["public"] = "AAAA" }), phrase},
		"memory":        {changed(func(m map[string]any) { m["argon2id"].(map[string]any)["memory_kib"] = 1 << 30 }), phrase},
		"little memory": {changed(func(m map[string]any) { m["argon2id"].(map[string]any)["memory_kib"] = 8 }), phrase},
		"no passes":     {changed(func(m map[string]any) { m["argon2id"].(map[string]any)["passes"] = 0 }), phrase},
		"salt":          {changed(func(m map[string]any) { m["argon2id"].(map[string]any)["salt"] = "AA" }), phrase},
	} {
		if _, err := h.ca.RemoveRoot(t.Context(), c.text, c.pass, "test"); err == nil {
			t.Errorf("%s: the key was removed", name)
		}
		if _, err := h.ca.ImportRoot(t.Context(), c.text, c.pass, "test"); err == nil {
			t.Errorf("%s: a key was brought in", name)
		}
	}
	if _, err := h.ca.Sign(t.Context(), root.ID); err != nil {
		t.Error(err)
	}
	d := &desk{house: h, files: map[string][]byte{"there": good}, typed: []string{phrase, "something else altogether"}}
	if _, err := d.run("ca root export fresh"); err == nil || len(d.files) != 1 {
		t.Error("two passphrases")
	}
	d.typed = []string{phrase, phrase}
	if _, err := d.run("ca root export there"); err == nil || !bytes.Equal(d.files["there"], good) {
		t.Error("a file was overwritten")
	}
}
