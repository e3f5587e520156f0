package piv

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"
)

// Object names a data object (SP 800-73-4 part 1, table 3).
type Object uint32

// The objects that a campus card carries.
const (
	ObjectCHUID     Object = 0x5fc102 // card holder unique identifier
	ObjectCCC       Object = 0x5fc107 // card capability container
	ObjectDiscovery Object = 0x7e
	ObjectCertAuth  Object = 0x5fc105 // certificate of slot 9A
	certificateMax         = 8 << 10  // unpacked
	certificateTag         = 0x70
	certificateInfo        = 0x71
	certificatePack        = 0x01 // SP 800-73-4 part 1, appendix A: compressed
	errorDetection         = 0xfe
	chuidGUID              = 0x34
	chuidExpiry            = 0x35
	chuidSignature         = 0x3e
	chuidFASCN             = 0x30
	discoveryPolicy        = 0x5f2f
)

func (o Object) tag() []byte {
	if o <= 0xff {
		return []byte{byte(o)}
	}
	return []byte{byte(o >> 16), byte(o >> 8), byte(o)}
}

// Get reads a data object without its outer tag (SP 800-73-4 part 2, 3.1.2), or says
// ErrNotFound.
func (c *Card) Get(o Object) ([]byte, error) {
	out, err := c.send(command{"GET DATA", insGetData, 0x3f, 0xff, enc(0x5c, o.tag()), true})
	if err != nil {
		return nil, err
	}
	list, err := parseTLV(out)
	if err != nil {
		return nil, err
	}
	outer := uint32(0x53)
	if o == ObjectDiscovery {
		outer = uint32(o)
	}
	value, ok := find(list, outer)
	if !ok {
		return nil, fmt.Errorf("%w: no %X", errTLV, outer)
	}
	if len(value) == 0 { // how a card keeps an object that was emptied
		return nil, ErrNotFound
	}
	return value, nil
}

// Put writes a data object (SP 800-73-4 part 2, 3.3.1); the management key must have
// been shown. No value empties it.
func (c *Card) Put(o Object, value []byte) error {
	_, err := c.send(command{"PUT DATA", insPutData, 0x3f, 0xff, append(enc(0x5c, o.tag()), enc(0x53, value)...), false})
	return err
}

// Certificate reads the certificate of slot 9A, or says ErrNotFound.
func (c *Card) Certificate() (*x509.Certificate, error) {
	value, err := c.Get(ObjectCertAuth)
	if err != nil {
		return nil, err
	}
	return parseCertificate(value)
}

func parseCertificate(value []byte) (*x509.Certificate, error) {
	list, err := parseTLV(value)
	if err != nil {
		return nil, err
	}
	der, ok := find(list, certificateTag)
	if !ok {
		return nil, fmt.Errorf("%w: no certificate in it", errTLV)
	}
	if info, _ := find(list, certificateInfo); len(info) == 1 && info[0]&certificatePack != 0 {
		if der, err = unpack(der); err != nil {
			return nil, err
		}
	}
	return x509.ParseCertificate(der)
}

func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("piv: certificate: %w", err)
	}
	der, err := io.ReadAll(io.LimitReader(z, certificateMax+1))
	if err != nil {
		return nil, fmt.Errorf("piv: certificate: %w", err)
	}
	if len(der) > certificateMax {
		return nil, errors.New("piv: a certificate of more than 8 KiB")
	}
	return der, nil
}

// SetCertificate writes the certificate of slot 9A; nil takes it away.
func (c *Card) SetCertificate(cert *x509.Certificate) error {
	if cert == nil {
		return c.Put(ObjectCertAuth, nil)
	}
	return c.Put(ObjectCertAuth, bytes.Join([][]byte{enc(certificateTag, cert.Raw), enc(certificateInfo, []byte{0}), enc(errorDetection)}, nil))
}

// CHUID is what names a card (SP 800-73-4 part 1, 3.1.2).
type CHUID struct {
	GUID    [16]byte
	Expires time.Time // a day
}

// CHUID reads the card's name, or says ErrNotFound.
func (c *Card) CHUID() (CHUID, error) {
	value, err := c.Get(ObjectCHUID)
	if err != nil {
		return CHUID{}, err
	}
	return parseCHUID(value)
}

func parseCHUID(value []byte) (out CHUID, err error) {
	list, err := parseTLV(value)
	if err != nil {
		return out, err
	}
	guid, _ := find(list, chuidGUID)
	if len(guid) != len(out.GUID) {
		return out, fmt.Errorf("%w: a GUID of %d bytes", errTLV, len(guid))
	}
	copy(out.GUID[:], guid)
	if day, ok := find(list, chuidExpiry); ok {
		if out.Expires, err = time.Parse("20060102", string(day)); err != nil {
			return out, fmt.Errorf("%w: expiry: %w", errTLV, err)
		}
	}
	return out, nil
}

// unfederated is the FASC-N of an issuer that has no federal agency code: 9999
// (SP 800-73-4 part 1, 3.1.2).
var unfederated = []byte{
	0xd4, 0xe7, 0x39, 0xda, 0x73, 0x9c, 0xed, 0x39, 0xce, 0x73, 0x9d, 0xa1, 0x68,
	0x5a, 0x10, 0x82, 0x10, 0x8c, 0xe7, 0x39, 0x84, 0x10, 0x82, 0x57, 0xfc,
}

// SetCHUID names the card. The signature of the issuer stays empty, as on every card
// outside the federal government.
func (c *Card) SetCHUID(x CHUID) error {
	return c.Put(ObjectCHUID, bytes.Join([][]byte{
		enc(chuidFASCN, unfederated), enc(chuidGUID, x.GUID[:]), enc(chuidExpiry, []byte(x.Expires.Format("20060102"))),
		enc(chuidSignature), enc(errorDetection),
	}, nil))
}

// SetCCC writes the card capability container, which some middleware wants to see
// (SP 800-73-4 part 1, 3.1.1); the card id in it follows the GUID.
func (c *Card) SetCCC(guid [16]byte) error {
	id := append([]byte{0xa0, 0x00, 0x00, 0x01, 0x16, 0xff, 0x02}, guid[:14]...)
	return c.Put(ObjectCCC, bytes.Join([][]byte{
		enc(0xf0, id), enc(0xf1, []byte{0x21}), enc(0xf2, []byte{0x21}), enc(0xf3), enc(0xf4, []byte{0}), enc(0xf5, []byte{0x10}),
		enc(0xf6), enc(0xf7), enc(0xfa), enc(0xfb), enc(0xfc), enc(0xfd), enc(errorDetection),
	}, nil))
}

// Discovery tells which PINs the card knows (SP 800-73-4 part 1, 3.3.2): a global PIN
// of the card beside that of the application, and which of them comes first.
type Discovery struct{ Application, Global, GlobalFirst bool }

// Discovery reads the discovery object, or says ErrNotFound: then the PIN of the
// application is the only one.
func (c *Card) Discovery() (Discovery, error) {
	value, err := c.Get(ObjectDiscovery)
	if err != nil {
		return Discovery{}, err
	}
	return parseDiscovery(value)
}

func parseDiscovery(value []byte) (Discovery, error) {
	list, err := parseTLV(value)
	if err != nil {
		return Discovery{}, err
	}
	policy, _ := find(list, discoveryPolicy)
	if len(policy) != 2 {
		return Discovery{}, fmt.Errorf("%w: a PIN policy of %d bytes", errTLV, len(policy))
	}
	return Discovery{policy[0]&0x40 != 0, policy[0]&0x20 != 0, policy[1] == 0x20}, nil
}
