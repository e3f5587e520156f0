package vcard

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Algorithm identifiers (SP 800-78-4 6.2, table 6-2, and the maker's own).
const (
	alg3DES    = 0x03
	algRSA3072 = 0x05
	algRSA1024 = 0x06
	algRSA2048 = 0x07
	algAES128  = 0x08
	algAES192  = 0x0a
	algAES256  = 0x0c
	algP256    = 0x11
	algP384    = 0x14
	algRSA4096 = 0x16
)

// The secrets of a card as it leaves the factory.
const (
	FactoryPIN = "123456"
	FactoryPUK = "12345678"
)

// Key is a private key in a slot.
type Key struct {
	PKCS8     []byte
	Alg       byte
	PINPolicy byte // 1 never, 2 once, 3 always
	Touch     byte
	Imported  bool
	private   crypto.PrivateKey
}

// State is what survives removal of the card. The counters of tries are in it, as on
// a real card.
type State struct {
	PIN, PUK           string
	PINTries, PUKTries int // left
	PINMax, PUKMax     int
	MgmtKey            []byte
	MgmtAlg            byte
	Serial             uint32
	Version            [3]byte
	Objects            map[string][]byte // hex tag -> contents of 53
	Keys               map[string]*Key   // hex slot
}

// NewState is a card from the factory: known PIN, PUK and management key, CHUID and
// CCC present, no keys.
func NewState(pinTries, pukTries int) *State {
	guid := make([]byte, 16)
	rand.Read(guid)
	s := &State{
		PIN: FactoryPIN, PUK: FactoryPUK, PINMax: pinTries, PUKMax: pukTries, PINTries: pinTries, PUKTries: pukTries,
		MgmtAlg: alg3DES, MgmtKey: bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 3), Version: [3]byte{5, 2, 7},
		Serial: binary.BigEndian.Uint32(guid) & 0x7fffff, Objects: map[string][]byte{}, Keys: map[string]*Key{},
	}
	fascn, _ := hex.DecodeString("d4e739da739ced39ce739da1685a1082108ce73984108257fc")
	s.Objects["5fc102"] = bytes.Join([][]byte{enc(0x30, fascn), enc(0x34, guid), enc(0x35, []byte("20401231")), enc(0x3e), enc(0xfe)}, nil)
	id := append([]byte{0xa0, 0x00, 0x00, 0x01, 0x16, 0xff, 0x02}, guid[:14]...)
	s.Objects["5fc107"] = bytes.Join([][]byte{
		enc(0xf0, id), enc(0xf1, []byte{0x21}), enc(0xf2, []byte{0x21}), enc(0xf3), enc(0xf4, []byte{0}), enc(0xf5, []byte{0x10}),
		enc(0xf6), enc(0xf7), enc(0xfa), enc(0xfb), enc(0xfc), enc(0xfd), enc(0xfe),
	}, nil)
	return s
}

// New makes a card from the factory that is kept in a file; without a file it lives in memory.
func New(file string, pinTries, pukTries int) (*Card, error) {
	c := &Card{file: file, s: NewState(pinTries, pukTries), Vendor: true}
	return c, c.Save()
}

// Load reads a card from its file.
func Load(file string) (*Card, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := &Card{file: file, s: &State{}, Vendor: true}
	if err := json.Unmarshal(text, c.s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if c.s.Objects == nil || c.s.Keys == nil {
		return nil, fmt.Errorf("%s: not a card", file)
	}
	for _, k := range c.s.Keys {
		if k.private, err = x509.ParsePKCS8PrivateKey(k.PKCS8); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return c, nil
}

// Save writes the card to its file, replacing it whole.
func (c *Card) Save() error {
	if c.file == "" {
		return nil
	}
	text, err := json.MarshalIndent(c.s, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(c.file+".new", c.file)
}

// PutKey puts a private key into a slot (0x9a ...) from outside. The PIN policy is 1
// never, 2 once, 3 always; 0 is the slot's own.
func (c *Card) PutKey(slot byte, private crypto.PrivateKey, pinPolicy byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setKey(slot, private, [2]byte{pinPolicy, 1}, true)
}

// PutCertificate stores a certificate for a slot.
func (c *Card) PutCertificate(slot byte, der []byte) error {
	tag, ok := certificates[slot]
	if !ok {
		return errors.New("no such slot")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Objects[tag] = bytes.Join([][]byte{enc(0x70, der), enc(0x71, []byte{0}), enc(0xfe)}, nil)
	return c.Save()
}

// certificates are the objects of the slots (SP 800-73-4 part 1, table 3).
var certificates = map[byte]string{0x9a: "5fc105", 0x9c: "5fc10a", 0x9d: "5fc10b", 0x9e: "5fc101", 0xf9: "5fff01"}

// setKey keeps a key with its policies for PIN and touch; 0 is the slot's own.
func (c *Card) setKey(slot byte, private crypto.PrivateKey, policy [2]byte, imported bool) error {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	var alg byte
	switch p := private.(type) {
	case *rsa.PrivateKey:
		alg = map[int]byte{1024: algRSA1024, 2048: algRSA2048, 3072: algRSA3072, 4096: algRSA4096}[p.N.BitLen()]
	case *ecdsa.PrivateKey:
		alg = map[int]byte{256: algP256, 384: algP384}[p.Params().BitSize]
	}
	if alg == 0 {
		return errors.New("unsupported key")
	}
	pin := policy[0]
	if pin == 0 {
		pin = max(map[byte]byte{0x9c: 3, 0x9e: 1, 0xf9: 1}[slot], 1)
		if slot != 0x9e && slot != 0xf9 && slot != 0x9c {
			pin = 2
		}
	}
	c.s.Keys[fmt.Sprintf("%02x", slot)] = &Key{PKCS8: der, Alg: alg, PINPolicy: pin, Touch: max(policy[1], 1), Imported: imported, private: private}
	return c.Save()
}

// PIN is the card's PIN now: a virtual card keeps no secrets from its owner.
func (c *Card) PIN() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s.PIN
}

// ManagementKey is the key that lets its holder write on the card.
func (c *Card) ManagementKey() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.s.MgmtKey)
}
