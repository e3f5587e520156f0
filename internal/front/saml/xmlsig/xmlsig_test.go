package xmlsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
	"time"

	"seimon/internal/front/saml/xmldoc"
)

func keys(t testing.TB) []crypto.Signer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	out := []crypto.Signer{r}
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		e, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func message() (text []byte, at int) {
	w := xmldoc.NewWriter(xmldoc.Spaces{"p": "urn:p", "a": "urn:a"})
	w.Start("p:Response", "ID", "_1", "Version", "2.0").Leaf("a:Issuer", "https://idp.example.ac.jp/")
	at = w.Len()
	w.Start("p:Body").Leaf("a:Name", "山田 & 太郎").End().End()
	return w.Bytes(), at
}

func signed(t testing.TB, key crypto.Signer) string {
	t.Helper()
	text, at := message()
	out, err := Sign(text, "_1", at, Key{Signer: key})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func verify(text string, keys ...crypto.PublicKey) (*xmldoc.Node, error) {
	n, err := xmldoc.Parse([]byte(text), xmldoc.Limits{})
	if err != nil {
		return nil, err
	}
	return Verify(n, keys, xmldoc.Limits{})
}

func TestWhatIsSignedVerifies(t *testing.T) {
	all := keys(t)
	for i, k := range all {
		text := signed(t, k)
		n, err := verify(text, all[(i+1)%len(all)].Public(), k.Public())
		if err != nil {
			t.Fatalf("%T: %v\n%s", k, err, text)
		}
		if n.Path("urn:p", "Body").First("urn:a", "Name").Text() != "山田 & 太郎" || Signed(n) {
			t.Errorf("%s", xmldoc.Canonical(n, nil, nil))
		}
		if _, err := verify(text, all[(i+1)%len(all)].Public()); err == nil {
			t.Error("another key will do")
		}
		if _, err := verify(text); err == nil {
			t.Error("no key will do")
		}
	}
}

func TestWriterStaysCanonicalWithASignature(t *testing.T) {
	text := signed(t, keys(t)[1])
	n, err := xmldoc.Parse([]byte(text), xmldoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(xmldoc.Canonical(n, nil, nil)); got != text {
		t.Errorf("canonical %s\nwritten   %s", got, text)
	}
}

func TestEveryOtherShapeIsRefused(t *testing.T) {
	key := keys(t)[1]
	good := signed(t, key)
	sig := good[strings.Index(good, "<ds:Signature xmlns"):]
	sig = sig[:strings.Index(sig, "</ds:Signature>")+len("</ds:Signature>")]
	for name, bad := range map[string]string{
		"changed":               strings.Replace(good, "太郎", "次郎", 1),
		"id":                    strings.Replace(good, `ID="_1"`, `ID="_2"`, 1),
		"no id":                 strings.Replace(good, ` ID="_1"`, ``, 1),
		"empty reference":       strings.Replace(good, `URI="#_1"`, `URI=""`, 1),
		"pointer":               strings.Replace(good, `URI="#_1"`, `URI="#xpointer(id('_1'))"`, 1),
		"two signatures":        strings.Replace(good, sig, sig+sig, 1),
		"two references":        strings.Replace(good, "</ds:Reference>", `</ds:Reference><ds:Reference URI="#x"></ds:Reference>`, 1),
		"object":                strings.Replace(good, "</ds:SignatureValue>", "</ds:SignatureValue><ds:Object></ds:Object>", 1),
		"third transform":       strings.Replace(good, "</ds:Transforms>", `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"></ds:Transform></ds:Transforms>`, 1),
		"xslt":                  strings.Replace(good, enveloped, "http://www.w3.org/TR/1999/REC-xslt-19991116", 1),
		"inclusive":             strings.ReplaceAll(good, exclusive, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
		"with comments":         strings.ReplaceAll(good, exclusive, exclusive+"WithComments"),
		"sha1 digest":           strings.Replace(good, SHA256, Space+"sha1", 1),
		"sha1 signature":        strings.Replace(good, ECDSASHA256, more+"ecdsa-sha1", 1),
		"hmac":                  strings.Replace(good, ECDSASHA256, more+"hmac-sha256", 1),
		"rsa with ec key":       strings.Replace(good, ECDSASHA256, RSASHA256, 1),
		"other hash":            strings.Replace(good, ECDSASHA256, ECDSASHA512, 1),
		"base64 url":            strings.Replace(good, "</ds:DigestValue>", "-_</ds:DigestValue>", 1),
		"base64 stray":          strings.Replace(good, "=</ds:DigestValue>", "</ds:DigestValue>", 1),
		"empty value":           good[:strings.Index(good, "<ds:SignatureValue>")+19] + good[strings.Index(good, "</ds:SignatureValue>"):],
		"signature elsewhere":   strings.Replace(strings.Replace(good, sig, "", 1), "<p:Body>", "<p:Body>"+sig, 1),
		"method with length":    strings.Replace(good, `ecdsa-sha256"></ds:SignatureMethod>`, `ecdsa-sha256"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>`, 1),
		"foreign in SignedInfo": strings.Replace(good, "<ds:Reference ", "<ds:Manifest></ds:Manifest><ds:Reference ", 1),
	} {
		if bad == good {
			t.Errorf("%s changes nothing", name)
		}
		if _, err := verify(bad, key.Public()); err == nil {
			t.Errorf("%s is accepted: %s", name, bad)
		}
	}
}

func TestWhiteSpaceAndPrefixesOfOthersVerify(t *testing.T) {
	key := keys(t)[0]
	good := signed(t, key)
	value := good[strings.Index(good, "<ds:SignatureValue>")+19 : strings.Index(good, "</ds:SignatureValue>")]
	folded := strings.Replace(good, value, "\n  "+value[:64]+"\n  "+value[64:]+"\n", 1)
	for _, text := range []string{folded, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + good + "\n"} {
		if _, err := verify(text, key.Public()); err != nil {
			t.Error(err)
		}
	}
}

func TestShortKeysCountForNothing(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(signed(t, weak), weak.Public()); err == nil {
		t.Error("1024 bits are enough")
	}
}

func FuzzVerify(f *testing.F) {
	key := keys(f)[1]
	good := signed(f, key)
	f.Add([]byte(good))
	text, _ := message()
	f.Fuzz(func(t *testing.T, in []byte) {
		n, err := verify(string(in), key.Public())
		if err == nil && string(xmldoc.Canonical(n, nil, nil)) != string(text) {
			t.Errorf("forged: %q", in)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for _, k := range keys(b)[:2] {
		name, _ := AlgorithmFor(k.Public())
		text, at := message()
		b.Run(name[len(more):]+"/signed", func(b *testing.B) {
			for b.Loop() {
				if _, err := Sign(append(make([]byte, 0, len(text)), text...), "_1", at, Key{Signer: k}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name[len(more):]+"/bare", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := Bare(k, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestAbsurdKeysCountForNothing: a service brings its own keys, and whoever names it
// makes us use them.
func TestAbsurdKeysCountForNothing(t *testing.T) {
	n := new(big.Int).SetBit(big.NewInt(1), 1<<20, 1)
	begun := time.Now()
	if err := Check(RSASHA256, []byte("text"), make([]byte, 1<<17+1), []crypto.PublicKey{&rsa.PublicKey{N: n, E: 65537}}); err == nil {
		t.Error("a signature with a key of a million bits fits")
	}
	if spent := time.Since(begun); spent > 5*time.Second {
		t.Errorf("it took %s to find out", spent)
	}
}
