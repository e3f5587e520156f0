package piv

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"seimon/internal/authn"
)

// script plays a card: it demands the commands of a trace and gives its answers.
type script struct {
	t     *testing.T
	lines []string
	at    int
}

// play reads a trace: "> command", "< answer", in hex with spaces; other lines are remarks.
func play(t *testing.T, name string) *script {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, ">") || strings.HasPrefix(line, "<") {
			s.lines = append(s.lines, line[:1]+strings.ReplaceAll(line[1:], " ", ""))
		}
	}
	t.Cleanup(func() {
		if s.at != len(s.lines) && !t.Failed() {
			t.Errorf("%s: %d of %d lines were played", name, s.at, len(s.lines))
		}
	})
	return s
}

func (s *script) Transmit(apdu []byte) ([]byte, error) {
	s.t.Helper()
	if s.at+1 >= len(s.lines) {
		s.t.Fatalf("beyond the trace: %x", apdu)
	}
	want, answer := s.lines[s.at], s.lines[s.at+1]
	s.at += 2
	if got := ">" + strings.ToUpper(hex.EncodeToString(apdu)); got != want {
		s.t.Fatalf("command %d\n got %s\nwant %s", s.at/2, got, want)
	}
	out, err := hex.DecodeString(answer[1:])
	if err != nil {
		s.t.Fatal(err)
	}
	return out, nil
}

func open(t *testing.T, name string) *Card {
	t.Helper()
	c, err := Open(play(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTraceOfPINs(t *testing.T) {
	c := open(t, "pin.txt")
	if c.Application.Label != "PIV card" || len(c.Application.Algorithms) != 2 || c.Application.Algorithms[1] != P256 {
		t.Errorf("application %+v", c.Application)
	}
	tries := func(want int) {
		t.Helper()
		if n, err := c.Tries(); err != nil || n != want {
			t.Errorf("%d tries, %v; want %d", n, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	tries(10)
	var wrong *PINError
	if err := c.Verify("000000"); !errors.As(err, &wrong) || wrong.Left != 9 {
		t.Errorf("a wrong PIN: %v", err)
	}
	must(c.Verify("123456"))
	tries(-1)
	must(c.LogOut())
	must(c.ChangePIN("123456", "24681012"))
	must(c.ChangePUK("12345678", "ABCDEFGH"))
	if err := c.Verify("999999"); !errors.Is(err, ErrBlocked) {
		t.Errorf("the last try: %v", err)
	}
	if err := c.Verify("24681012"); !errors.Is(err, ErrBlocked) {
		t.Errorf("a locked card: %v", err)
	}
	tries(0)
	must(c.Unblock("ABCDEFGH", "654321"))
}

func TestTraceOfLongObjects(t *testing.T) {
	c := open(t, "long.txt")
	value := bytes.Repeat([]byte{0xab}, 300)
	if err := c.Put(ObjectCertAuth, value); err != nil {
		t.Fatal(err)
	}
	got, err := c.Get(ObjectCertAuth)
	if err != nil || !bytes.Equal(got, value) {
		t.Errorf("%d bytes came back: %v", len(got), err)
	}
	if _, err := c.Get(ObjectCHUID); !errors.Is(err, ErrNotFound) {
		t.Errorf("an object that is not there: %v", err)
	}
	if _, err := c.Get(ObjectCHUID); !errors.Is(err, ErrNotFound) {
		t.Errorf("an object that was emptied: %v", err)
	}
	if err := c.Put(ObjectCHUID, nil); !errors.Is(err, ErrDenied) {
		t.Errorf("writing without the management key: %v", err)
	}
	d, err := c.Discovery()
	if err != nil || !d.Application || d.Global || d.GlobalFirst {
		t.Errorf("discovery %+v, %v", d, err)
	}
}

func TestOtherApplicationsAreNamed(t *testing.T) {
	for _, answer := range []string{"6A82", "6D00", "6985"} {
		raw, _ := hex.DecodeString(answer)
		_, err := Open(transmit(func([]byte) ([]byte, error) { return raw, nil }))
		if !errors.Is(err, ErrNoApplication) {
			t.Errorf("%s: %v", answer, err)
		}
	}
	gone := errors.New("pulled out")
	_, err := Open(transmit(func([]byte) ([]byte, error) { return nil, gone }))
	if !errors.Is(err, gone) || errors.Is(err, ErrNoApplication) {
		t.Errorf("a card that is gone: %v", err)
	}
}

type transmit func([]byte) ([]byte, error)

func (f transmit) Transmit(b []byte) ([]byte, error) { return f(b) }

func TestACardThatNeverEnds(t *testing.T) {
	c := &Card{t: transmit(func([]byte) ([]byte, error) { return append(make([]byte, 256), 0x61, 0x00), nil })}
	if _, err := c.Get(ObjectCHUID); err == nil || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("an endless answer: %v", err)
	}
	c = &Card{t: transmit(func(b []byte) ([]byte, error) {
		if b[1] == insGetResponse {
			return []byte{0x61, 0x10}, nil
		}
		return []byte{1, 0x61, 0x10}, nil
	})}
	if _, err := c.Get(ObjectCHUID); err == nil {
		t.Error("a card that announces more for ever was believed")
	}
	for _, short := range [][]byte{nil, {0x90}} {
		c = &Card{t: transmit(func([]byte) ([]byte, error) { return short, nil })}
		if _, err := c.Get(ObjectCHUID); err == nil {
			t.Errorf("an answer of %d bytes was believed", len(short))
		}
	}
}

func TestWrongLengthIsCorrectedOnce(t *testing.T) {
	asked := 0
	c := &Card{t: transmit(func(b []byte) ([]byte, error) {
		asked++
		if b[len(b)-1] == 0x04 {
			return []byte{0, 0, 0, 7, 0x90, 0x00}, nil
		}
		return []byte{0x6c, 0x04}, nil
	})}
	n, err := c.Serial()
	if err != nil || n != 7 || asked != 2 {
		t.Errorf("serial %d after %d commands: %v", n, asked, err)
	}
}

func TestFormOfPINs(t *testing.T) {
	for pin, good := range map[authn.Secret]bool{
		"123456": true, "12345678": true, "12345": false, "123456789": false, "12345a": false, "１２３４５６": false, "": false, "12 456": false,
	} {
		if (CheckPIN(pin) == nil) != good {
			t.Errorf("%q", pin.Reveal())
		}
	}
	sent := false
	c := &Card{t: transmit(func([]byte) ([]byte, error) { sent = true; return []byte{0x63, 0xc1}, nil })}
	if c.Verify("１２３４５６") == nil || c.ChangePIN("123456", "short") == nil || c.Unblock("short", "123456") == nil || c.ChangePUK("12345678", "123456789") == nil {
		t.Error("a malformed secret was taken")
	}
	if sent {
		t.Error("a malformed secret used up a try")
	}
}

func TestKeysPrintAsNothing(t *testing.T) {
	for _, s := range []string{FactoryKey().String(), FactoryKey().GoString()} {
		if s != "[redacted]" {
			t.Error(s)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"7c0a80089999999999999999", "7f4943864104", "5c035fc105", "53820100", "61114f0ba0000003080000100001007902", "3416", "70820003abcdef710101fe00", "1f", "1f8181",
	} {
		b, _ := hex.DecodeString(seed)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if list, err := parseTLV(b); err == nil {
			for _, x := range list {
				again, err := parseTLV(enc(x.tag, x.value))
				if err != nil || len(again) != 1 || !bytes.Equal(again[0].value, x.value) {
					t.Fatalf("%x does not come back: %v", x, err)
				}
			}
		}
		for _, a := range []Algorithm{P256, RSA2048} {
			if k, err := parsePublic(a, b); (k == nil) == (err == nil) {
				t.Fatal("neither key nor error")
			}
		}
		if c, err := parseCertificate(b); (c == nil) == (err == nil) {
			t.Fatal("neither certificate nor error")
		}
		_, _ = parseApplication(b)
		_, _ = parseCHUID(b)
		_, _ = parseDiscovery(b)
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0x90, 0x00}, []byte{0x61, 0x05})
	f.Add([]byte{0x7c, 0x02, 0x80, 0x00, 0x90, 0x00}, []byte{0x6c, 0x01})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		n := 0
		c := &Card{t: transmit(func([]byte) ([]byte, error) {
			if n++; n > answerMax+10 {
				t.Fatal("it never ends")
			}
			if n%2 == 1 {
				return one, nil
			}
			return two, nil
		})}
		_ = c.Manage(FactoryKey())
		n = 0
		_, _ = c.Generate(P256)
		n = 0
		if _, err := c.Certificate(); err == nil && len(one)+len(two) < 100 {
			t.Fatal("a certificate out of nothing")
		}
		n = 0
		if left, err := c.Tries(); err == nil && (left < -1 || left > 15) {
			t.Fatalf("%d tries", left)
		}
	})
}
