package ca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Helper is the client of seimon-hsm, which keeps keys in PKCS#11. It opens a
// connection for each question, so a helper that was restarted is found again. An
// error means that nothing was signed that anybody could use.
type Helper struct{ socket string }

// NewHelper returns the client for a socket. It does not connect yet.
func NewHelper(socket string) *Helper { return &Helper{socket} }

// How long the helper may take, and the largest message (its doc.go has the protocol).
const (
	helperSigns    = 10 * time.Second
	helperMakes    = 2 * time.Minute
	helperMaxFrame = 64 << 10
)

// helperQuestion and helperAnswer are the messages.
type helperQuestion struct {
	Do        string `json:"do"`
	Label     string `json:"label,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	Handle    string `json:"handle,omitempty"`
	Hash      string `json:"hash,omitempty"`
	Digest    []byte `json:"digest,omitempty"`
}

type helperAnswer struct {
	Handle    string `json:"handle"`
	Public    []byte `json:"public"`
	Signature []byte `json:"signature"`
	Error     string `json:"error"`
	Code      string `json:"code"`
}

// Generate makes a key in the token and gives its handle.
func (h *Helper) Generate(ctx context.Context, label, algorithm string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, helperMakes)
	defer cancel()
	a, err := h.ask(ctx, helperQuestion{Do: "generate", Label: label, Algorithm: algorithm})
	if err == nil && a.Handle == "" {
		err = errors.New("ca: the helper made a key and did not name it")
	}
	return a.Handle, err
}

// Signer gives the signer of a key; it asks for the public half at once.
func (h *Helper) Signer(ctx context.Context, handle string) (crypto.Signer, error) {
	ctx, cancel := context.WithTimeout(ctx, helperSigns)
	defer cancel()
	a, err := h.ask(ctx, helperQuestion{Do: "public", Handle: handle})
	if err != nil {
		return nil, err
	}
	public, err := x509.ParsePKIXPublicKey(a.Public)
	if err != nil {
		return nil, fmt.Errorf("ca: the helper's public key: %w", err)
	}
	return &helperKey{h, handle, public}, nil
}

// ask sends one question and reads the answer.
func (h *Helper) ask(ctx context.Context, q helperQuestion) (helperAnswer, error) {
	var a helperAnswer
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", h.socket)
	if err != nil {
		return a, fmt.Errorf("ca: the helper for keys does not run or cannot be asked: %w", err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if err := exchange(c, q, &a); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return helperAnswer{}, fmt.Errorf("ca: the helper for keys ended in the middle of a question: %w", err)
	}
	if a.Error != "" {
		return helperAnswer{}, fmt.Errorf("ca: the helper for keys refuses (%s): %s", a.Code, a.Error)
	}
	return a, nil
}

// exchange writes one frame and reads one.
func exchange(c io.ReadWriter, q helperQuestion, a *helperAnswer) error {
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)); err != nil {
		return err
	}
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > helperMaxFrame {
		return fmt.Errorf("a message of %d bytes", n)
	}
	answer := make([]byte, n)
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	return json.Unmarshal(answer, a)
}

// helperKey signs with a key in the helper.
type helperKey struct {
	helper *Helper
	handle string
	public crypto.PublicKey
}

// Public is the public half.
func (k *helperKey) Public() crypto.PublicKey { return k.public }

// Sign asks the helper to sign a digest and checks what it gives: a token that fails
// silently must not reach a certificate.
func (k *helperKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, pss := opts.(*rsa.PSSOptions); pss {
		return nil, errors.New("ca: the helper does not sign with RSA-PSS")
	}
	ctx, cancel := context.WithTimeout(context.Background(), helperSigns)
	defer cancel()
	a, err := k.helper.ask(ctx, helperQuestion{Do: "sign", Handle: k.handle, Hash: opts.HashFunc().String(), Digest: digest})
	if err != nil {
		return nil, err
	}
	switch public := k.public.(type) {
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(public, digest, a.Signature) {
			return nil, errors.New("ca: the helper's signature is wrong")
		}
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(public, opts.HashFunc(), digest, a.Signature); err != nil {
			return nil, fmt.Errorf("ca: the helper's signature is wrong: %w", err)
		}
	default:
		return nil, errors.New("ca: the helper's key is of a kind that is not known")
	}
	return a.Signature, nil
}
