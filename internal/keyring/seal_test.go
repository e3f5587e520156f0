package keyring

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"
)

// The vectors of the XAES-256-GCM specification (C2SP, XAES-256-GCM.md).
func TestSealKeyAgreesWithTheSpecification(t *testing.T) {
	for _, v := range []struct {
		key  byte
		aad  string
		want string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		k, err := newSealKey(bytes.Repeat([]byte{v.key}, 32))
		if err != nil {
			t.Fatal(err)
		}
		nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
		got := k.derive(nonce[:12]).Seal(nil, nonce[12:], []byte("XAES-256-GCM"), []byte(v.aad))
		if hex.EncodeToString(got) != v.want {
			t.Errorf("key %#x: %x, want %s", v.key, got, v.want)
		}
	}
}

func master(b byte) []byte { return bytes.Repeat([]byte{b}, masterMin) }

func sealerOf(t testing.TB, current []byte, old ...[]byte) *sealer {
	t.Helper()
	s, err := newSealer(current, old)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealOpensOnlyInItsContext(t *testing.T) {
	s := sealerOf(t, master(1))
	for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("seed"), 5000)} {
		sealed := s.seal("binding:b_1", plain)
		got, err := s.unseal("binding:b_1", sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: %v", len(plain), err)
		}
		if _, err := s.unseal("binding:b_2", sealed); !errors.Is(err, ErrSeal) {
			t.Errorf("another row opened it: %v", err)
		}
		if bytes.Contains(sealed, []byte("seed")) {
			t.Error("the text shows")
		}
		if bytes.Equal(sealed, s.seal("binding:b_1", plain)) {
			t.Error("the same text sealed twice looks the same")
		}
	}
}

func TestEveryChangedByteBreaksTheSeal(t *testing.T) {
	s := sealerOf(t, master(1))
	sealed := s.seal("c", []byte("one-time seed"))
	for i := range sealed {
		bent := bytes.Clone(sealed)
		bent[i] ^= 1
		if _, err := s.unseal("c", bent); err == nil {
			t.Errorf("byte %d may be changed", i)
		}
	}
	for n := range len(sealed) {
		if _, err := s.unseal("c", sealed[:n]); err == nil {
			t.Errorf("%d bytes are enough", n)
		}
	}
}

func TestMasterKeyRotation(t *testing.T) {
	before := sealerOf(t, master(1))
	after := sealerOf(t, master(2), master(1))
	sealed := before.seal("c", []byte("kept"))
	if got, err := after.unseal("c", sealed); err != nil || string(got) != "kept" {
		t.Errorf("the old seal does not open: %q %v", got, err)
	}
	if !after.stale(sealed) || before.stale(sealed) {
		t.Error("staleness is told wrongly")
	}
	fresh := after.seal("c", []byte("kept"))
	if after.stale(fresh) {
		t.Error("a new seal is not under the new key")
	}
	if _, err := before.unseal("c", fresh); !errors.Is(err, ErrMaster) {
		t.Errorf("want the cause named: %v", err)
	}
	if _, err := newSealer(make([]byte, 31), nil); err == nil {
		t.Error("a short master key is accepted")
	}
	if _, err := newSealer(master(1), [][]byte{{1}}); err == nil {
		t.Error("a short old master key is accepted")
	}
}

func FuzzUnseal(f *testing.F) {
	s, err := newSealer(master(1), [][]byte{master(2)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("c", s.seal("c", []byte("plain")))
	f.Add("", []byte{sealFormat})
	f.Fuzz(func(t *testing.T, context string, sealed []byte) {
		plain, err := s.unseal(context, sealed)
		if err == nil && context != "c" {
			t.Errorf("forged: %q opens to %q", sealed, plain)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s := sealerOf(b, master(1))
	plain := make([]byte, 1024)
	rand.Read(plain) //nolint:errcheck // never fails
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.unseal("c", s.seal("c", plain)); err != nil {
			b.Fatal(err)
		}
	}
}
