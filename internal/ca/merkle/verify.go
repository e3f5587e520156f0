package merkle

import "errors"

// ErrProof says that a proof does not prove what it should.
var ErrProof = errors.New("merkle: the proof is wrong")

// VerifyInclusion checks that leaf is entry index of the tree over size entries with
// this root (RFC 9162 2.1.3.2).
func VerifyInclusion(leaf Hash, index, size uint64, proof []Hash, root Hash) error {
	if index >= size {
		return ErrRange
	}
	fn, sn, r := index, size-1, leaf
	for _, p := range proof {
		if sn == 0 {
			return ErrProof
		}
		if fn&1 == 1 || fn == sn {
			r = Node(p, r)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = Node(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 || r != root {
		return ErrProof
	}
	return nil
}

// VerifyConsistency checks that the tree over newer entries with root next begins
// with the tree over older entries with root before (RFC 9162 2.1.4.2).
func VerifyConsistency(older, newer uint64, proof []Hash, before, next Hash) error {
	switch {
	case older > newer:
		return ErrRange
	case older == newer:
		if len(proof) > 0 || before != next {
			return ErrProof
		}
		return nil
	case older == 0:
		if len(proof) > 0 || before != Empty() {
			return ErrProof
		}
		return nil
	}
	if older&(older-1) == 0 {
		proof = append([]Hash{before}, proof...)
	}
	if len(proof) == 0 {
		return ErrProof
	}
	fn, sn := older-1, newer-1
	for fn&1 == 1 {
		fn, sn = fn>>1, sn>>1
	}
	fr, sr := proof[0], proof[0]
	for _, c := range proof[1:] {
		if sn == 0 {
			return ErrProof
		}
		if fn&1 == 1 || fn == sn {
			fr, sr = Node(c, fr), Node(c, sr)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			sr = Node(sr, c)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 || fr != before || sr != next {
		return ErrProof
	}
	return nil
}
