package aggregate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"seimon/internal/front/saml/metadata"
)

// Sample makes up service providers, each always the same for its number. Their
// certificates look like real ones and belong to nobody.
type Sample struct {
	issuer *ecdsa.PrivateKey
	Domain string // of all addresses
	Size   int    // bytes of one entity, about

	mu   sync.Mutex
	made map[int][]string // certificates, whose signatures never come twice
}

// NewSample makes a source of providers.
func NewSample(domain string, size int) (*Sample, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &Sample{issuer: key, Domain: domain, Size: size, made: map[int][]string{}}, err
}

// Provider makes up number i.
func (s *Sample) Provider(i int) Provider {
	random := mathrand.New(mathrand.NewPCG(uint64(i), 66))
	host := fmt.Sprintf("sp%05d.%s", i, s.Domain)
	p := Provider{
		ID: "https://" + host + "/shibboleth", Organization: fmt.Sprintf("Institute %d", i),
		Names:    map[string]string{"en": fmt.Sprintf("Research Service %d", i), "ja": fmt.Sprintf("研究サービス %d", i)},
		Consumer: "https://" + host + "/Shibboleth.sso/SAML2/POST", Logout: "https://" + host + "/Shibboleth.sso/SLO/Redirect",
		Formats: []string{metadata.Transient, metadata.Persistent}, Contact: "support@" + host,
		Authority: "https://registry." + s.Domain, Certificates: s.certificates(i, host),
		Requested: []Attribute{
			{"urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "eduPersonPrincipalName", true},
			{"urn:oid:0.9.2342.19200300.100.1.3", "mail", i%2 == 0},
			{"urn:oid:2.16.840.1.113730.3.1.241", "displayName", false},
		},
	}
	if i%3 == 0 {
		p.Categories = []string{"http://refeds.org/category/research-and-scholarship"}
	}
	if i%5 == 0 {
		p.Categories = append(p.Categories, "https://refeds.org/category/code-of-conduct/v2")
	}
	const used = 4900 // bytes of an entity without its description
	words := []string{"archive", "computing", "data", "journal", "library", "mathematics", "network", "ocean", "physics", "students", "of", "the", "for"}
	var about strings.Builder
	for about.Len() < s.Size-used {
		about.WriteString(words[random.IntN(len(words))] + " ")
	}
	p.About = strings.TrimSpace(about.String())
	return p
}

func (s *Sample) certificates(i int, host string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made[i] == nil {
		random := mathrand.New(mathrand.NewPCG(uint64(i), 2048))
		s.made[i] = []string{s.certificate(i, host, random), s.certificate(i, host, random)}
	}
	return s.made[i]
}

// certificate makes a certificate of the usual size quickly: nobody knows the key.
func (s *Sample) certificate(i int, host string, random *mathrand.Rand) string {
	n := make([]byte, 256)
	for k := range n {
		n[k] = byte(random.Uint32())
	}
	n[0] |= 0x80
	n[255] |= 1
	c := &x509.Certificate{
		SerialNumber: big.NewInt(int64(i) + 1), Subject: pkix.Name{CommonName: host},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}, s.issuer)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(der)
}
