package saml

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlenc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/lang"
)

// metadataLife is how long a copy of our metadata is good for, metadataCache after
// which time a new one should be fetched.
const (
	metadataLife  = 14 * 24 * time.Hour
	metadataCache = "PT6H"
)

// described is our metadata as it was signed last.
type described struct {
	text []byte
	keys *keyset
	at   time.Time
}

// metadata gives our own metadata, signed (SAML Metadata 2.0, 2.4.3). It is signed
// anew once an hour and when the keys have changed.
func (f *Front) metadata(w http.ResponseWriter, r *http.Request) error {
	d, now := f.known.Load(), f.DB.Now()
	if d == nil || d.keys != f.keys.Load() || now.Sub(d.at) > time.Hour || now.Before(d.at) {
		next := &described{keys: f.keys.Load(), at: now}
		var err error
		if next.text, err = f.describe(); err != nil {
			return err
		}
		f.known.Store(next)
		d = next
	}
	f.fetched.note(r, now)
	h := w.Header()
	h.Set("Content-Type", "application/samlmetadata+xml")
	h.Set("Content-Disposition", `inline; filename="idp-metadata.xml"`)
	_, err := w.Write(d.text)
	return err
}

// describe writes our metadata.
func (f *Front) describe() ([]byte, error) {
	key, err := f.signer(RSA)
	if err != nil {
		return nil, err
	}
	w := xmldoc.NewWriter(xmldoc.Spaces{
		"md": metadata.MD, "mdui": metadata.MDUI, "mdattr": metadata.MDATTR, "saml": metadata.SAML, "ds": xmlsig.Space,
		"shibmd": metadata.SHIBMD, "alg": metadata.ALG, "remd": metadata.REMD,
	})
	id := newID()
	w.Start("md:EntityDescriptor", "ID", id, "entityID", f.EntityID(), "cacheDuration", metadataCache,
		"validUntil", instant(f.DB.Now().Add(metadataLife)))
	at := w.Len()
	f.describeEntity(w)
	w.Start("md:IDPSSODescriptor", "protocolSupportEnumeration", metadata.SAMLP, "errorURL", f.Settings.ErrorURL)
	f.describePlace(w)
	for _, der := range f.keys.Load().published {
		w.Start("md:KeyDescriptor", "use", "signing").Start("ds:KeyInfo").Start("ds:X509Data")
		w.Leaf("ds:X509Certificate", base64.StdEncoding.EncodeToString(der)).End().End().End()
	}
	f.describeReader(w)
	w.Leaf("md:SingleLogoutService", "", "Binding", metadata.Redirect, "Location", f.site.URL(pathLogout))
	w.Leaf("md:SingleLogoutService", "", "Binding", metadata.POST, "Location", f.site.URL(pathLogout))
	w.Leaf("md:SingleLogoutService", "", "Binding", metadata.SOAP, "Location", f.site.URL(pathCalled))
	for _, format := range []string{metadata.Transient, metadata.Persistent, metadata.Email} {
		w.Leaf("md:NameIDFormat", format)
	}
	w.Leaf("md:SingleSignOnService", "", "Binding", metadata.Redirect, "Location", f.site.URL(pathSSO))
	w.Leaf("md:SingleSignOnService", "", "Binding", metadata.POST, "Location", f.site.URL(pathSSO))
	w.End()
	f.describePeople(w)
	w.End()
	return xmlsig.Sign(w.Bytes(), id, at, key)
}

// describeReader: for which key names may be encrypted, and how (SAML Metadata 2.0,
// 2.4.1.1). It is the key that signs; while keys change, the others open it too.
func (f *Front) describeReader(w *xmldoc.Writer) {
	k, ok := f.keys.Load().signers[RSA]
	if !ok {
		return
	}
	w.Start("md:KeyDescriptor", "use", "encryption").Start("ds:KeyInfo").Start("ds:X509Data")
	w.Leaf("ds:X509Certificate", base64.StdEncoding.EncodeToString(k.Certificate)).End().End()
	for _, m := range []string{xmlenc.AES256GCM, xmlenc.AES128GCM, xmlenc.OAEPSHA1, xmlenc.OAEPSHA256} {
		w.Leaf("md:EncryptionMethod", "", "Algorithm", m)
	}
	w.End()
}

// describeEntity: what the entity vouches for, and the algorithms it reads (SAML
// Metadata Profile for Algorithm Support 1.0).
func (f *Front) describeEntity(w *xmldoc.Writer) {
	w.Start("md:Extensions")
	if f.Settings.Sirtfi {
		w.Start("mdattr:EntityAttributes")
		w.Start("saml:Attribute", "Name", "urn:oasis:names:tc:SAML:attribute:assurance-certification", "NameFormat", metadata.URI)
		w.Leaf("saml:AttributeValue", "https://refeds.org/sirtfi")
		w.End().End()
	}
	for _, d := range xmlsig.Digests() {
		w.Leaf("alg:DigestMethod", "", "Algorithm", d)
	}
	for _, a := range xmlsig.Algorithms() {
		w.Leaf("alg:SigningMethod", "", "Algorithm", a)
	}
	w.End()
}

// describePlace: scopes, and how people see us.
func (f *Front) describePlace(w *xmldoc.Writer) {
	if len(f.Settings.Scopes)+len(f.Settings.Names) == 0 {
		return
	}
	w.Start("md:Extensions")
	for _, scope := range f.Settings.Scopes {
		w.Leaf("shibmd:Scope", scope, "regexp", "false")
	}
	if len(f.Settings.Names) > 0 {
		w.Start("mdui:UIInfo")
		for _, tag := range slices.Sorted(maps.Keys(f.Settings.Names)) {
			w.Leaf("mdui:DisplayName", f.Settings.Names[tag], "xml:lang", string(tag))
		}
		w.End()
	}
	w.End()
}

// describePeople: the organisation and whom other providers may write to.
func (f *Front) describePeople(w *xmldoc.Writer) {
	if tags := slices.Sorted(maps.Keys(f.Settings.Names)); len(tags) > 0 {
		w.Start("md:Organization")
		for _, element := range []string{"md:OrganizationName", "md:OrganizationDisplayName"} {
			for _, tag := range tags {
				w.Leaf(element, f.Settings.Names[tag], "xml:lang", string(tag))
			}
		}
		for _, tag := range tags {
			w.Leaf("md:OrganizationURL", f.site.URL("/"), "xml:lang", string(tag))
		}
		w.End()
	}
	name := f.Settings.Names[lang.EN]
	if f.Settings.Technical != "" {
		w.Start("md:ContactPerson", "contactType", "technical")
		contact(w, name, f.Settings.Technical)
	}
	if f.Settings.Security != "" { // REFEDS security contact, which Sirtfi asks for
		w.Start("md:ContactPerson", "contactType", "other", "remd:contactType", "http://refeds.org/metadata/contactType/security")
		contact(w, name, f.Settings.Security)
	}
}

func contact(w *xmldoc.Writer, name, mail string) {
	if name != "" {
		w.Leaf("md:GivenName", name)
	}
	w.Leaf("md:EmailAddress", "mailto:"+strings.TrimPrefix(mail, "mailto:")).End()
}
