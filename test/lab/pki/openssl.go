package main

import (
	"errors"
	"fmt"
	"strings"

	"seimon/test/lab/stand"
)

// openssl verifies chains with lists, asks for answers and reads lists.
func (s *scene) openssl(r *stand.Report) {
	verify := func(good bool, want, file string, more ...string) error {
		args := append([]string{"verify", "-CAfile", s.root, "-untrusted", s.issuer, "-purpose", "sslclient", "-x509_strict"}, more...)
		return stand.Says(good, want, "openssl", append(args, file)...)
	}
	r.Check("OpenSSL: chain", func() error { return verify(true, "OK", s.good.File) })
	r.Check("OpenSSL: chain with lists of issuer and root", func() error {
		lists := []string{"-crl_check_all", "-CRLfile", s.full, "-CRLfile", s.rootList}
		return errors.Join(verify(true, "OK", s.good.File, lists...), verify(false, "certificate revoked", s.revoked.File, lists...),
			verify(false, "certificate revoked", s.held.File, lists...))
	})
	r.Check("OpenSSL: the shard that a certificate names", func() error {
		return errors.Join(verify(false, "certificate revoked", s.revoked.File, "-crl_check", "-CRLfile", s.shard),
			s.otherShard(verify))
	})
	r.Check("OpenSSL: policy", func() error {
		policy := s.good.Certificate.Policies[0].String()
		return errors.Join(verify(true, "OK", s.good.File, "-policy_check", "-explicit_policy", "-policy", policy),
			verify(false, "policy", s.good.File, "-policy_check", "-explicit_policy", "-policy", "1.2.3.4"))
	})
	r.Check("OpenSSL: lists are signed", func() error {
		return errors.Join(stand.Says(true, "verify OK", "openssl", "crl", "-in", s.full, "-CAfile", s.both, "-noout", "-text"),
			stand.Says(true, "verify OK", "openssl", "crl", "-in", s.rootList, "-CAfile", s.root, "-noout"))
	})
	ask := func(want string, more ...string) error {
		args := append([]string{"ocsp", "-issuer", s.issuer, "-url", s.OCSP, "-CAfile", s.both, "-timeout", "30"}, more...)
		out, err := stand.Run(nil, "openssl", args...)
		if err != nil || !strings.Contains(out, "Response verify OK") || !strings.Contains(out, want) || strings.Contains(out, "no nonce") {
			return fmt.Errorf("%v, and not %q: %s", err, want, out)
		}
		return nil
	}
	r.Check("OpenSSL: answers with nonce", func() error {
		return errors.Join(ask(": good", "-cert", s.good.File), ask("Reason: keyCompromise", "-cert", s.revoked.File),
			ask("Reason: certificateHold", "-cert", s.held.File), ask(": unknown", "-serial", "0x4711"),
			ask(": good", "-sha256", "-cert", s.good.File))
	})
	r.Check("OpenSSL: answers without nonce, several at once", func() error {
		return errors.Join(ask(": good", "-no_nonce", "-cert", s.good.File), ask(": revoked", "-no_nonce", "-cert", s.revoked.File),
			ask(": revoked", "-cert", s.good.File, "-cert", s.revoked.File))
	})
}

// otherShard makes sure that a list of another shard does not pass for the right one.
func (s *scene) otherShard(verify func(good bool, want, file string, more ...string) error) error {
	own := s.revoked.Certificate.CRLDistributionPoints[0]
	i := strings.LastIndexByte(own, '/')
	for n := 1; n <= 8; n++ {
		other := fmt.Sprintf("%s/%d.crl", own[:i], n)
		if other == own {
			continue
		}
		file, err := s.list("other", other)
		if err != nil {
			return err
		}
		return verify(false, "", s.revoked.File, "-crl_check", "-CRLfile", file)
	}
	return errors.New("there is only one shard")
}
