package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
	"golang.org/x/crypto/ocsp"

	"seimon/test/lab/stand"
)

// zlint judges lists and answers.
func (s *scene) zlint(r *stand.Report) {
	// The rules of the CA/Browser Forum about lists are of general use; about answers
	// there are no others.
	registry, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{
		lint.RFC5280, lint.RFC6960, lint.Community, lint.CABFBaselineRequirements,
	}})
	if err != nil {
		r.Result("zlint", err)
		return
	}
	// The root's list is one of issuers: those have a year where others have ten days.
	ofIssuers, err := lint.NewConfigFromString("[e_crl_next_update_invalid]\nSubscriberCRL = false\n")
	if err != nil {
		r.Result("zlint", err)
		return
	}
	r.Check("zlint: full list, shard, empty list of the root", func() error {
		for _, name := range []string{"full", "shard", "root"} {
			if name == "root" {
				registry.SetConfiguration(ofIssuers)
				defer registry.SetConfiguration(lint.NewEmptyConfig())
			}
			der, err := os.ReadFile(s.Work + "/" + name + ".crl")
			if err != nil {
				return err
			}
			l, err := zx509.ParseRevocationList(der)
			if err != nil {
				return err
			}
			if err := clean(zlint.LintRevocationListEx(l, registry)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
	r.Check("zlint: answers and their signer", func() error {
		issuer, err := readCertificate(s.issuer)
		if err != nil {
			return err
		}
		for _, h := range []*stand.Held{s.good, s.revoked} {
			q, err := ocsp.CreateRequest(h.Certificate, issuer, nil)
			if err != nil {
				return err
			}
			answer, err := http.Post(s.OCSP, "application/ocsp-request", bytes.NewReader(q))
			if err != nil {
				return err
			}
			der, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil {
				return err
			}
			parsed, err := ocsp.ParseResponseForCert(der, h.Certificate, issuer)
			if err != nil {
				return err
			}
			if err := clean(zlint.LintOcspResponseEx(parsed, registry)); err != nil {
				return err
			}
			signer, err := zx509.ParseCertificate(parsed.Certificate.Raw)
			if err != nil {
				return err
			}
			rules, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280, lint.RFC5480, lint.RFC6960, lint.Community}})
			if err != nil {
				return err
			}
			if err := clean(zlint.LintCertificateEx(signer, rules)); err != nil {
				return fmt.Errorf("the signer: %w", err)
			}
		}
		return nil
	})
}

// clean wants at least one rule applied and none that complains.
func clean(set *zlint.ResultSet) error {
	applied := 0
	for name, result := range set.Results {
		if result.Status >= lint.Pass {
			applied++
		}
		// A hold is for cards (RFC 5280 5.3.1); servers' certificates, which that rule is
		// about, have none.
		if result.Status >= lint.Notice && name != "e_cab_crl_has_valid_reason_code" {
			return fmt.Errorf("%s %s %s", result.Status, name, result.Details)
		}
	}
	if applied == 0 {
		return fmt.Errorf("no rule applied")
	}
	return nil
}
