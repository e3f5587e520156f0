package app

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

// masterLength is the length of a master key in bytes.
const masterLength = 32

// readMaster reads a master key file: base64 of at least 32 bytes.
func readMaster(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) < masterLength {
		return nil, fmt.Errorf("%s does not hold a master key: base64 of at least %d random bytes", name, masterLength)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s can be changed by others: chmod 600 %s", name, name)
	}
	return key, nil
}

// NewMaster gives the text of a fresh master key file.
func NewMaster() string {
	key := make([]byte, masterLength)
	rand.Read(key) //nolint:errcheck // never fails (crypto/rand.Read)
	return base64.StdEncoding.EncodeToString(key) + "\n"
}
