package card

import (
	"crypto/rand"
	"crypto/subtle"
	"math/big"
	"slices"

	"seimon/internal/authn"
	"seimon/internal/card/piv"
)

// newPIN chooses a PIN of six digits that nobody guesses first.
func newPIN() authn.Secret {
	for {
		if pin := digits(6); !weak(pin) {
			return authn.Secret(pin)
		}
	}
}

// newPUK chooses a PUK of eight digits.
func newPUK() authn.Secret { return authn.Secret(digits(8)) }

func digits(n int) string {
	out := make([]byte, n)
	for i := range out {
		d, err := rand.Int(rand.Reader, big.NewInt(10))
		if err != nil {
			panic(err) // crypto/rand does not fail
		}
		out[i] = '0' + byte(d.Int64())
	}
	return string(out)
}

// weak tells whether a PIN is among those that are tried first: the factory's, few
// different digits, steps up or down.
func weak(pin string) bool {
	up, down := true, true
	for i := 1; i < len(pin); i++ {
		up = up && pin[i] == pin[i-1]+1
		down = down && pin[i] == pin[i-1]-1
	}
	different := []byte(pin)
	slices.Sort(different)
	return pin == piv.FactoryPIN || up || down || len(slices.Compact(different)) < 3
}

func newGUID() (out [16]byte) {
	rand.Read(out[:])
	return out
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
