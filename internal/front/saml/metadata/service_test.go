package metadata

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"testing"
	"time"
)

// TestNobodyMakesUsEncryptForAbsurdKeys: a service of a federation brings its own.
func TestNobodyMakesUsEncryptForAbsurdKeys(t *testing.T) {
	by, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for bits, good := range map[int]bool{2048: true, 8192: true, 8193: false, 1 << 17: false} {
		n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &rsa.PublicKey{N: n, E: 65537}, by)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := (Recipient{Certificate: base64.StdEncoding.EncodeToString(der)}).Key(); (err == nil) != good {
			t.Errorf("a key of %d bits: %v", bits, err)
		}
	}
}
