package certificates_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"seimon/internal/desk/certificates"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
)

// radius is a root and a certificate below it that signs profiles.
func radius() (root, leaf *x509.Certificate, key *ecdsa.PrivateKey) {
	made := func(name string, ca bool, parent *x509.Certificate, pub *ecdsa.PublicKey, signer *ecdsa.PrivateKey) *x509.Certificate {
		t := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: ca, BasicConstraintsValid: true,
			NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		}
		if parent == nil {
			parent = t
		}
		der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, signer)
		if err != nil {
			panic(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		return c
	}
	top, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		panic(err)
	}
	root = made("RADIUS <Root> & Co", true, nil, &top.PublicKey, top)
	return root, made("profiles.example.ac.jp", false, root, &key.PublicKey, top), key
}

// network is a campus with eduroam, whose names try to break out of the XML.
func network(r *certificates.Rooms) {
	root, leaf, key := radius()
	r.Wifi = certificates.Wifi{
		SSID: "eduroam", Realm: "example.ac.jp", Servers: []string{"radius1.example.ac.jp", "radius2.example.ac.jp"}, Roots: []*x509.Certificate{root},
		Consortium: []string{"5a03ba0000"}, Names: map[lang.Tag]string{lang.JA: `正門<大学> & "附属"`, lang.EN: "Seimon & <University>"},
		HelpMail: "help@example.ac.jp", HelpURL: "https://help.example.ac.jp/?a=1&b=2", Sign: []*x509.Certificate{leaf, root}, Signer: key,
	}
}

// value is a value of a property list.
type value struct {
	kind string // dict, array, string, integer, data, date, true, false
	text string
	list []value
	keys []string // of a dict, in order
}

// at follows a path of keys.
func (v value) at(keys ...string) value {
	for _, k := range keys {
		i := slices.Index(v.keys, k)
		if i < 0 {
			return value{}
		}
		v = v.list[i]
	}
	return v
}

// plist reads a property list strictly, as its DTD allows.
func plist(text string) (value, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = true
	for {
		t, err := d.Token()
		if err != nil {
			return value{}, err
		}
		if s, ok := t.(xml.StartElement); ok {
			if s.Name.Local != "plist" || len(s.Attr) != 1 || s.Attr[0].Value != "1.0" {
				return value{}, fmt.Errorf("<%s> is no property list", s.Name.Local)
			}
			v, err := element(d)
			if err != nil {
				return v, err
			}
			_, rest := element(d)
			if rest != io.EOF { //nolint:errorlint // the reader's own mark
				return v, fmt.Errorf("something follows: %w", rest)
			}
			return v, nil
		}
	}
}

// element reads the next value; io.EOF at the end of what surrounds it.
func element(d *xml.Decoder) (value, error) {
	for {
		t, err := d.Token()
		if err != nil {
			return value{}, err
		}
		switch t := t.(type) {
		case xml.EndElement:
			return value{}, io.EOF
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return value{}, fmt.Errorf("stray text %q", t)
			}
		case xml.StartElement:
			return filled(d, t)
		}
	}
}

func filled(d *xml.Decoder, s xml.StartElement) (value, error) {
	v := value{kind: s.Name.Local}
	switch v.kind {
	case "dict", "array":
		for {
			e, err := element(d)
			if err == io.EOF { //nolint:errorlint // the reader's own mark
				if v.kind == "dict" && len(v.keys) != len(v.list) {
					return v, fmt.Errorf("a key without a value")
				}
				return v, nil
			}
			if err != nil {
				return v, err
			}
			if v.kind == "dict" && len(v.keys) == len(v.list) {
				if e.kind != "key" || slices.Contains(v.keys, e.text) {
					return v, fmt.Errorf("<%s>%s</%s> where a new key belongs", e.kind, e.text, e.kind)
				}
				v.keys = append(v.keys, e.text)
				continue
			}
			v.list = append(v.list, e)
		}
	case "key", "string", "integer", "data", "date", "true", "false":
		return v, d.DecodeElement(&v.text, &s)
	}
	return v, fmt.Errorf("<%s> is not in the DTD", v.kind)
}

var uuidForm = regexp.MustCompile(`^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`)

// profileOf reads an Apple profile and checks what every payload needs.
func profileOf(t *testing.T, text string) (value, map[string]value) {
	t.Helper()
	top, err := plist(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	seen := map[string]bool{}
	payloads := map[string]value{}
	for _, p := range append([]value{top}, top.at("PayloadContent").list...) {
		kind, id, uuid := p.at("PayloadType").text, p.at("PayloadIdentifier").text, p.at("PayloadUUID").text
		if kind == "" || id == "" || p.at("PayloadVersion").text != "1" || !uuidForm.MatchString(uuid) || seen[id] || seen[uuid] {
			t.Errorf("payload %q: identifier %q, UUID %q", kind, id, uuid)
		}
		seen[id], seen[uuid] = true, true
		payloads[kind] = p
	}
	return top, payloads
}

func TestAppleProfileWithAPlaceForTheKey(t *testing.T) {
	h := open(t, network)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	_, text := request(t)
	m := h.order(b, "request", text, "label", `lap<top> & "co"`)
	if strings.Count(m.Mobileconfig, "@PKCS12@") != 1 || strings.Contains(m.Mobileconfig, "<key>Password</key>") {
		t.Error("the profile has no single place for the file, or holds a password")
	}
	const file = "MIIKAgIBAzCC"
	top, payloads := profileOf(t, strings.Replace(m.Mobileconfig, "@PKCS12@", file, 1))
	c := h.get(m.ID)
	if got := top.at("RemovalDate").text; got != c.NotAfter.UTC().Format(time.RFC3339) {
		t.Errorf("the profile goes away on %s", got)
	}
	p12, wifi, root := payloads["com.apple.security.pkcs12"], payloads["com.apple.wifi.managed"], payloads["com.apple.security.root"]
	if p12.at("PayloadContent").text != file || p12.at("PayloadContent").kind != "data" || p12.at("PayloadDisplayName").text != c.Name {
		t.Errorf("%+v", p12)
	}
	if wifi.at("SSID_STR").text != "eduroam" || wifi.at("EncryptionType").text != "WPA2" || wifi.at("PayloadCertificateUUID").text != p12.at("PayloadUUID").text {
		t.Errorf("%+v", wifi)
	}
	eap := wifi.at("EAPClientConfiguration")
	if eap.at("AcceptEAPTypes").list[0].text != "13" || len(eap.at("TLSTrustedServerNames").list) != 2 || eap.at("UserName").text != "anonymous@example.ac.jp" ||
		eap.at("PayloadCertificateAnchorUUID").list[0].text != root.at("PayloadUUID").text {
		t.Errorf("%+v", eap)
	}
	if root.at("PayloadDisplayName").text != "RADIUS <Root> & Co" {
		t.Errorf("%+v", root)
	}
	if raw, err := base64.StdEncoding.DecodeString(root.at("PayloadContent").text); err != nil || len(raw) == 0 {
		t.Error(err)
	}
}

// eap is the EAP metadata that we write (draft-winter-opsawg-eap-metadata).
type eap struct {
	XMLName  xml.Name `xml:"EAPIdentityProviderList"`
	Provider []struct {
		ID         string `xml:"ID,attr"`
		Namespace  string `xml:"namespace,attr"`
		Lang       string `xml:"lang,attr"`
		Version    string `xml:"version,attr"`
		ValidUntil string
		Methods    []struct {
			Type string   `xml:"EAPMethod>Type"`
			CA   []string `xml:"ServerSideCredential>CA"`
			ID   []string `xml:"ServerSideCredential>ServerID"`
			User struct {
				OuterIdentity     string
				ClientCertificate *struct {
					Format   string `xml:"format,attr"`
					Encoding string `xml:"encoding,attr"`
					Text     string `xml:",chardata"`
				}
				Passphrase *string
			} `xml:"ClientSideCredential"`
		} `xml:"AuthenticationMethods>AuthenticationMethod"`
		Networks []struct{ SSID, MinRSNProto, ConsortiumOID string } `xml:"CredentialApplicability>IEEE80211"`
		Info     struct {
			DisplayName, Description string
			Mail                     string `xml:"Helpdesk>EmailAddress"`
			Web                      string `xml:"Helpdesk>WebAddress"`
			ProviderLocation         *string
			ProviderLogo             *string
		} `xml:"ProviderInfo"`
	} `xml:"EAPIdentityProvider"`
}

func readEAP(t *testing.T, text string) eap {
	t.Helper()
	var e eap
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = true
	if err := d.Decode(&e); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return e
}

func TestEAPConfigWithAPlaceForTheKey(t *testing.T) {
	h := open(t, network)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	_, text := request(t)
	m := h.order(b, "request", text, "label", "laptop")
	e := readEAP(t, m.EAPConfig)
	p := e.Provider[0]
	method := p.Methods[0]
	if p.ID != "example.ac.jp" || p.Namespace != "urn:RFC4282:realm" || p.Version != "1" || p.Lang != "ja" || method.Type != "13" {
		t.Errorf("%+v", p)
	}
	if len(method.CA) != 1 || len(method.ID) != 2 || method.User.OuterIdentity != "anonymous@example.ac.jp" || method.User.Passphrase != nil {
		t.Errorf("%+v", method)
	}
	if c := method.User.ClientCertificate; c == nil || c.Format != "PKCS12" || c.Encoding != "base64" || c.Text != "@PKCS12@" {
		t.Errorf("%+v", c)
	}
	if len(p.Networks) != 2 || p.Networks[0].SSID != "eduroam" || p.Networks[0].MinRSNProto != "CCMP" || p.Networks[1].ConsortiumOID != "5a03ba0000" {
		t.Errorf("%+v", p.Networks)
	}
	if p.Info.DisplayName != `正門<大学> & "附属"` || p.Info.Mail != "help@example.ac.jp" || p.Info.Web != "https://help.example.ac.jp/?a=1&b=2" || p.Info.ProviderLocation != nil || p.Info.ProviderLogo != nil {
		t.Errorf("%+v", p.Info)
	}
	if until, err := time.Parse(time.RFC3339, p.ValidUntil); err != nil || !until.Equal(h.get(m.ID).NotAfter) {
		t.Error(p.ValidUntil, err)
	}
}

func TestTheProfileWithoutAKeyIsSigned(t *testing.T) {
	h := open(t, network)
	b := h.At(logintest.Home).Get("/help/wifi/eduroam.mobileconfig").WantStatus(http.StatusOK)
	signed, err := pkcs7.Parse([]byte(b.Body))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(signed.Certificates[len(signed.Certificates)-1])
	if err := signed.Verify(); err != nil {
		t.Error(err)
	}
	top, payloads := profileOf(t, string(signed.Content))
	if len(top.at("PayloadContent").list) != 2 || payloads["com.apple.security.pkcs12"].kind != "" || payloads["com.apple.wifi.managed"].at("PayloadCertificateUUID").kind != "" {
		t.Error("the profile without a key speaks of one")
	}
	e := readEAP(t, h.At(logintest.Home).Get("/help/wifi/eduroam.eap-config").Body)
	if e.Provider[0].Methods[0].User.ClientCertificate != nil {
		t.Error("the settings without a key speak of one")
	}
	h.At(logintest.Home).Get("/help/certificates/ios").Want("eduroam", "radius1.example.ac.jp")
}

func TestWithoutANetworkNothingIsOffered(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	_, text := request(t)
	if m := h.order(b, "request", text, "label", "laptop"); m.Mobileconfig != "" || m.EAPConfig != "" {
		t.Errorf("%+v", m)
	}
	b.Get("/help/wifi/eduroam.mobileconfig")
	ok(t, b, "/help/certificates")
	b.Get("/help/certificates/ios").Refuse("eduroam")
}

func TestANetworkThatCannotBeCheckedIsRefused(t *testing.T) {
	h := open(t)
	for name, spoil := range map[string]func(*certificates.Wifi){
		"no realm": func(w *certificates.Wifi) { w.Realm = "" }, "no servers": func(w *certificates.Wifi) { w.Servers = nil },
		"no root": func(w *certificates.Wifi) { w.Roots = nil }, "long name": func(w *certificates.Wifi) { w.SSID = strings.Repeat("x", 33) },
		"key without certificate": func(w *certificates.Wifi) { w.Sign = nil },
	} {
		r := certificates.Rooms{Hall: h.Hall, CA: h.ca}
		network(&r)
		spoil(&r.Wifi)
		if _, err := certificates.New(r); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
