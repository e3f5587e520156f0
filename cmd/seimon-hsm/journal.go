package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// journal is the helper's own record: one JSON object a line, each with the hash of
// the line before, so that nothing can be taken out or changed unseen.
type journal struct {
	mu   sync.Mutex
	file *os.File
	last string
}

// record is one line.
type record struct {
	At     time.Time `json:"at"`
	UID    int       `json:"uid"` // of the client
	Do     string    `json:"do"`
	Handle string    `json:"handle,omitempty"`
	Label  string    `json:"label,omitempty"`
	Hash   string    `json:"hash,omitempty"`
	Digest string    `json:"digest,omitempty"`
	Error  string    `json:"error,omitempty"`
	Before string    `json:"before"` // SHA-256 of the line before
}

// openJournal opens the record to be added to and goes on with its chain.
func openJournal(name string) (*journal, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: f}
	if j.last, err = verify(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return j, nil
}

// verify reads a record from its beginning and returns the hash of its last line. A
// last line that a crash cut off is an error too: somebody should look.
func verify(r io.Reader) (last string, err error) {
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return last, nil
		}
		if err != nil {
			return "", fmt.Errorf("line %d is cut off: %w", n, err)
		}
		var one record
		if err := json.Unmarshal(line, &one); err != nil {
			return "", fmt.Errorf("line %d: %w", n, err)
		}
		if one.Before != last {
			return "", fmt.Errorf("line %d does not follow the line before: something was changed or taken out", n)
		}
		last = hashOf(line)
	}
}

func hashOf(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// add writes a line durably.
func (j *journal) add(one record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	one.At, one.Before = time.Now().UTC(), j.last
	line, err := json.Marshal(one)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if _, err := j.file.Write(line); err != nil {
		return err
	}
	j.last = hashOf(line)
	return j.file.Sync()
}
