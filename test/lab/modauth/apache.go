package main

import (
	"crypto/rand"
	_ "embed"
	"errors"

	"seimon/test/lab/apache"
	"seimon/test/lab/stand"
)

//go:embed httpd.conf
var config string

// site is one virtual host: one relying party.
type site struct {
	Host, Origin, Cert, Key string
	Client, Secret          string
	Method, Algorithm       string // of client authentication; of ID tokens
	Passphrase              string
}

// web is an Apache with protected places.
type web struct {
	*apache.Server
	Issuer string
	Sites  []*site
}

// prepare makes what does not depend on the port.
func prepare(s *stand.Stand) (*web, error) {
	server, err := apache.New(s, "modauth.localhost", map[string]string{"secure/index.html": "secure", "bye.html": "bye"}, "mpm_event", "auth_openidc")
	if err != nil {
		return nil, err
	}
	a := &web{Server: server, Issuer: s.SSO}
	for _, v := range []*site{
		{Host: "modauth.localhost", Client: "lab-modauth", Method: "client_secret_basic", Algorithm: "RS256"},
		{Host: "modauth-post.localhost", Client: "lab-modauth-post", Method: "client_secret_post", Algorithm: "ES256"},
	} {
		v.Passphrase = rand.Text()
		var certErr error
		v.Cert, v.Key, certErr = s.CertificateFiles(v.Host)
		err = errors.Join(err, certErr)
		a.Sites = append(a.Sites, v)
	}
	return a, err
}

// register makes the relying parties known to the gate.
func (a *web) register(s *stand.Stand) error {
	for _, v := range a.Sites {
		v.Origin = a.At(v.Host)
		r := map[string]any{
			"redirect_uris": []string{v.Origin + "/secure/callback"}, "post_logout_redirect_uris": []string{v.Origin + "/bye.html"},
			"grant_types": []string{"authorization_code", "refresh_token"}, "id_token_signed_response_alg": v.Algorithm, "token_endpoint_auth_method": v.Method,
			"backchannel_logout_uri": v.Origin + "/secure/callback?logout=backchannel", "client_secret": "new",
		}
		var err error
		if v.Secret, err = s.Register(v.Client, r); err != nil {
			return err
		}
	}
	return nil
}
