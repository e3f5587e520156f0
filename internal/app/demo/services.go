package demo

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"seimon/internal/app/demo/service"
	"seimon/internal/front/cas"
	"seimon/internal/front/oidc"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/lang"
	"seimon/internal/rp"
)

// offer is one service of the demo: what it is, and how it is registered.
type offer struct {
	id, colour             string
	name, nameJA           string
	lead, leadJA           string
	scopes                 []string
	release                []rp.Release
	consent                string
	pairwise, offline, rsa bool
	saml                   bool // it speaks SAML 2.0 instead of OpenID Connect
	cas                    bool // it speaks CAS 3
}

// catalogue lists the services, from the open one to the strict one.
func catalogue() []offer {
	names := []rp.Release{{Attribute: "displayName", Required: true}, {Attribute: "displayName;ja"}, {Attribute: "familyName"}, {Attribute: "givenName"}}
	return []offer{
		{
			id: "library", colour: "#2c6e49", name: "Library", nameJA: "附属図書館",
			lead:   "Search, reserve and read. Your password is enough from anywhere; you choose what the library learns about you.",
			leadJA: "探す、予約する、読む。どこからでもパスワードだけで使えます。図書館に伝えることは、自分で選べます。",
			scopes: []string{"profile", "email", "eduperson"}, pairwise: true, consent: rp.ConsentAsk,
			release: append(names, rp.Release{Attribute: "mail"}, rp.Release{Attribute: "eduPersonAffiliation", Required: true}),
		},
		{
			id: "webmail", colour: "#1d4e89", name: "Webmail", nameJA: "ウェブメール",
			lead:   "Your university mail. From outside the campus it asks for a second step.",
			leadJA: "大学のメールです。学外からは、二段階目の確認が必要です。",
			scopes: []string{"profile", "email", "offline_access"}, consent: rp.ConsentInform, offline: true,
			release: append(names, rp.Release{Attribute: "mail", Required: true}, rp.Release{Attribute: "userName", Required: true}),
		},
		{
			id: "payroll", colour: "#6b3e75", name: "Payroll", nameJA: "給与明細",
			lead:   "Payslips and tax papers, for people who work here. It always asks for a fresh password and a fresh second step.",
			leadJA: "給与明細と税の書類です。教職員だけが使えます。どこからでも、パスワードと二段階目の確認を、そのたびに求めます。",
			scopes: []string{"profile", "eduperson"}, consent: rp.ConsentNone, rsa: true,
			release: append(names, rp.Release{Attribute: "userName", Required: true}, rp.Release{Attribute: "employeeNumber", Required: true}),
		},
		{
			id: "journals", colour: "#8a4b08", name: "Journals", nameJA: "電子ジャーナル", saml: true,
			lead:    "Articles of publishers all over the world. It speaks SAML 2.0, as services of GakuNin do, and learns who you are only under a name of its own.",
			leadJA:  "世界中の出版社の論文です。学認のサービスと同じSAML 2.0で話します。あなたのことは、このサービスだけの名前でしか知りません。",
			consent: rp.ConsentAsk,
			release: []rp.Release{
				{Attribute: "eduPersonScopedAffiliation", Required: true}, {Attribute: "organizationName;ja", Required: true},
				{Attribute: "displayName;ja"}, {Attribute: "mail"}, {Attribute: "eduPersonTargetedID"}, {Attribute: "pairwise-id"},
			},
		},
		{
			id: "courses", colour: "#0f5c63", name: "Courses", nameJA: "授業支援", cas: true,
			lead:    "Slides, homework and grades. It is older than OpenID Connect and speaks CAS; the same rules hold for it.",
			leadJA:  "授業の資料、課題、成績です。OpenID Connectより古く、CASで話しますが、同じ規則で守られます。",
			consent: rp.ConsentInform,
			release: append(names, rp.Release{Attribute: "userName", Required: true}, rp.Release{Attribute: "mail"}, rp.Release{Attribute: "eduPersonAffiliation"}),
		},
	}
}

func (o offer) host() string { return o.id + ".localhost" }

// secret is the service's client secret: the same at every start with the same data.
func (t *Town) secret(id string) (string, error) {
	master, err := os.ReadFile(filepath.Join(t.dir, "master.key"))
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, master)
	mac.Write([]byte("demo client secret: " + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// config is how a service knows itself and the gate.
func (t *Town) config(o offer) (service.Config, error) {
	c := service.Config{
		Name: o.name, NameJA: o.nameJA, Lead: o.lead, LeadJA: o.leadJA, Colour: o.colour,
		Origin: t.origin(o.host()), Issuer: t.origin(ssoHost), ClientID: o.id, Scopes: o.scopes,
		Home: t.origin(demoHost) + "/", Client: t.client(), Place: t.place,
	}
	if o.saml {
		c.ClientID = o.entityID()
	}
	if o.saml || o.cas {
		return c, nil
	}
	var err error
	c.ClientSecret, err = t.secret(o.id)
	return c, err
}

// place tells a service's page in which network the visitor stands, and where to change it.
func (t *Town) place(r *http.Request, ja bool) (name, address string) {
	tag := lang.EN
	if ja {
		tag = lang.JA
	}
	back := t.origin(strings.ToLower(hostOf(r))) + "/"
	return t.words.In(tag).T(networkOf(r).words), t.origin(demoHost) + "/network?return=" + back
}

// entityID names a service that speaks SAML, whatever port the demo has.
func (o offer) entityID() string { return "https://" + o.host() + "/saml" }

// provider is how the gate knows a service that speaks SAML.
func (t *Town) provider(o offer) (rp.Party, error) {
	c, err := t.config(o)
	if err != nil {
		return rp.Party{}, err
	}
	_, certificate, err := t.providerKey(o)
	if err != nil {
		return rp.Party{}, err
	}
	registration, err := json.Marshal(saml.Registration{Format: metadata.Persistent, Service: metadata.Service{
		Consumers: []metadata.Endpoint{{Location: c.ConsumerURL(), Default: true}}, RequestsSigned: true,
		Logout:  []metadata.Endpoint{{Binding: metadata.Redirect, Location: c.LeaveURL()}, {Binding: metadata.SOAP, Location: c.CallURL()}},
		Signing: []string{certificate}, Encryption: []metadata.Recipient{{Certificate: certificate, Methods: []string{xmlenc.AES256GCM}}},
	}})
	return rp.Party{
		ID: o.entityID(), Protocol: saml.Name, Names: map[lang.Tag]string{lang.JA: o.nameJA, lang.EN: o.name},
		HomeURL: c.Origin + "/", Contact: o.id + "@seimon.example", Release: o.release, Consent: o.consent, Registration: registration,
	}, err
}

// ticketed is how the gate knows a service that speaks CAS.
func (t *Town) ticketed(o offer) (rp.Party, error) {
	c, err := t.config(o)
	if err != nil {
		return rp.Party{}, err
	}
	registration, err := json.Marshal(cas.Registration{Addresses: []cas.Address{{URL: c.EntryURL()}}})
	return rp.Party{
		ID: o.id, Protocol: cas.Name, Names: map[lang.Tag]string{lang.JA: o.nameJA, lang.EN: o.name},
		HomeURL: c.Origin + "/", Contact: o.id + "@seimon.example", Release: o.release, Consent: o.consent, Registration: registration,
	}, err
}

// providerKey reads or makes the key of a service that speaks SAML, and its certificate
// in base64.
func (t *Town) providerKey(o offer) (*rsa.PrivateKey, string, error) {
	file := t.path(o.id + ".key")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		var fresh *rsa.PrivateKey
		if fresh, err = rsa.GenerateKey(rand.Reader, 2048); err == nil {
			text = x509.MarshalPKCS1PrivateKey(fresh)
			err = replaceFile(file, text, 0o600)
		}
	}
	if err != nil {
		return nil, "", err
	}
	key, err := x509.ParsePKCS1PrivateKey(text)
	if err != nil {
		return nil, "", err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: o.host()},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	return key, base64.StdEncoding.EncodeToString(der), err
}

// party is how the gate knows a service.
func (t *Town) party(o offer) (rp.Party, error) {
	if o.saml {
		return t.provider(o)
	}
	if o.cas {
		return t.ticketed(o)
	}
	c, err := t.config(o)
	if err != nil {
		return rp.Party{}, err
	}
	r := oidc.Registration{
		RedirectURIs: []string{c.RedirectURI()}, PostLogoutRedirectURIs: []string{c.Origin + "/"},
		GrantTypes: []string{"authorization_code"}, AuthMethod: "client_secret_basic", ClientSecret: c.ClientSecret,
		LogoutURI: c.LogoutURI(), LogoutSessionRequired: true, IDTokenAlg: "ES256",
	}
	if o.offline {
		r.GrantTypes, r.Offline = append(r.GrantTypes, "refresh_token"), "granted"
	}
	if o.rsa {
		r.IDTokenAlg = "RS256"
	}
	registration, err := json.Marshal(r)
	return rp.Party{
		ID: o.id, Protocol: oidc.Name, Names: map[lang.Tag]string{lang.JA: o.nameJA, lang.EN: o.name},
		HomeURL: c.Origin + "/", Contact: o.id + "@seimon.example", Pairwise: o.pairwise, Sector: sectorOf(o),
		Release: o.release, Consent: o.consent, Registration: registration,
	}, err
}

func sectorOf(o offer) string {
	if o.pairwise {
		return o.host()
	}
	return ""
}
