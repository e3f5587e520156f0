package certificates

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"embed"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"text/template"
	"time"

	"github.com/smallstep/pkcs7"

	"seimon/internal/ca"
	"seimon/internal/lang"
	"seimon/internal/web"
)

//go:embed profiles
var profileFiles embed.FS

// Wifi is the wireless network that certificates open, as devices must know it. All
// of it is public.
type Wifi struct {
	SSID    string   // "eduroam"
	Realm   string   // the university's part of outer identities
	Servers []string // names in the RADIUS servers' certificates
	Roots   []*x509.Certificate
	// Consortium are Passpoint roaming consortium identifiers in hexadecimal; may be empty.
	Consortium []string
	Names      map[lang.Tag]string // of the university
	HelpMail   string
	HelpURL    string
	// Sign and Signer sign the profiles that hold no key; without them they go out
	// unsigned. Sign is the certificate first, then its issuers.
	Sign   []*x509.Certificate
	Signer crypto.Signer
}

// check refuses a network that devices could not check: without the names and the
// root of its servers anybody could stand up a network of the same name.
func (w Wifi) check() error {
	if w.SSID == "" {
		return nil
	}
	switch {
	case len(w.SSID) > 32: // IEEE 802.11-2020 9.4.2.2
		return errors.New("certificates: the name of the network is longer than 32 bytes")
	case w.Realm == "" || len(w.Servers) == 0 || len(w.Roots) == 0:
		return errors.New("certificates: a wireless network needs its realm, the names of its RADIUS servers and their root")
	case (len(w.Sign) == 0) != (w.Signer == nil):
		return errors.New("certificates: signing profiles needs a certificate and its key")
	}
	return nil
}

// outer is the identity that is sent in the clear: it names nobody (RFC 7542).
func (w Wifi) outer() string { return "anonymous@" + w.Realm }

func (w Wifi) serverList(p lang.Printer) string {
	if p.Tag() == lang.JA {
		return strings.Join(w.Servers, "、")
	}
	return strings.Join(w.Servers, ", ")
}

// filler stands in a profile where the browser puts the PKCS#12 file, in base64.
const filler = "@PKCS12@"

// networkProfile is what a profile is made of.
type networkProfile struct {
	Wifi
	Lang  lang.Tag
	Name  string // of the profile
	About string
	University,
	Help string
	Until   time.Time // zero: the profile has no end
	Key     string    // name of the certificate; empty: a profile without a key
	ID      string    // what identifiers grow from
	P12Name string
}

// profile prepares the profile with a place for the key of a certificate.
func (w Wifi) profile(p lang.Printer, c ca.Certificate) networkProfile {
	out := w.plain(p)
	out.Until, out.Key, out.ID, out.P12Name = c.NotAfter, c.Name, c.ID, fileName(c)+".p12"
	return out
}

// plain prepares the profile without a key.
func (w Wifi) plain(p lang.Printer) networkProfile {
	return networkProfile{
		Wifi: w, Lang: p.Tag(), Name: p.T("certificates.wifi.profile", "ssid", w.SSID), University: w.Names[p.Tag()],
		About: p.T("certificates.wifi.about", "ssid", w.SSID), Help: p.T("certificates.wifi.help"), ID: "network",
	}
}

// Filler is the mark that the browser replaces.
func (networkProfile) Filler() string { return filler }

// Outer is the anonymous identity.
func (p networkProfile) Outer() string { return p.outer() }

// Reverse is the realm from its end: the customary form of profile identifiers.
func (p networkProfile) Reverse() string {
	parts := strings.Split(p.Realm, ".")
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return strings.Join(parts, ".") + ".seimon." + strings.ReplaceAll(p.ID, "_", "-")
}

// UUID gives a part of the profile an identifier that stays the same, so that a new
// profile takes the place of the old one (RFC 9562 5.8: version 8).
func (p networkProfile) UUID(part string) string {
	sum := sha256.Sum256([]byte(p.Realm + "\x00" + p.SSID + "\x00" + p.ID + "\x00" + part))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]))
}

// mobileconfig writes an Apple configuration profile.
func (p networkProfile) mobileconfig() (string, error) { return p.write("mobileconfig.xml") }

// eapConfig writes an EAP metadata file (draft-winter-opsawg-eap-metadata-02).
func (p networkProfile) eapConfig() (string, error) { return p.write("eap-config.xml") }

func (p networkProfile) write(name string) (string, error) {
	t, err := template.New(name).Funcs(template.FuncMap{
		"x": escape, "b64": base64.StdEncoding.EncodeToString, "utc": func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") },
		"inc": func(i int) int { return i + 1 },
	}).ParseFS(profileFiles, "profiles/"+name)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = t.Execute(&out, p)
	return out.String(), err
}

// escape makes text safe inside XML.
func escape(text string) (string, error) {
	var out bytes.Buffer
	err := xml.EscapeText(&out, []byte(text))
	return out.String(), err
}

// wifi gives the settings of the network without any key. Apple's are signed when the
// university has a certificate for that.
func (d *Desk) wifi(w http.ResponseWriter, r *http.Request) error {
	if d.Wifi.SSID == "" {
		http.Redirect(w, r, "/help/certificates", http.StatusSeeOther)
		return nil
	}
	p := d.Wifi.plain(web.Lang(r))
	switch r.PathValue("file") {
	case "eduroam.eap-config":
		text, err := p.eapConfig()
		if err != nil {
			return err
		}
		return attach(w, "application/eap-config", "eduroam.eap-config", []byte(text))
	case "eduroam.mobileconfig":
		text, err := p.mobileconfig()
		if err != nil {
			return err
		}
		body, err := d.Wifi.sign([]byte(text))
		if err != nil {
			return err
		}
		return attach(w, "application/x-apple-aspen-config", "eduroam.mobileconfig", body)
	}
	http.Redirect(w, r, "/help/certificates", http.StatusSeeOther)
	return nil
}

// sign wraps a profile in a CMS signature (RFC 5652 5), or leaves it as it is.
func (w Wifi) sign(profile []byte) ([]byte, error) {
	if w.Signer == nil {
		return profile, nil
	}
	s, err := pkcs7.NewSignedData(profile)
	if err != nil {
		return nil, err
	}
	s.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := s.AddSignerChain(w.Sign[0], w.Signer, w.Sign[1:], pkcs7.SignerInfoConfig{}); err != nil {
		return nil, err
	}
	return s.Finish()
}
