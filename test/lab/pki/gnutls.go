package main

import (
	"errors"
	"os"
	"path/filepath"

	"seimon/test/lab/stand"
)

// gnutls verifies chains with lists, asks for answers and reads lists.
func (s *scene) gnutls(r *stand.Report) {
	chain := func(h *stand.Held) (string, error) { return s.joined(h.Name+"-chain.pem", h.File, s.issuer) }
	r.Check("GnuTLS: chain with the full list", func() error {
		good, err := chain(s.good)
		if err != nil {
			return err
		}
		bad, err := chain(s.revoked)
		if err != nil {
			return err
		}
		return errors.Join(
			stand.Says(true, "Chain verification output: Verified", "certtool", "--verify", "--load-ca-certificate", s.root, "--load-crl", s.full, "--infile", good),
			stand.Says(false, "revoked", "certtool", "--verify", "--load-ca-certificate", s.root, "--load-crl", s.full, "--infile", bad))
	})
	r.Check("GnuTLS: lists are signed", func() error {
		return errors.Join(stand.Says(true, "Verified", "certtool", "--verify-crl", "--load-ca-certificate", s.both, "--infile", s.full),
			stand.Says(true, "Verified", "certtool", "--verify-crl", "--load-ca-certificate", s.both, "--infile", s.shard))
	})
	ask := func(good bool, want string, h *stand.Held, more ...string) error {
		args := []string{"--ask=" + s.OCSP, "--load-cert", h.File, "--load-issuer", s.issuer, "--load-trust", s.both}
		return stand.Says(good, want, "ocsptool", append(args, more...)...)
	}
	r.Check("GnuTLS: answers", func() error {
		return errors.Join(ask(true, "Certificate Status: good", s.good, "--nonce"), ask(true, "Certificate Status: good", s.good),
			ask(true, "Certificate Status: revoked", s.revoked, "--nonce"))
	})
	r.Check("GnuTLS: the signer of an answer is checked", func() error {
		file := filepath.Join(s.Work, "answer.der")
		if err := ask(true, "", s.good, "--outfile", file); err != nil {
			return err
		}
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			return errors.Join(err, errors.New("no answer was written"))
		}
		return stand.Says(true, "Success", "ocsptool", "--verify-response", "--load-response", file, "--load-trust", s.both)
	})
}
