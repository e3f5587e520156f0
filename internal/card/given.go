package card

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/card/piv"
	"seimon/internal/store"
)

// Given is what a maker tells of one card that does not come as most do: its own
// management key, and the PIN and PUK that it was delivered with.
type Given struct {
	Management []byte       `json:"management,omitempty"`
	PIN        authn.Secret `json:"-"`
	PUK        authn.Secret `json:"-"`
}

// kept is Given as it is sealed.
type kept struct {
	Management []byte `json:"management,omitempty"`
	PIN        string `json:"pin,omitempty"`
	PUK        string `json:"puk,omitempty"`
}

// givenMax bounds the file.
const givenMax = 4 << 10

// ReadGiven reads lines such as "management 0102…", "pin 123456" and "puk 12345678".
func ReadGiven(r io.Reader) (g Given, err error) {
	lines := bufio.NewScanner(io.LimitReader(r, givenMax))
	for n := 1; lines.Scan(); n++ {
		name, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "":
		case "management":
			if g.Management, err = hex.DecodeString(strings.NewReplacer(" ", "", ":", "").Replace(value)); err != nil || len(managementKeys(g.Management)) == 0 {
				return g, fmt.Errorf("line %d: a management key has 16, 24 or 32 bytes in hexadecimal digits", n)
			}
		case "pin":
			if g.PIN = authn.Secret(value); piv.CheckPIN(g.PIN) != nil {
				return g, fmt.Errorf("line %d: a PIN has six to eight digits", n)
			}
		case "puk":
			if g.PUK = authn.Secret(value); len(value) != 8 {
				return g, fmt.Errorf("line %d: a PUK has eight characters", n)
			}
		default:
			return g, fmt.Errorf("line %d must begin with management, pin or puk", n)
		}
	}
	if g.empty() {
		err = errors.New("the file says nothing: lines begin with management, pin or puk")
	}
	if bytes.Equal(g.Management, piv.FactoryKey().Key) {
		err = errors.New("this is the management key that every card leaves the factory with; it protects nothing")
	}
	return g, errors.Join(err, lines.Err())
}

func (g Given) empty() bool { return len(g.Management) == 0 && g.PIN == "" && g.PUK == "" }

// delivered are the PIN and PUK that the card came with.
func (g Given) delivered() (pin, puk authn.Secret) {
	pin, puk = piv.FactoryPIN, piv.FactoryPUK
	if g.PIN != "" {
		pin = g.PIN
	}
	if g.PUK != "" {
		puk = g.PUK
	}
	return pin, puk
}

// managementKeys are the ciphers that a key of this length may be for.
func managementKeys(key []byte) (out []piv.ManagementKey) {
	for _, t := range []piv.KeyType{piv.AES192, piv.TripleDES, piv.AES128, piv.AES256} {
		if t.Size() == len(key) {
			out = append(out, piv.ManagementKey{Type: t, Key: key})
		}
	}
	return out
}

// keep seals what the maker told into the row.
func (o Office) keep(c *Card, g Given) error {
	c.given, c.givenMAC = nil, nil
	if g.empty() {
		return nil
	}
	text, err := json.Marshal(kept{g.Management, g.PIN.Reveal(), g.PUK.Reveal()})
	if err != nil {
		return err
	}
	c.given = o.close(*c, "given", authn.Secret(text))
	if len(g.Management) > 0 {
		c.givenMAC = o.Seal.MAC("card.given", g.Management)
	}
	return nil
}

// told opens what the maker told.
func (o Office) told(c Card) (g Given, err error) {
	if len(c.given) == 0 {
		return g, nil
	}
	text, err := o.open(c, "given", c.given)
	if err != nil {
		return g, err
	}
	var k kept
	err = json.Unmarshal([]byte(text.Reveal()), &k)
	return Given{k.Management, authn.Secret(k.PIN), authn.Secret(k.PUK)}, err
}

// alone refuses a management key that another card has.
func (o Office) alone(tx *store.Tx, c Card) error {
	if len(c.givenMAC) == 0 {
		return nil
	}
	same, err := o.Book.list(tx, "WHERE given_mac = $1 AND serial <> $2", c.givenMAC, c.Serial)
	if err == nil && len(same) > 0 {
		err = fmt.Errorf("card %s has the same management key, and cards must not share one: ask the maker for a key of its own", same[0].Called())
	}
	return err
}
