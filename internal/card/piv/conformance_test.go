package piv_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"seimon/internal/app/demo/vcard"
	"seimon/internal/authn"
	"seimon/internal/card/piv"
)

func open(t *testing.T) (*piv.Card, *vcard.Card) {
	t.Helper()
	v, err := vcard.New("", 10, 10)
	if err != nil {
		t.Fatal(err)
	}
	c, err := piv.Open(v)
	if err != nil {
		t.Fatal(err)
	}
	return c, v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheWholeLifeOfACard(t *testing.T) {
	for _, alg := range []piv.Algorithm{piv.P256, piv.P384, piv.RSA2048} {
		t.Run(alg.String(), func(t *testing.T) {
			c, v := open(t)
			if n, err := c.Serial(); err != nil || n != v.Info().Serial {
				t.Fatalf("serial %d, %v", n, err)
			}
			must(t, c.Manage(piv.FactoryKey()))
			must(t, c.Verify(piv.FactoryPIN))
			must(t, c.SetTries(10, 5))
			own := piv.ManagementKey{Type: piv.AES256, Key: make([]byte, 32)}
			must(t, c.SetManagementKey(own))
			must(t, c.ChangePIN(piv.FactoryPIN, "271828"))
			must(t, c.ChangePUK(piv.FactoryPUK, "31415926"))

			v.Reset()
			c, err := piv.Open(v)
			must(t, err)
			if err := c.Manage(piv.FactoryKey()); !errors.Is(err, piv.ErrDenied) {
				t.Fatalf("the factory's key still works: %v", err)
			}
			must(t, c.Manage(own))
			public, err := c.Generate(alg)
			must(t, err)
			signer, err := c.Signer(public)
			must(t, err)
			sum := sha256.Sum256([]byte("a sign-in"))
			if _, err := signer.Sign(nil, sum[:], crypto.SHA256); !errors.Is(err, piv.ErrDenied) {
				t.Fatalf("signed without a PIN: %v", err)
			}
			must(t, c.Verify("271828"))
			signature, err := signer.Sign(nil, sum[:], crypto.SHA256)
			must(t, err)
			check(t, public, sum[:], signature)

			cert := certify(t, signer)
			must(t, c.SetCertificate(cert))
			got, err := c.Certificate()
			must(t, err)
			if !got.Equal(cert) {
				t.Error("another certificate came back")
			}
			name := piv.CHUID{GUID: [16]byte{1, 2, 3}, Expires: time.Date(2031, 3, 31, 0, 0, 0, 0, time.UTC)}
			must(t, c.SetCHUID(name))
			must(t, c.SetCCC(name.GUID))
			if back, err := c.CHUID(); err != nil || back != name {
				t.Errorf("CHUID %+v, %v", back, err)
			}
			must(t, c.SetCertificate(nil))
			if _, err := c.Certificate(); !errors.Is(err, piv.ErrNotFound) {
				t.Errorf("after it was taken away: %v", err)
			}
		})
	}
}

func check(t *testing.T, public crypto.PublicKey, digest, signature []byte) {
	t.Helper()
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(k, digest, signature) {
			t.Error("the signature is wrong")
		}
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(k, crypto.SHA256, digest, signature); err != nil {
			t.Error(err)
		}
	}
}

// certify makes a self-signed certificate, long enough for chaining both ways.
func certify(t *testing.T, s crypto.Signer) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Seimon Hanako - card 0001"}, NotBefore: time.Now(),
		NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: x509.SHA256WithRSA,
		CRLDistributionPoints: []string{"http://pki.example.ac.jp/crl/iss_aaaaaaaaaaaaaaaaaaaaaaaaaa/0.crl"},
	}
	if _, ok := s.Public().(*ecdsa.PublicKey); ok {
		tmpl.SignatureAlgorithm = x509.ECDSAWithSHA256
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, s.Public(), s)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert
}

func TestTenWrongPINsLockAndThePUKUnlocks(t *testing.T) {
	c, v := open(t)
	for left := 9; left >= 1; left-- {
		var wrong *piv.PINError
		if err := c.Verify("000000"); !errors.As(err, &wrong) || wrong.Left != left {
			t.Fatalf("%d left: %v", left, err)
		}
	}
	if err := c.Verify("000000"); !errors.Is(err, piv.ErrBlocked) {
		t.Fatalf("the tenth: %v", err)
	}
	v.Reset()
	c, err := piv.Open(v)
	must(t, err)
	if n, err := c.Tries(); n != 0 || err != nil {
		t.Errorf("after the card was out: %d tries, %v", n, err)
	}
	if err := c.Verify(piv.FactoryPIN); !errors.Is(err, piv.ErrBlocked) {
		t.Errorf("the right PIN opened a locked card: %v", err)
	}
	var wrong *piv.PINError
	if err := c.Unblock("00000000", "222222"); !errors.As(err, &wrong) || wrong.Left != 9 {
		t.Errorf("a wrong PUK: %v", err)
	}
	must(t, c.Unblock(piv.FactoryPUK, "222222"))
	must(t, c.Verify("222222"))
	must(t, c.LogOut())
	if n, err := c.Tries(); n != 10 || err != nil {
		t.Errorf("after unblocking: %d tries, %v", n, err)
	}
}

func TestManagementKeys(t *testing.T) {
	for _, k := range []piv.KeyType{piv.TripleDES, piv.AES128, piv.AES192, piv.AES256} {
		c, v := open(t)
		key := piv.ManagementKey{Type: k, Key: make([]byte, k.Size())}
		for i := range key.Key {
			key.Key[i] = byte(3 * i)
		}
		must(t, c.Manage(piv.FactoryKey()))
		must(t, c.SetManagementKey(key))
		v.Reset()
		c, err := piv.Open(v)
		must(t, err)
		must(t, c.Manage(key))
		key.Key[3] ^= 0x10
		if err := c.Manage(key); !errors.Is(err, piv.ErrDenied) {
			t.Errorf("%v: a wrong key: %v", k, err)
		}
		if err := c.SetCCC([16]byte{}); !errors.Is(err, piv.ErrDenied) {
			t.Errorf("%v: written after a wrong key: %v", k, err)
		}
		key.Key = key.Key[1:]
		if err := c.Manage(key); err == nil {
			t.Errorf("%v: a short key was taken", k)
		}
	}
}

// forger claims to know the management key: it repeats what it was sent.
type forger struct{ piv.Transmitter }

func (f forger) Transmit(b []byte) ([]byte, error) {
	if len(b) > 6 && b[1] == 0x87 && b[6] > 2 {
		return []byte{0x7c, 0x0a, 0x82, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 0x90, 0x00}, nil
	}
	return f.Transmitter.Transmit(b)
}

func TestACardMustKnowItsKeyToo(t *testing.T) {
	_, v := open(t)
	c, err := piv.Open(forger{v})
	must(t, err)
	if err := c.Manage(piv.FactoryKey()); !errors.Is(err, piv.ErrDenied) {
		t.Errorf("a card that does not know the key was believed: %v", err)
	}
}

func TestAPlainCardHasNoVendorCommands(t *testing.T) {
	c, v := open(t)
	v.Vendor = false
	if _, err := c.Serial(); !errors.Is(err, piv.ErrUnsupported) {
		t.Errorf("serial: %v", err)
	}
	must(t, c.Manage(piv.FactoryKey()))
	if err := c.SetTries(10, 10); !errors.Is(err, piv.ErrUnsupported) {
		t.Errorf("tries: %v", err)
	}
	if err := c.SetManagementKey(piv.FactoryKey()); !errors.Is(err, piv.ErrUnsupported) {
		t.Errorf("management key: %v", err)
	}
	name, err := c.CHUID()
	if err != nil || name.GUID == [16]byte{} {
		t.Errorf("CHUID %+v, %v", name, err)
	}
	if d, err := c.Discovery(); err != nil || !d.Application {
		t.Errorf("discovery %+v, %v", d, err)
	}
}

// FuzzCard holds the layer against a card that answers sensibly, with one answer spoilt.
func FuzzCard(f *testing.F) {
	f.Add(uint8(3), []byte{0x6f, 0x00})
	f.Add(uint8(1), []byte{0x7c, 0x82, 0x90, 0x00})
	f.Fuzz(func(t *testing.T, at uint8, spoilt []byte) {
		v, err := vcard.New("", 10, 10)
		must(t, err)
		n := uint8(0)
		c, err := piv.Open(transmit(func(b []byte) ([]byte, error) {
			if n++; n == at%8+1 {
				return spoilt, nil
			}
			return v.Transmit(b)
		}))
		if err != nil {
			return
		}
		if c.Manage(piv.FactoryKey()) != nil {
			return
		}
		k, err := c.Generate(piv.P256)
		if err != nil {
			return
		}
		if _, err := c.Signer(k); err != nil {
			t.Fatal(err)
		}
		_ = c.Verify(authn.Secret(piv.FactoryPIN))
		_, _ = c.Certificate()
	})
}

type transmit func([]byte) ([]byte, error)

func (f transmit) Transmit(b []byte) ([]byte, error) { return f(b) }
