// Command zlint is a referee of the lab: it lets the certificate authority issue
// certificates of every profile, key and issuer, and has zlint judge each of them.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"seimon/test/lab/stand"
)

func main() {
	r := stand.NewReport("zlint")
	if err := run(r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r.Exit()
}

// sources are the rules that concern an authority of a university. The rules of the
// CA/Browser Forum are for certificates of servers and of public mail.
func rules() (lint.Registry, error) {
	return lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{
		lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC6960, lint.RFC6962, lint.RFC8813, lint.Community,
	}})
}

// judge gives what zlint finds in a certificate: notices and worse.
func judge(der []byte, registry lint.Registry) (findings []string, applied int, err error) {
	cert, err := zx509.ParseCertificate(der)
	if err != nil {
		return nil, 0, fmt.Errorf("zcrypto cannot read it: %w", err)
	}
	set := zlint.LintCertificateEx(cert, registry)
	for name, result := range set.Results {
		if result.Status >= lint.Pass {
			applied++
		}
		if result.Status >= lint.Notice {
			findings = append(findings, result.Status.String()+" "+name+" "+result.Details)
		}
	}
	sort.Strings(findings)
	return findings, applied, nil
}

// list makes findings one text.
func list(findings []string) error {
	if len(findings) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(findings, "; "))
}
