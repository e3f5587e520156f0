package main

import (
	_ "embed"
	"errors"
	"path/filepath"
	"strings"

	"seimon/test/lab/apache"
	"seimon/test/lab/stand"
)

//go:embed httpd.conf
var config string

//go:embed app.php
var app string

// web is an Apache with PHP: an application, and one behind it that it enters for people.
type web struct {
	*apache.Server
	Gate, PHP        string
	Sessions, Grants string
	Front, Back      string // origins
	Sites            []site
}

type site struct{ Host, Cert, Key string }

const (
	frontHost = "phpcas.localhost"
	backHost  = "behind.phpcas.localhost"
	front     = "lab-phpcas"
	back      = "lab-phpcas-back"
)

// prepare makes what does not depend on the port.
func prepare(s *stand.Stand) (*web, error) {
	found, err := filepath.Glob("/usr/lib/apache2/modules/libphp*.so")
	if err != nil || len(found) == 0 {
		return nil, errors.New("no PHP for Apache: install what scripts/setup lists")
	}
	pages := map[string]string{"app/bye.html": "bye"}
	for _, kind := range []string{"one", "two", "index", "saml", "front", "back"} {
		pages["app/"+kind+".php"] = app
	}
	server, err := apache.New(s, frontHost, pages, "mpm_prefork")
	if err != nil {
		return nil, err
	}
	a := &web{Server: server, Gate: s.SSO, PHP: strings.TrimSuffix(strings.TrimPrefix(filepath.Base(found[0]), "libphp"), ".so")}
	var faults [4]error
	a.Sessions, faults[0] = server.Folder("sessions")
	a.Grants, faults[1] = server.Folder("grants")
	for i, host := range []string{frontHost, backHost} {
		v := site{Host: host}
		v.Cert, v.Key, faults[2+i] = s.CertificateFiles(host)
		a.Sites = append(a.Sites, v)
	}
	return a, errors.Join(faults[:]...)
}

// register makes the two services known to the gate.
func (a *web) register(s *stand.Stand) error {
	a.Front, a.Back = a.At(frontHost), a.At(backHost)
	for id, registration := range map[string]map[string]any{
		front: {"addresses": below(a.Front), "proxy_callbacks": []string{a.Front + "/app/front.php"}},
		back:  {"addresses": below(a.Back), "proxied_by": []string{front}},
	} {
		_, err := s.Import(stand.Party{
			ID: id, Protocol: "cas", Names: map[string]string{"ja": id, "en": id}, Consent: "none",
			Release:      []stand.Release{{Attribute: "userName", Required: true}, {Attribute: "mail"}, {Attribute: "displayName;ja"}, {Attribute: "eduPersonAffiliation"}},
			Registration: registration,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func below(origin string) []map[string]string {
	return []map[string]string{{"url": origin + "/app/", "match": "prefix"}}
}
