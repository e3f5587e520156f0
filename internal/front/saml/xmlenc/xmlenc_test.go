package xmlenc

import (
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"seimon/internal/front/saml/xmldoc"
)

func key(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const secret = `<a:Assertion xmlns:a="urn:a" ID="_1">山田</a:Assertion>`

func opened(t testing.TB, text string, k *rsa.PrivateKey) (*xmldoc.Node, error) {
	t.Helper()
	n, err := xmldoc.Parse([]byte(text), xmldoc.Limits{})
	if err != nil {
		return nil, err
	}
	return Decrypt(n, []*rsa.PrivateKey{k}, xmldoc.Limits{})
}

func TestWhatIsEncryptedOpens(t *testing.T) {
	k, other := key(t), key(t)
	for _, content := range Contents() {
		for _, transport := range Transports() {
			text, err := Encrypt([]byte(secret), Reader{Key: &k.PublicKey, Content: content, Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			n, err := opened(t, string(text), k)
			if err != nil || string(xmldoc.Canonical(n, nil, nil)) != secret {
				t.Errorf("%s %s: %v", content, transport, err)
			}
			if _, err := opened(t, string(text), other); err == nil {
				t.Error("another key opens it")
			}
			if strings.Contains(string(text), "山田") {
				t.Error("the secret shows")
			}
		}
	}
}

func TestChangedOrUnknownIsRefused(t *testing.T) {
	k := key(t)
	raw, err := Encrypt([]byte(secret), Reader{Key: &k.PublicKey, Content: AES256GCM, Transport: OAEPSHA256})
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	at := strings.LastIndex(text, "<xenc:CipherValue>") + len("<xenc:CipherValue>")
	other := map[bool]string{true: "B", false: "A"}[text[at] == 'A']
	for name, bad := range map[string]string{
		"changed":   text[:at] + other + text[at+1:],
		"cbc":       strings.Replace(text, AES256GCM, AES256CBC, 1),
		"3des":      strings.Replace(text, AES256GCM, Space+"tripledes-cbc", 1),
		"rsa 1.5":   strings.Replace(text, OAEPSHA256, Space+"rsa-1_5", 1),
		"mixed":     strings.Replace(text, mgf256, Space11+"mgf1sha1", 1),
		"content":   strings.Replace(text, element, Space+"Content", 1),
		"no key":    strings.Replace(strings.Replace(text, "<xenc:EncryptedKey>", "<xenc:Other>", 1), "</xenc:EncryptedKey>", "</xenc:Other>", 1),
		"too short": text[:at] + "AAAA" + text[strings.LastIndex(text, "</xenc:CipherValue>"):],
	} {
		if bad == text {
			t.Errorf("%s changes nothing", name)
		}
		if _, err := opened(t, bad, k); err == nil {
			t.Errorf("%s opens", name)
		}
	}
	if _, err := Encrypt(nil, Reader{Key: &k.PublicKey, Content: "x", Transport: OAEPSHA1}); err == nil {
		t.Error("an unknown method encrypts")
	}
	if _, err := Encrypt(nil, Reader{Key: &k.PublicKey, Content: AES128GCM, Transport: "x"}); err == nil {
		t.Error("an unknown transport encrypts")
	}
}

func FuzzDecrypt(f *testing.F) {
	k := key(f)
	for _, content := range Contents() {
		text, err := Encrypt([]byte(secret), Reader{Key: &k.PublicKey, Content: content, Transport: OAEPSHA1})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if n, err := opened(t, string(in), k); err == nil && n == nil {
			t.Error("nothing was opened without an error")
		}
	})
}
