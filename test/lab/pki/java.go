package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"seimon/test/lab/stand"
)

// java validates with lists alone and with answers alone.
func (s *scene) java(r *stand.Report) {
	for _, way := range []string{"crl", "ocsp"} {
		r.Check("Java: path with revocation by "+way, func() error {
			out, err := stand.Run(nil, "java", "-Dcom.sun.security.enableCRLDP=true", "-Djdk.security.caDistrustPolicies=", "-Djava.io.tmpdir="+s.Work,
				filepath.Join(s.here, "Path.java"), s.root, s.issuer, way, s.good.File, s.revoked.File, s.held.File)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if err != nil || len(lines) != 3 || lines[0] != "good" || !strings.HasPrefix(lines[1], "REVOKED") || !strings.HasPrefix(lines[2], "REVOKED") {
				return fmt.Errorf("%v: %s", err, out)
			}
			return nil
		})
	}
}
