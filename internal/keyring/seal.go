package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
)

// Why a sealed text cannot be opened.
var (
	// ErrMaster says that the text was sealed under a master key that is not configured here.
	ErrMaster = errors.New("keyring: sealed under a master key that is not configured")
	// ErrSeal says that the text was damaged, or belongs to another place.
	ErrSeal = errors.New("keyring: the seal is broken or belongs elsewhere")
)

// A sealed text: format (1 byte), key id (8), nonce (24), ciphertext and tag.
const (
	sealFormat = 1
	idSize     = 8
	nonceSize  = 24
	sealHead   = 1 + idSize + nonceSize
	tagSize    = 16
)

// masterMin is the least length of a master key in bytes.
const masterMin = 32

type keyID [idSize]byte

// sealer seals under the first master key and opens under all of them.
type sealer struct {
	current keyID
	keys    map[keyID]*sealKey
}

func newSealer(master []byte, old [][]byte) (*sealer, error) {
	s := &sealer{keys: map[keyID]*sealKey{}}
	for i, m := range append([][]byte{master}, old...) {
		if len(m) < masterMin {
			return nil, fmt.Errorf("keyring: master key %d is shorter than %d bytes", i+1, masterMin)
		}
		id, err := hkdf.Key(sha256.New, m, nil, "seimon seal id", idSize)
		if err != nil {
			return nil, err
		}
		raw, err := hkdf.Key(sha256.New, m, nil, "seimon seal", 32)
		if err != nil {
			return nil, err
		}
		key, err := newSealKey(raw)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			s.current = keyID(id)
		}
		s.keys[keyID(id)] = key
	}
	return s, nil
}

func (s *sealer) seal(context string, plain []byte) []byte {
	out := make([]byte, sealHead, sealHead+len(plain)+tagSize)
	out[0] = sealFormat
	copy(out[1:], s.current[:])
	nonce := out[1+idSize : sealHead]
	rand.Read(nonce) //nolint:errcheck // never fails (crypto/rand.Read)
	aead := s.keys[s.current].derive(nonce[:12])
	return aead.Seal(out, nonce[12:], plain, associated(out[:1+idSize], context))
}

func (s *sealer) unseal(context string, sealed []byte) ([]byte, error) {
	if len(sealed) < sealHead+tagSize || sealed[0] != sealFormat {
		return nil, ErrSeal
	}
	key, ok := s.keys[keyID(sealed[1:1+idSize])]
	if !ok {
		return nil, ErrMaster
	}
	nonce := sealed[1+idSize : sealHead]
	plain, err := key.derive(nonce[:12]).Open(nil, nonce[12:], sealed[sealHead:], associated(sealed[:1+idSize], context))
	if err != nil {
		return nil, ErrSeal
	}
	return plain, nil
}

// stale tells whether a text is sealed under another master key than the current one.
func (s *sealer) stale(sealed []byte) bool {
	return len(sealed) < 1+idSize || subtle.ConstantTimeCompare(sealed[1:1+idSize], s.current[:]) == 0
}

func associated(head []byte, context string) []byte {
	out := make([]byte, 0, len(head)+len(context))
	return append(append(out, head...), context...)
}

// sealKey is the key of XAES-256-GCM (C2SP): AES-256-GCM under a key derived for
// each text from half of a 192-bit nonce, so that random nonces never run out.
type sealKey struct {
	block cipher.Block
	k1    [aes.BlockSize]byte
}

func newSealKey(key []byte) (*sealKey, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	k := &sealKey{block: block}
	block.Encrypt(k.k1[:], k.k1[:])
	var carry byte
	for i := len(k.k1) - 1; i >= 0; i-- {
		k.k1[i], carry = k.k1[i]<<1|carry, k.k1[i]>>7
	}
	k.k1[len(k.k1)-1] ^= carry * 0x87
	return k, nil
}

// derive gives the cipher for texts whose nonce begins with the given 12 bytes.
func (k *sealKey) derive(nonce []byte) cipher.AEAD {
	key := make([]byte, 2*aes.BlockSize)
	for i := range 2 {
		half := key[i*aes.BlockSize : (i+1)*aes.BlockSize]
		copy(half, []byte{0, byte(i + 1), 'X', 0})
		copy(half[4:], nonce)
		subtle.XORBytes(half, half, k.k1[:])
		k.block.Encrypt(half, half)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length is fixed above
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the block size that GCM needs
	}
	return aead
}
