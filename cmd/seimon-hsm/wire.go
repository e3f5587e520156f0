package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
)

// maxFrame is the largest message in bytes.
const maxFrame = 64 << 10

// question is what a client asks.
type question struct {
	Do        string `json:"do"`
	Label     string `json:"label,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	Handle    string `json:"handle,omitempty"`
	Hash      string `json:"hash,omitempty"`
	Digest    []byte `json:"digest,omitempty"`
}

// answer is what it gets.
type answer struct {
	Handle    string `json:"handle,omitempty"`
	Public    []byte `json:"public,omitempty"`
	Signature []byte `json:"signature,omitempty"`
	Error     string `json:"error,omitempty"`
	Code      string `json:"code,omitempty"`
}

// fault is an error with a code of the protocol.
type fault struct {
	code string
	error
}

func (f fault) Unwrap() error { return f.error }

func wrong(text string) error { return fault{"request", errors.New(text)} }

// failed is the answer that tells an error.
func failed(err error) answer {
	var f fault
	if errors.As(err, &f) {
		return answer{Error: err.Error(), Code: f.code}
	}
	return answer{Error: err.Error(), Code: "token"}
}

// readFrame reads one message; io.EOF when the client is done.
func readFrame(r io.Reader, into any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxFrame {
		return wrong("a message must have 1 to 65,536 bytes")
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fault{"request", err}
	}
	return nil
}

func writeFrame(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}
