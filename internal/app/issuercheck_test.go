package app

import (
	"strings"
	"testing"
	"time"

	"seimon/internal/ca"
	"seimon/internal/diagnosis"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// TestTheDoctorKnowsIssuers: nothing is said without an authority and with a sound
// one; what would keep people from certificates is found, in words of both languages.
func TestTheDoctorKnowsIssuers(t *testing.T) {
	s := install(t)
	s.edit(`#base = `, `base = `)
	c, err := LoadConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(t.Context(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	says := func() string {
		list, err := h.checkIssuers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var codes []string
		for _, f := range list {
			codes = append(codes, f.Code)
			for _, tag := range []lang.Tag{lang.JA, lang.EN} {
				if text, next := f.Says(h.Words.In(tag)); text == "" || next == "" || strings.Contains(text+next, "{{") {
					t.Errorf("%s in %s: %q %q", f.Code, tag, text, next)
				}
			}
		}
		return strings.Join(codes, " ")
	}
	change := func(sql string, args ...any) {
		if err := h.DB.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(sql, args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
	if got := says(); got != "" {
		t.Errorf("without an authority: %s", got)
	}
	if _, err := h.CA.Found(t.Context(), ca.Plan{Organization: "Example University"}); err != nil {
		t.Fatal(err)
	}
	if got := says(); got != "" {
		t.Errorf("with a sound one: %s", got)
	}
	if list := diagnosis.Examine(t.Context(), []diagnosis.Check{{Code: "issuer", Run: h.checkIssuers}}); diagnosis.Worst(list) == diagnosis.Broken {
		t.Errorf("%+v", list)
	}
	c.Certificates.Base = ""
	if got := says(); got != "issuer.base" {
		t.Errorf("without a base: %s", got)
	}
	c.Certificates.Base = "http://pki.example.ac.jp"
	change(`INSERT INTO ca_certificate (id, issuer, serial, profile, account, person, name, label, device, mail, upn, shard, not_before, not_after,
		state, revoked_at, reason, replaces, replaced_by, card, key_hash, intent, token, der, leaf, created_at, issued_at)
		VALUES ('cert_x', 'iss_x', '01', '', '', '', '', '', '', '', '', 1, 0, 0, 'prepared', 0, '', '', '', '', $1, $1, $1, $1, -1, 1, 0)`, []byte{1})
	if got := says(); got != "issuer.orphans" {
		t.Errorf("with an orphan: %s", got)
	}
	change("DELETE FROM ca_certificate")
	change("UPDATE ca_issuer SET state = 'status-only' WHERE state = 'active'")
	if got := says(); got != "issuer.none" {
		t.Errorf("without an active one: %s", got)
	}
	change("UPDATE ca_issuer SET state = 'active' WHERE state = 'status-only'")
	change("UPDATE ca_key SET sealed = $1", []byte("broken"))
	if err := h.issuers(t.Context()); err != nil { // as at the next start
		t.Fatal(err)
	}
	if got := says(); got != "issuer.key" {
		t.Errorf("with a broken key: %s", got)
	}
}

// TestTheDoctorCountsBackFromTheEndOfAnIssuer: the warning comes before certificates
// are cut short, not when the issuer ends.
func TestTheDoctorCountsBackFromTheEndOfAnIssuer(t *testing.T) {
	s := install(t)
	s.edit(`#base = `, `base = `)
	c, err := LoadConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(t.Context(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	i, err := h.CA.Found(t.Context(), ca.Plan{Organization: "Example University"})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		left time.Duration
		want string
	}{{6 * 365 * 24 * time.Hour, ""}, {4 * 365 * 24 * time.Hour, "issuer.soon"}, {-time.Hour, "issuer.expired"}} {
		cert := *i.Certificate
		cert.NotAfter = h.DB.Now().Add(k.left)
		got := ""
		if list := h.issuerEnd(ca.Issuer{Name: i.Name, Certificate: &cert}); len(list) > 0 {
			got = list[0].Code
		}
		if got != k.want {
			t.Errorf("%v before the end: %q", k.left, got)
		}
	}
}
