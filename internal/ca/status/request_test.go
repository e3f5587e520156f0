package status

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// fuzzed is a request as x/crypto writes it.
func fuzzed(f *testing.F) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "x"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		f.Fatal(err)
	}
	q, err := ocsp.CreateRequest(c, c, nil)
	if err != nil {
		f.Fatal(err)
	}
	return q
}

func FuzzRequest(f *testing.F) {
	f.Add(fuzzed(f))
	f.Add([]byte{0x30, 0})
	f.Add([]byte{0x30, 4, 0x30, 2, 0x30, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, err := parseRequest(raw)
		if err != nil {
			return
		}
		if len(raw) > maxRequest || len(q.asked) == 0 || len(q.asked) > maxAsked {
			t.Fatalf("%d bytes, %d asked", len(raw), len(q.asked))
		}
		for _, id := range q.asked {
			if !bytes.Contains(raw, id.raw) || id.serial.BitLen() > 8*maxSerial {
				t.Fatal("an answer would repeat what was not asked")
			}
		}
		if q.nonce != nil && (!bytes.Contains(raw, q.nonce) || len(q.nonce) > maxNonce+3) {
			t.Fatal("a nonce that was not sent, or too long")
		}
	})
}

func FuzzPath(f *testing.F) {
	f.Add("MEIwQDA+MDwwOjAJBgUrDgMCGgUABBQ%2F")
	f.Add("a//b+c d==")
	f.Fuzz(func(t *testing.T, path string) {
		if raw := decodePath(path); len(raw) > 2*maxRequest {
			t.Fatal("too long")
		}
	})
}
