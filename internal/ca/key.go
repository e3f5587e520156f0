package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"math/big"
	"slices"

	"seimon/internal/authn"
)

// keyKinds lists the kinds of key that a profile can accept.
func keyKinds() []string { return []string{P256, P384, RSA2048, RSA3072, "RSA-4096"} }

// KeyKind names the kind of a public key, for example "P-256" or "RSA-2048"; other
// keys get a name that no profile accepts.
func KeyKind(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return P256
		case elliptic.P384():
			return P384
		}
		return "EC " + k.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", k.N.BitLen())
	}
	return fmt.Sprintf("%T", key)
}

// checkKey refuses keys of other kinds than the profile's and keys that are weak. The
// fault is C9.key with the kind and the reason.
func checkKey(key crypto.PublicKey, kinds []string) error {
	kind := KeyKind(key)
	if !slices.Contains(kinds, kind) {
		return authn.NewFault("C9.key", "kind", kind, "reason", "kind")
	}
	if k, ok := key.(*rsa.PublicKey); ok {
		if why := weakRSA(k); why != "" {
			return authn.NewFault("C9.key", "kind", kind, "reason", "weak").Because(fmt.Errorf("ca: %s", why))
		}
	}
	return nil
}

// weakRSA tells why a key must not be used, or gives nothing.
func weakRSA(k *rsa.PublicKey) string {
	switch {
	case k.E < 65537 || k.E%2 == 0: // FIPS 186-5 5.1
		return "the exponent is even or smaller than 65537"
	case k.N.Bit(0) == 0:
		return "the modulus is even"
	}
	small := smallPrimes()
	r := new(big.Int)
	for _, p := range small {
		if r.Mod(k.N, big.NewInt(p)).Sign() == 0 {
			return fmt.Sprintf("the modulus is divisible by %d", p)
		}
	}
	if predictable(k.N, small) {
		return "the modulus has the form of CVE-2017-15361"
	}
	if close(k.N) {
		return "the primes of the modulus are close to each other"
	}
	return ""
}

// smallPrimes are the odd primes below 752.
func smallPrimes() []int64 {
	var out []int64
next:
	for n := int64(3); n < 752; n += 2 {
		for _, p := range out {
			if n%p == 0 {
				continue next
			}
		}
		out = append(out, n)
	}
	return out
}

// predictable recognises moduli made by the faulty generator of some chips
// (CVE-2017-15361): modulo each of many small primes they are powers of 65537. A
// sound modulus has that form modulo all of them about once in 10^40.
func predictable(n *big.Int, primes []int64) bool {
	r := new(big.Int)
	for _, p := range primes {
		if p > 167 {
			break
		}
		want, x := r.Mod(n, big.NewInt(p)).Int64(), int64(1)
		found := false
		for range p {
			if x == want {
				found = true
				break
			}
			x = x * 65537 % p
		}
		if !found {
			return false
		}
	}
	return true
}

// close finds moduli whose primes are close to each other by some steps of Fermat's method.
func close(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	if new(big.Int).Mul(a, a).Cmp(n) == 0 {
		return true
	}
	for range 100 {
		a.Add(a, big.NewInt(1))
		b2 := new(big.Int).Sub(new(big.Int).Mul(a, a), n)
		b := new(big.Int).Sqrt(b2)
		if new(big.Int).Mul(b, b).Cmp(b2) == 0 {
			return true
		}
	}
	return false
}
