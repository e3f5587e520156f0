package chain_test

import (
	"archive/zip"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"seimon/internal/ca/trust/chain"
)

// vector is one of NIST's Public Key Interoperability Test Suite (PKITS 1.0.1); the
// files in testdata/pkits.zip are works of the United States Government.
type vector struct {
	Name                        string
	CertPath, CRLPath           []string
	ShouldValidate              bool
	InitialPolicySet            []string
	InitialPolicyMappingInhibit bool
	InitialExplicitPolicy       bool
	InitialAnyPolicyInhibit     bool
}

// archive is the suite: certificates and lists by file name.
type archive struct {
	vectors []vector
	files   map[string][]byte
}

func openArchive(t testing.TB) archive {
	t.Helper()
	z, err := zip.OpenReader("testdata/pkits.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	a := archive{files: map[string][]byte{}}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(f.Name, "/")
		a.files[name] = content
		if f.Name == "vectors.json" {
			if err := json.Unmarshal(content, &a.vectors); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(a.vectors) != 249 {
		t.Fatalf("%d vectors", len(a.vectors))
	}
	return a
}

// pkitsNow lies inside the suite's dates.
var pkitsNow = time.Date(2020, 6, 1, 0, 0, 0, 0, time.UTC)

// judge runs one vector and says what became of it.
func (a archive) judge(v vector) string {
	var certs []*x509.Certificate
	for _, name := range v.CertPath {
		c, err := x509.ParseCertificate(a.files[name])
		if err != nil {
			return "refused: unreadable: " + err.Error()
		}
		certs = append(certs, c)
	}
	o := chain.Options{
		Now: pkitsNow, Anchors: []chain.Anchor{{ID: "root", Certificate: certs[0]}}, Between: certs[1 : len(certs)-1],
		InhibitMapping: v.InitialPolicyMappingInhibit, ExplicitPolicy: v.InitialExplicitPolicy, InhibitAnyPolicy: v.InitialAnyPolicyInhibit,
		Status: true,
	}
	for _, p := range v.InitialPolicySet {
		if n, ok := strings.CutPrefix(p, "NIST-test-policy-"); ok {
			p = "2.16.840.1.101.3.2.1.48." + n
		} else {
			p = "2.5.29.32.0"
		}
		o.Policies = append(o.Policies, p)
	}
	for _, name := range v.CRLPath {
		l, err := chain.ParseList(a.files[name])
		if err != nil {
			return "refused: unreadable list: " + err.Error()
		}
		o.Lists = append(o.Lists, l)
	}
	if _, err := chain.Validate(certs[len(certs)-1], o); err != nil {
		return "refused: " + strings.TrimPrefix(err.Error(), "chain: ")
	}
	return "accepted"
}

// TestPKITS runs every vector with its certificates and its lists. The report names
// each with its verdict; where the verdict is not the suite's, the line says why.
func TestPKITS(t *testing.T) {
	// What is refused by choice although the suite accepts it.
	const relative = "names relative to a list's issuer are not read in certificates (RFC 5280 4.2.1.13 advises against them)"
	chosen := map[string]string{
		"4.1.4 Valid DSA Signatures Test4":            "DSA is not accepted",
		"4.1.5 Valid DSA Parameter Inheritance Test5": "DSA is not accepted",
		"4.14.4 Valid distributionPoint Test4":        relative,
		"4.14.5 Valid distributionPoint Test5":        relative,
		"4.14.29 Valid cRLIssuer Test29":              relative,
		"4.4.14 Valid Negative Serial Number Test14":  "negative serial numbers are not accepted (RFC 5280 4.1.2.2)",
	}
	a := openArchive(t)
	var report strings.Builder
	for _, v := range a.vectors {
		got := a.judge(v)
		note := ""
		if (got == "accepted") != v.ShouldValidate {
			note = chosen[v.Name]
			if v.ShouldValidate && note != "" {
				note = " (the suite accepts it; " + note + ")"
			} else {
				t.Errorf("%s: %s", v.Name, got)
			}
		}
		fmt.Fprintf(&report, "%s: %s%s\n", v.Name, got, note)
	}
	golden, err := os.ReadFile("testdata/pkits.report")
	if err != nil {
		t.Error(err)
	}
	if string(golden) != report.String() {
		name := t.ArtifactDir() + "/pkits.report"
		if err := os.WriteFile(name, []byte(report.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Errorf("the report differs from testdata/pkits.report; the new one is %s", name)
	}
}
