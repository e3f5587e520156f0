package main

import (
	_ "embed"
	"errors"

	"seimon/test/lab/apache"
	"seimon/test/lab/stand"
)

//go:embed httpd.conf
var config string

// web is an Apache with one protected place.
type web struct {
	*apache.Server
	Gate, Origin, Sessions string
	Cert, Key              string
}

const party = "lab-modcas"

// prepare makes what does not depend on the port.
func prepare(s *stand.Stand) (*web, error) {
	server, err := apache.New(s, "wiki.modcas.localhost", map[string]string{"secure/index.html": "secure"}, "mpm_event", "auth_cas")
	if err != nil {
		return nil, err
	}
	a := &web{Server: server, Gate: s.SSO}
	var failed error
	a.Sessions, err = server.Folder("cas")
	a.Cert, a.Key, failed = s.CertificateFiles(a.Host)
	return a, errors.Join(err, failed)
}

// start runs it, and makes the service known to the gate.
func (a *web) start(s *stand.Stand) error {
	return a.Start(config, a, func() error {
		a.Origin = a.At(a.Host)
		_, err := s.Import(stand.Party{
			ID: party, Protocol: "cas", Names: map[string]string{"ja": party, "en": party}, Consent: "none",
			Release:      []stand.Release{{Attribute: "userName", Required: true}, {Attribute: "mail"}},
			Registration: map[string]any{"addresses": []map[string]string{{"url": a.Origin + "/secure/", "match": "prefix"}}},
		})
		return err
	})
}
