// Package merkle is the hash tree of RFC 6962 over a growing list of entries: roots,
// proofs that an entry is in the list (inclusion) and that a longer list begins with
// a shorter one (consistency), and their verification.
//
// It owns the arithmetic alone. What an entry is, where the hashes are kept and who
// signs a root belongs to ca.
package merkle

import (
	"crypto/sha256"
	"errors"
	"math/bits"
)

// Hash is the hash of a node.
type Hash = [sha256.Size]byte

// Leaf is the hash of an entry (RFC 6962 2.1).
func Leaf(entry []byte) Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(entry)
	return Hash(h.Sum(nil))
}

// Node is the hash over two nodes (RFC 6962 2.1).
func Node(left, right Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// Empty is the root of the tree without entries.
func Empty() Hash { return sha256.Sum256(nil) }

// Reader gives the hash over the whole subtree of 1<<level entries that begins with
// entry index<<level. It is asked only for subtrees that are complete.
type Reader func(level int, index uint64) (Hash, error)

// Root is the root of the tree over the first size entries.
func Root(size uint64, read Reader) (Hash, error) {
	if size == 0 {
		return Empty(), nil
	}
	return span(0, size, read)
}

// span is the hash over the entries from lo up to hi. lo is a multiple of the
// smallest power of two that is not less than hi-lo, as it is in every tree.
func span(lo, hi uint64, read Reader) (Hash, error) {
	n := hi - lo
	if n&(n-1) == 0 {
		level := bits.TrailingZeros64(n)
		return read(level, lo>>level)
	}
	k := split(n)
	left, err := span(lo, lo+k, read)
	if err != nil {
		return Hash{}, err
	}
	right, err := span(lo+k, hi, read)
	if err != nil {
		return Hash{}, err
	}
	return Node(left, right), nil
}

// split is the largest power of two smaller than n (RFC 6962 2.1).
func split(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }

// ErrRange says that an entry or size lies outside the tree.
var ErrRange = errors.New("merkle: outside the tree")

// Inclusion is the proof that entry index is in the tree over size entries: the
// hashes from the leaf's sibling up (RFC 6962 2.1.1).
func Inclusion(index, size uint64, read Reader) ([]Hash, error) {
	if index >= size {
		return nil, ErrRange
	}
	return path(index, 0, size, read)
}

func path(index, lo, hi uint64, read Reader) ([]Hash, error) {
	if hi-lo == 1 {
		return nil, nil
	}
	k := split(hi - lo)
	near, far := [2]uint64{lo, lo + k}, [2]uint64{lo + k, hi}
	if index >= lo+k {
		near, far = far, near
	}
	below, err := path(index, near[0], near[1], read)
	if err != nil {
		return nil, err
	}
	beside, err := span(far[0], far[1], read)
	return append(below, beside), err
}

// Consistency is the proof that the tree over newer entries begins with the tree
// over older ones (RFC 6962 2.1.2).
func Consistency(older, newer uint64, read Reader) ([]Hash, error) {
	if older > newer {
		return nil, ErrRange
	}
	if older == 0 || older == newer {
		return nil, nil
	}
	return subproof(older, 0, newer, true, read)
}

// subproof is SUBPROOF of RFC 6962 2.1.2 for the entries from lo to hi; whole says
// that the tree over the older entries below lo..hi is one that the asker knows.
func subproof(older, lo, hi uint64, whole bool, read Reader) ([]Hash, error) {
	if older == hi-lo {
		if whole {
			return nil, nil
		}
		h, err := span(lo, hi, read)
		return []Hash{h}, err
	}
	k := split(hi - lo)
	var below []Hash
	var beside Hash
	var err error
	if older <= k {
		if below, err = subproof(older, lo, lo+k, whole, read); err != nil {
			return nil, err
		}
		beside, err = span(lo+k, hi, read)
	} else {
		if below, err = subproof(older-k, lo+k, hi, false, read); err != nil {
			return nil, err
		}
		beside, err = span(lo, lo+k, read)
	}
	return append(below, beside), err
}
