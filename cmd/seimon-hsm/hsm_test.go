package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// newToken makes an empty SoftHSM token of its own and returns how it is opened.
func newToken(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "seimon", "--pin", "1234", "--so-pin", "123456").CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util (package softhsm2): %v: %s", err, out)
	}
}

// start serves a fresh token on a socket.
func start(t *testing.T, change ...func(*helper)) (h *helper, socket string) {
	t.Helper()
	newToken(t)
	dir := t.TempDir()
	tok, err := openToken(softHSM, "seimon", "1234")
	if err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "socket")
	l, err := listen(socket, "0600")
	if err != nil {
		t.Fatal(err)
	}
	h = &helper{token: tok, journal: j, signs: newBucket(1000, 1000), makes: newBucket(1000, 1000), say: t.Logf}
	for _, f := range change {
		f(h)
	}
	done := make(chan error, 1)
	go func() { done <- h.serve(l) }()
	t.Cleanup(func() {
		l.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := tok.close(); err != nil {
			t.Error(err)
		}
	})
	return h, socket
}

// ask asks one question on a connection of its own.
func ask(t *testing.T, socket string, q question) answer {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var a answer
	if err := writeFrame(c, q); err != nil {
		t.Fatal(err)
	}
	if err := readFrame(c, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestKeysSign(t *testing.T) {
	h, socket := start(t)
	for algorithm, hash := range map[string]string{"P-256": "SHA-256", "P-384": "SHA-384", "RSA-2048": "SHA-256", "RSA-3072": "SHA-512"} {
		made := ask(t, socket, question{Do: "generate", Label: "Example " + algorithm, Algorithm: algorithm})
		if made.Error != "" {
			t.Fatal(made.Error)
		}
		public, err := x509.ParsePKIXPublicKey(made.Public)
		if err != nil {
			t.Fatal(err)
		}
		sum := hashes()[hash].New()
		sum.Write([]byte("to be signed"))
		digest := sum.Sum(nil)
		h.token.mu.Lock()
		clear(h.token.keys) // as after a restart
		h.token.mu.Unlock()
		if again := ask(t, socket, question{Do: "public", Handle: made.Handle}); !bytes.Equal(again.Public, made.Public) {
			t.Errorf("%s: another public key", algorithm)
		}
		a := ask(t, socket, question{Do: "sign", Handle: made.Handle, Hash: hash, Digest: digest})
		switch k := public.(type) {
		case *ecdsa.PublicKey:
			if !ecdsa.VerifyASN1(k, digest, a.Signature) {
				t.Errorf("%s: the signature is wrong %s", algorithm, a.Error)
			}
		case *rsa.PublicKey:
			if err := rsa.VerifyPKCS1v15(k, hashes()[hash], digest, a.Signature); err != nil {
				t.Errorf("%s: %v %s", algorithm, err, a.Error)
			}
		}
	}
}

func TestQuestionsThatAreWrong(t *testing.T) {
	_, socket := start(t)
	made := ask(t, socket, question{Do: "generate", Label: "x", Algorithm: "P-256"})
	digest := make([]byte, crypto.SHA256.Size())
	for want, list := range map[string][]question{
		"none": {{Do: "public", Handle: strings.Repeat("00", 16)}, {Do: "sign", Handle: strings.Repeat("00", 16), Hash: "SHA-256", Digest: digest}},
		"request": {
			{}, {Do: "export", Handle: made.Handle}, {Do: "generate", Algorithm: "RSA-512"}, {Do: "generate", Algorithm: "P-256", Label: "a\nb"},
			{Do: "sign", Handle: made.Handle, Hash: "SHA-1", Digest: make([]byte, 20)}, {Do: "sign", Handle: made.Handle, Hash: "SHA-256", Digest: []byte("short")},
			{Do: "public", Handle: "../../etc"},
		},
	} {
		for _, q := range list {
			if a := ask(t, socket, q); a.Code != want || a.Signature != nil || a.Public != nil || a.Handle != "" {
				t.Errorf("%+v: %+v, not %s", q, a, want)
			}
		}
	}
	// Bytes that are no frame end the talk and nothing else.
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte{0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := readFrame(c, &a); err != nil || a.Code != "request" {
		t.Error(err, a)
	}
	if a := ask(t, socket, question{Do: "public", Handle: made.Handle}); a.Error != "" {
		t.Error(a.Error)
	}
}

func TestTooManyQuestions(t *testing.T) {
	_, socket := start(t, func(h *helper) { h.signs = newBucket(0, 3) })
	made := ask(t, socket, question{Do: "generate", Label: "x", Algorithm: "P-256"})
	digest := sha256.Sum256(nil)
	var codes []string
	for range 5 {
		codes = append(codes, ask(t, socket, question{Do: "sign", Handle: made.Handle, Hash: "SHA-256", Digest: digest[:]}).Code)
	}
	if strings.Join(codes, ",") != ",,,limit,limit" {
		t.Error(codes)
	}
}

func TestEverySignatureIsOnRecordAndTheRecordIsWhole(t *testing.T) {
	h, socket := start(t)
	made := ask(t, socket, question{Do: "generate", Label: "Example CA", Algorithm: "P-256"})
	for i := range 3 {
		digest := sha256.Sum256([]byte{byte(i)})
		ask(t, socket, question{Do: "sign", Handle: made.Handle, Hash: "SHA-256", Digest: digest[:]})
	}
	name := h.journal.file.Name()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines != 4 || strings.Count(string(text), made.Handle) != 4 || !strings.Contains(string(text), `"uid":`) {
		t.Errorf("%d lines: %s", lines, text)
	}
	if _, err := openJournal(name); err != nil {
		t.Error(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for what, bad := range map[string][]byte{
		"a line taken out": bytes.Join([][]byte{lines[0], lines[2], lines[3]}, nil), "a line changed": bytes.Replace(text, []byte("Example"), []byte("Elsewhe"), 1),
		"two swapped": bytes.Join([][]byte{lines[1], lines[0], lines[2], lines[3]}, nil), "cut off": text[:len(text)-5],
	} {
		if _, err := verify(bytes.NewReader(bad)); err == nil {
			t.Errorf("%s is not noticed", what)
		}
	}
	// Without a record nothing is signed.
	if err := h.journal.file.Close(); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(nil)
	if a := ask(t, socket, question{Do: "sign", Handle: made.Handle, Hash: "SHA-256", Digest: digest[:]}); a.Code != "token" || a.Signature != nil {
		t.Errorf("%+v", a)
	}
}

func TestTheSocketIsAsNarrowAsAsked(t *testing.T) {
	_, socket := start(t)
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if _, err := listen(socket, "0600"); err == nil {
		t.Error("two programs answer on one socket")
	}
	pin := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pin, []byte("1234\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readPIN(pin); err == nil {
		t.Error("a PIN that everybody can read is taken")
	}
	if err := os.Chmod(pin, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readPIN(pin); got != "1234" || err != nil {
		t.Error(got, err)
	}
	if _, err := openToken(softHSM, "nobody", "1234"); err == nil {
		t.Error("a token that is not there was opened")
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(append(binary.BigEndian.AppendUint32(nil, 2), "{}"...))
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add(append(binary.BigEndian.AppendUint32(nil, 30), `{"do":"sign","digest":"AAAA"}`...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var q question
		if err := readFrame(bytes.NewReader(raw), &q); err == nil && len(raw) < 5 {
			t.Error("a message out of nothing")
		}
		if _, err := verify(bytes.NewReader(raw)); err == nil && len(raw) > 0 && !bytes.Contains(raw, []byte("\n")) {
			t.Error("a record without a line")
		}
	})
}
