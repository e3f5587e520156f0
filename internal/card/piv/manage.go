package piv

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
)

// KeyType is the cipher of a management key (SP 800-78-4, table 6-2).
type KeyType byte

// The ciphers. Triple DES is what older cards and new YubiKeys before 5.7 come with.
const (
	TripleDES KeyType = 0x03
	AES128    KeyType = 0x08
	AES192    KeyType = 0x0a
	AES256    KeyType = 0x0c
)

// Size is the length of a key in bytes.
func (k KeyType) Size() int {
	switch k {
	case TripleDES, AES192:
		return 24
	case AES128:
		return 16
	case AES256:
		return 32
	}
	return 0
}

func (k KeyType) block(key []byte) (cipher.Block, error) {
	if len(key) != k.Size() || len(key) == 0 {
		return nil, errors.New("piv: a management key of the wrong length")
	}
	if k == TripleDES {
		return des.NewTripleDESCipher(key)
	}
	return aes.NewCipher(key)
}

// ManagementKey is what lets the holder write on a card. It prints as nothing.
type ManagementKey struct {
	Type KeyType
	Key  []byte
}

// String hides the key.
func (ManagementKey) String() string { return "[redacted]" }

// GoString hides the key.
func (ManagementKey) GoString() string { return "[redacted]" }

// FactoryKey is the management key of a card as it leaves the factory.
func FactoryKey() ManagementKey {
	return ManagementKey{TripleDES, []byte{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}}
}

const slotManagement = 0x9b

// Manage shows the management key and lets the card show that it has the same one
// (SP 800-73-4 part 2, appendix A.2: mutual authentication). A wrong key is ErrDenied.
func (c *Card) Manage(k ManagementKey) error {
	block, err := k.Type.block(k.Key)
	if err != nil {
		return err
	}
	n := block.BlockSize()
	witness, err := c.authenticate(k.Type, enc(0x7c, enc(0x80)), 0x80)
	if err != nil {
		return wrongKey(err)
	}
	if len(witness) != n {
		return fmt.Errorf("%w: a witness of %d bytes", ErrDenied, len(witness))
	}
	plain, challenge := make([]byte, n), make([]byte, n)
	block.Decrypt(plain, witness)
	rand.Read(challenge)
	answer, err := c.authenticate(k.Type, enc(0x7c, enc(0x80, plain), enc(0x81, challenge)), 0x82)
	if err != nil {
		return wrongKey(err)
	}
	want := make([]byte, n)
	block.Encrypt(want, challenge)
	if subtle.ConstantTimeCompare(answer, want) != 1 {
		return fmt.Errorf("%w: the card does not have the key itself", ErrDenied)
	}
	return nil
}

// wrongKey makes every answer by which cards refuse a management key the same.
func wrongKey(err error) error {
	var status *StatusError
	if errors.As(err, &status) && !errors.Is(err, ErrDenied) {
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	var wrong *PINError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}

// authenticate is GENERAL AUTHENTICATE with the management key; want is the object of the answer.
func (c *Card) authenticate(k KeyType, data []byte, want uint32) ([]byte, error) {
	out, err := c.send(command{"GENERAL AUTHENTICATE", insAuthenticate, byte(k), slotManagement, data, true})
	if err != nil {
		return nil, err
	}
	list, err := inside(out, 0x7c)
	if err != nil {
		return nil, err
	}
	value, ok := find(list, want)
	if !ok {
		return nil, fmt.Errorf("%w: no %X", errTLV, want)
	}
	return value, nil
}

// SetManagementKey replaces the management key, which must have been shown. The
// standard has no command for it; cards without the common one say ErrUnsupported.
func (c *Card) SetManagementKey(k ManagementKey) error {
	if _, err := k.Type.block(k.Key); err != nil {
		return err
	}
	data := append([]byte{byte(k.Type), slotManagement, byte(len(k.Key))}, k.Key...)
	_, err := c.send(command{"SET MANAGEMENT KEY", insSetKey, 0xff, 0xff, data, false})
	return err
}
