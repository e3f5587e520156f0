package feed

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/front/saml/xmlstream"
	"seimon/internal/store/storetest"
)

// Whatever a federation signs: it is refused as a whole, or each service in it is read
// under its own name or named as broken.
func FuzzSignedContent(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	source := Source{Generation: 1, URL: "file:/x", Certificates: []string{base64.StdEncoding.EncodeToString(der)}}
	const sp = `<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://a.example/" index="1"/></md:SPSSODescriptor>`
	for _, seed := range []string{
		"", `<md:EntityDescriptor entityID="https://a.example/">` + sp + `</md:EntityDescriptor>`,
		`<md:EntitiesDescriptor><md:EntityDescriptor entityID="a">` + sp + `</md:EntityDescriptor></md:EntitiesDescriptor>`,
		`<md:EntityDescriptor entityID="a"><md:EntityDescriptor entityID="b">` + sp + `</md:EntityDescriptor></md:EntityDescriptor>`,
		`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="a"><x:y xmlns:x="urn:x"/>` + sp + `</EntityDescriptor>`,
		`<md:EntityDescriptor entityID="a" ID="_1">` + sp + `</md:EntityDescriptor>`, `<md:Extensions><r:PublicationInfo xmlns:r="urn:oasis:names:tc:SAML:metadata:rpi" creationInstant="x"/></md:Extensions>`,
	} {
		f.Add(seed)
	}
	clock := storetest.NewClock()
	until := clock.Now().Add(24 * time.Hour).Format(time.RFC3339)
	db, _ := storetest.Open(f)
	k := New(Config{DB: db})
	f.Fuzz(func(t *testing.T, inside string) {
		var canonical bytes.Buffer
		text := `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_feed" validUntil="` + until + `">` + inside + `</md:EntitiesDescriptor>`
		if xmlstream.Canonical(strings.NewReader(text), &canonical, nil, xmlstream.Limits{}) != nil {
			return
		}
		signed, err := xmlsig.Sign(canonical.Bytes(), "_feed", bytes.IndexByte(canonical.Bytes(), '>')+1, xmlsig.Key{Signer: key})
		if err != nil {
			t.Fatal(err)
		}
		out, err := k.Check(bytes.NewReader(signed), source, Feed{})
		if err == nil && len(out.Broken) > out.Services || out.Services > out.Entities {
			t.Errorf("%+v", out)
		}
	})
}
