package xmlenc

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // only inside OAEP, where it is sound
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"

	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
)

// The names of the standards.
const (
	Space   = "http://www.w3.org/2001/04/xmlenc#"
	Space11 = "http://www.w3.org/2009/xmlenc11#"
	element = Space + "Element"
	sha1URI = "http://www.w3.org/2000/09/xmldsig#sha1"
	mgf256  = Space11 + "mgf1sha256"
)

// The algorithms of content.
const (
	AES128GCM = Space11 + "aes128-gcm"
	AES256GCM = Space11 + "aes256-gcm"
	AES128CBC = Space + "aes128-cbc"
	AES256CBC = Space + "aes256-cbc"
)

// The algorithms of keys: OAEP with SHA-1, which every product reads, and with
// SHA-256 in both places.
const (
	OAEPSHA1   = Space + "rsa-oaep-mgf1p"
	OAEPSHA256 = Space11 + "rsa-oaep"
)

// Contents lists the algorithms of content, the preferred one first.
func Contents() []string { return []string{AES256GCM, AES128GCM, AES256CBC, AES128CBC} }

// Transports lists the algorithms of keys, the most compatible one first.
func Transports() []string { return []string{OAEPSHA1, OAEPSHA256} }

// Reader is who can open what is encrypted.
type Reader struct {
	Key         *rsa.PublicKey
	Certificate []byte // DER; tells the reader which key it was
	Content     string // one of Contents
	Transport   string // one of Transports
}

func keySize(content string) (int, error) {
	switch content {
	case AES128GCM, AES128CBC:
		return 16, nil
	case AES256GCM, AES256CBC:
		return 32, nil
	}
	return 0, fmt.Errorf("xmlenc: the method %.80q is not accepted", content)
}

func isCBC(content string) bool { return strings.HasSuffix(content, "-cbc") }

// Encrypt writes an EncryptedData element around plain, an element of its own.
func Encrypt(plain []byte, to Reader) ([]byte, error) {
	size, err := keySize(to.Content)
	if err != nil {
		return nil, err
	}
	key := make([]byte, size)
	rand.Read(key) //nolint:errcheck // never fails (crypto/rand.Read)
	content, err := seal(to.Content, key, plain)
	if err != nil {
		return nil, err
	}
	var h hash.Hash = sha1.New()
	if to.Transport == OAEPSHA256 {
		h = sha256.New()
	}
	wrapped, err := rsa.EncryptOAEP(h, rand.Reader, to.Key, key, nil)
	if err != nil {
		return nil, err
	}
	w := xmldoc.NewWriter(xmldoc.Spaces{"xenc": Space, "xenc11": Space11, "ds": xmlsig.Space})
	w.Start("xenc:EncryptedData", "Type", element).Leaf("xenc:EncryptionMethod", "", "Algorithm", to.Content)
	w.Start("ds:KeyInfo").Start("xenc:EncryptedKey")
	switch to.Transport {
	case OAEPSHA1:
		w.Start("xenc:EncryptionMethod", "Algorithm", OAEPSHA1).Leaf("ds:DigestMethod", "", "Algorithm", sha1URI).End()
	case OAEPSHA256:
		w.Start("xenc:EncryptionMethod", "Algorithm", OAEPSHA256)
		w.Leaf("ds:DigestMethod", "", "Algorithm", xmlsig.SHA256).Leaf("xenc11:MGF", "", "Algorithm", mgf256).End()
	default:
		return nil, fmt.Errorf("xmlenc: the method %.80q is not accepted", to.Transport)
	}
	if to.Certificate != nil {
		w.Start("ds:KeyInfo").Start("ds:X509Data").Leaf("ds:X509Certificate", base64.StdEncoding.EncodeToString(to.Certificate)).End().End()
	}
	w.Start("xenc:CipherData").Leaf("xenc:CipherValue", base64.StdEncoding.EncodeToString(wrapped)).End().End().End()
	w.Start("xenc:CipherData").Leaf("xenc:CipherValue", base64.StdEncoding.EncodeToString(content)).End().End()
	return w.Bytes(), nil
}

func seal(method string, key, plain []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if !isCBC(method) { // XML Encryption 1.1, 5.2.4
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		return aead.Seal(nil, nil, plain, nil), nil
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	out := make([]byte, aes.BlockSize+len(plain)+pad)
	rand.Read(out[:aes.BlockSize]) //nolint:errcheck // never fails (crypto/rand.Read)
	copy(out[aes.BlockSize:], plain)
	out[len(out)-1] = byte(pad) // XML Encryption 1.1, 5.2.1
	cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], out[aes.BlockSize:])
	return out, nil
}

// Authenticated tells whether content is encrypted so that nobody can bend it: AES-GCM.
func Authenticated(data *xmldoc.Node) bool {
	m := data.First(Space, "EncryptionMethod")
	return m != nil && (m.Attr("Algorithm") == AES128GCM || m.Attr("Algorithm") == AES256GCM)
}

// errOpen is the one answer to whatever cannot be opened, so that nobody learns why.
var errOpen = errors.New("xmlenc: it cannot be opened with our keys")

// Decrypt opens an EncryptedData element whose EncryptedKey stands in its KeyInfo or
// beside it, and gives the element inside.
func Decrypt(data *xmldoc.Node, keys []*rsa.PrivateKey, limits xmldoc.Limits) (*xmldoc.Node, error) {
	if !data.Is(Space, "EncryptedData") || data.Attr("Type") != element {
		return nil, errors.New("xmlenc: an encrypted element is expected")
	}
	wrapped := data.First(xmlsig.Space, "KeyInfo").First(Space, "EncryptedKey")
	if wrapped == nil && data.Parent != nil {
		wrapped = data.Parent.First(Space, "EncryptedKey")
	}
	method := data.First(Space, "EncryptionMethod")
	if wrapped == nil || method == nil {
		return nil, errors.New("xmlenc: the encrypted key or the method is missing")
	}
	content, err := xmlsig.Decode(data.Path(Space, "CipherData", "CipherValue").Raw())
	if err != nil {
		return nil, err
	}
	size, err := keySize(method.Attr("Algorithm"))
	if err != nil {
		return nil, err
	}
	key, err := unwrap(wrapped, keys, size)
	if err != nil {
		return nil, err
	}
	plain, err := open(method.Attr("Algorithm"), key, content)
	if err != nil {
		return nil, err
	}
	n, err := xmldoc.Parse(plain, limits)
	if err != nil {
		return nil, errOpen
	}
	return n, nil
}

func unwrap(n *xmldoc.Node, keys []*rsa.PrivateKey, size int) ([]byte, error) {
	method := n.First(Space, "EncryptionMethod")
	if method == nil {
		return nil, errors.New("xmlenc: the key's method is missing")
	}
	var h hash.Hash
	digest := method.First(xmlsig.Space, "DigestMethod")
	switch algorithm := method.Attr("Algorithm"); {
	case algorithm == OAEPSHA1 && (digest == nil || digest.Attr("Algorithm") == sha1URI):
		h = sha1.New()
	case algorithm == OAEPSHA256 && digest != nil && digest.Attr("Algorithm") == xmlsig.SHA256 &&
		method.First(Space11, "MGF") != nil && method.First(Space11, "MGF").Attr("Algorithm") == mgf256:
		h = sha256.New()
	default:
		return nil, fmt.Errorf("xmlenc: the key's method %.80q is not accepted", algorithm)
	}
	cipherText, err := xmlsig.Decode(n.Path(Space, "CipherData", "CipherValue").Raw())
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if key, err := rsa.DecryptOAEP(h, nil, k, cipherText, nil); err == nil && len(key) == size {
			return key, nil
		}
	}
	return nil, errOpen
}

func open(method string, key, content []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if !isCBC(method) {
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		if plain, err := aead.Open(nil, nil, content, nil); err == nil {
			return plain, nil
		}
		return nil, errOpen
	}
	if len(content) < 2*aes.BlockSize || len(content)%aes.BlockSize != 0 {
		return nil, errOpen
	}
	plain := make([]byte, len(content)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, content[:aes.BlockSize]).CryptBlocks(plain, content[aes.BlockSize:])
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, errOpen
	}
	return plain[:len(plain)-pad], nil
}
