package vcard

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

func pinBlock(s string) []byte { return append([]byte(s), bytes.Repeat([]byte{0xff}, 8-len(s))...) }

// send runs a command with chaining and GET RESPONSE, as a reader's driver would.
func send(c *Card, ins, p1, p2 byte, data []byte) ([]byte, uint16) {
	for len(data) > 255 {
		must(c.Transmit(append([]byte{0x10, ins, p1, p2, 255}, data[:255]...)))
		data = data[255:]
	}
	cmd := []byte{0, ins, p1, p2}
	if len(data) > 0 {
		cmd = append(append(cmd, byte(len(data))), data...)
	}
	r := must(c.Transmit(cmd))
	var out []byte
	for {
		n := len(r) - 2
		out = append(out, r[:n]...)
		sw := binary.BigEndian.Uint16(r[n:])
		if sw>>8 != 0x61 {
			return out, sw
		}
		r = must(c.Transmit([]byte{0, 0xc0, 0, 0, byte(sw)}))
	}
}

func expect(t *testing.T, got, want uint16) {
	t.Helper()
	if got != want {
		t.Fatalf("status %04x, want %04x", got, want)
	}
}

func TestPINLocksAtTheTenthAndSurvivesReset(t *testing.T) {
	c := fresh(t, 10, 3)
	_, sw := send(c, 0xa4, 4, 0, aid)
	expect(t, sw, swOK)
	for i := 9; i >= 0; i-- {
		_, sw = send(c, 0x20, 0, 0x80, pinBlock("000000"))
		expect(t, sw, 0x63c0|uint16(i))
	}
	c.Reset()
	send(c, 0xa4, 4, 0, aid)
	_, sw = send(c, 0x20, 0, 0x80, pinBlock("123456"))
	expect(t, sw, swBlocked)
	_, sw = send(c, 0x2c, 0, 0x80, append(pinBlock("12345678"), pinBlock("654321")...))
	expect(t, sw, swOK)
	_, sw = send(c, 0x20, 0, 0x80, pinBlock("654321"))
	expect(t, sw, swOK)
}

func TestSignNeedsPIN(t *testing.T) {
	rk, _ := rsa.GenerateKey(rand.Reader, 2048)
	ek, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c := fresh(t, 10, 3)
	c.PutKey(0x9a, rk, 0)
	c.PutKey(0x9c, ek, 0)
	send(c, 0xa4, 4, 0, aid)
	d := sha256.Sum256([]byte("x"))
	// PKCS #1 v1.5 block for SHA-256, as middleware builds it
	em := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, 256-3-19-32)...)
	em = append(append(em, 0, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0, 0x04, 0x20), d[:]...)
	ask := func(b []byte) []byte { return enc(0x7c, enc(0x82), enc(0x81, b)) }
	_, sw := send(c, 0x87, algRSA2048, 0x9a, ask(em))
	expect(t, sw, swSecurity)
	_, sw = send(c, 0x20, 0, 0x80, pinBlock("123456"))
	expect(t, sw, swOK)
	for range 2 { // 9A: once is enough
		out, sw := send(c, 0x87, algRSA2048, 0x9a, ask(em))
		expect(t, sw, swOK)
		l, _ := parseTLV(out)
		l, _ = parseTLV(l[0].val)
		if err := rsa.VerifyPKCS1v15(&rk.PublicKey, crypto.SHA256, d[:], l[0].val); err != nil {
			t.Fatal(err)
		}
	}
	_, sw = send(c, 0x87, algP256, 0x9c, ask(d[:])) // 9C: each time
	expect(t, sw, swSecurity)
	send(c, 0x20, 0, 0x80, pinBlock("123456"))
	out, sw := send(c, 0x87, algP256, 0x9c, ask(d[:]))
	expect(t, sw, swOK)
	l, _ := parseTLV(out)
	l, _ = parseTLV(l[0].val)
	if !ecdsa.VerifyASN1(&ek.PublicKey, d[:], l[0].val) {
		t.Fatal("bad ECDSA signature")
	}
	_, sw = send(c, 0x87, algP256, 0x9c, ask(d[:]))
	expect(t, sw, swSecurity)
}

func FuzzTransmit(f *testing.F) {
	f.Add([]byte{0, 0xa4, 4, 0, 5, 0xa0, 0, 0, 3, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := fresh(t, 3, 3)
		c.selected = true
		if r := must(c.Transmit(b)); len(r) < 2 {
			t.Fatal("no status word")
		}
	})
}

func fresh(t *testing.T, pinTries, pukTries int) *Card {
	t.Helper()
	c, err := New("", pinTries, pukTries)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must(answer []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return answer
}

func TestTheFileKeepsTheCard(t *testing.T) {
	file := t.TempDir() + "/card.json"
	c, err := New(file, 10, 10)
	if err != nil {
		t.Fatal(err)
	}
	k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := c.PutKey(0x9a, k, 0); err != nil {
		t.Fatal(err)
	}
	send(c, 0xa4, 4, 0, aid)
	send(c, 0x20, 0, 0x80, pinBlock("999999"))
	again, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Info(); got.PINTries != 9 || got.Serial != c.Info().Serial {
		t.Errorf("after reading the file: %+v", got)
	}
	if !again.s.Keys["9a"].private.(*ecdsa.PrivateKey).Equal(k) {
		t.Error("the key is another")
	}
}
