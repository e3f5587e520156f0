package main

import (
	"errors"
	"os"
	"path/filepath"

	"seimon/test/lab/stand"
)

// nss keeps the authorities in a database of its own, as Firefox and Chromium do, and
// verifies with an imported list and by asking.
func (s *scene) nss(r *stand.Report) {
	database := func(name string) (string, error) {
		dir := filepath.Join(s.Work, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
		db := "sql:" + dir
		return db, errors.Join(
			stand.Says(true, "", "certutil", "-N", "-d", db, "--empty-password"),
			stand.Says(true, "", "certutil", "-A", "-d", db, "-n", "root", "-t", "CT,,", "-i", s.root),
			stand.Says(true, "", "certutil", "-A", "-d", db, "-n", "issuer", "-t", ",,", "-i", s.issuer),
			stand.Says(true, "", "certutil", "-A", "-d", db, "-n", "good", "-t", ",,", "-i", s.good.File),
			stand.Says(true, "", "certutil", "-A", "-d", db, "-n", "revoked", "-t", ",,", "-i", s.revoked.File))
	}
	r.Check("NSS: chain, before and after the list is imported", func() error {
		db, err := database("nss")
		if err != nil {
			return err
		}
		return errors.Join(
			stand.Says(true, "certificate is valid", "certutil", "-V", "-d", db, "-u", "C", "-n", "revoked"),
			stand.Says(true, "", "crlutil", "-I", "-d", db, "-i", s.fullDER, "-t", "1"),
			stand.Says(true, "certificate is valid", "certutil", "-V", "-d", db, "-u", "C", "-n", "good"),
			stand.Says(false, "revoked", "certutil", "-V", "-d", db, "-u", "C", "-n", "revoked"))
	})
	r.Check("NSS: answers from the address in the certificate", func() error {
		db, err := database("nss-ask")
		if err != nil {
			return err
		}
		verify := func(good bool, want string, h *stand.Held, method ...string) error {
			args := append([]string{"-d", db, "-pp", "-u", "0", "-g", "leaf"}, method...)
			return stand.Says(good, want, "vfychain", append(args, "-a", h.File, "-a", s.issuer)...)
		}
		online := []string{"-h", "requireFreshInfo", "-m", "ocsp", "-s", "failIfNoInfo"}
		// Lists are not asked for this way: NSS reads none with an issuing point.
		return errors.Join(verify(true, "Chain is good", s.good, online...), verify(false, "revoked", s.revoked, online...))
	})
}
