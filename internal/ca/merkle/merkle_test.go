package merkle_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"seimon/internal/ca/merkle"
)

// tree is a tree in memory, kept as tiles.
type tree struct {
	size  uint64
	tiles map[merkle.Tile][]byte
}

func (t *tree) tile(n merkle.Tile) ([]byte, error) {
	raw, ok := t.tiles[n]
	if !ok {
		return nil, fmt.Errorf("no tile %v", n)
	}
	return raw, nil
}

func (t *tree) add(tb testing.TB, leaves ...merkle.Hash) {
	tb.Helper()
	changed, err := merkle.Grow(t.size, leaves, t.tile)
	if err != nil {
		tb.Fatal(err)
	}
	for n, raw := range changed {
		t.tiles[n] = raw
	}
	t.size += uint64(len(leaves))
}

func (t *tree) root(tb testing.TB, size uint64) merkle.Hash {
	tb.Helper()
	r, err := merkle.Root(size, merkle.TileReader(t.tile))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// plain is the definition of RFC 6962 2.1, word by word.
func plain(leaves []merkle.Hash) merkle.Hash {
	switch n := len(leaves); n {
	case 0:
		return merkle.Empty()
	case 1:
		return leaves[0]
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		return merkle.Node(plain(leaves[:k]), plain(leaves[k:]))
	}
}

// TestVectors holds the tree against the values that implementations of RFC 6962 share.
func TestVectors(t *testing.T) {
	inputs := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	roots := []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	tr := &tree{tiles: map[merkle.Tile][]byte{}}
	for n, want := range roots {
		if got := tr.root(t, uint64(n)); hex.EncodeToString(got[:]) != want {
			t.Errorf("root of %d entries is %x", n, got)
		}
		if n < len(inputs) {
			raw, err := hex.DecodeString(inputs[n])
			if err != nil {
				t.Fatal(err)
			}
			tr.add(t, merkle.Leaf(raw))
		}
	}
}

func TestProofsHoldForEverySizeAndNothingElse(t *testing.T) {
	const most = 70
	leaves := make([]merkle.Hash, most)
	tr := &tree{tiles: map[merkle.Tile][]byte{}}
	for i := range leaves {
		leaves[i] = merkle.Leaf(fmt.Append(nil, i))
		tr.add(t, leaves[i])
	}
	read := merkle.TileReader(tr.tile)
	for size := uint64(1); size <= most; size++ {
		root := tr.root(t, size)
		if root != plain(leaves[:size]) {
			t.Fatalf("root of %d", size)
		}
		for i := range size {
			proof, err := merkle.Inclusion(i, size, read)
			if err != nil {
				t.Fatal(err)
			}
			if err := merkle.VerifyInclusion(leaves[i], i, size, proof, root); err != nil {
				t.Errorf("entry %d of %d: %v", i, size, err)
			}
			if merkle.VerifyInclusion(leaves[(i+1)%most], i, size, proof, root) == nil {
				t.Errorf("another entry passes as %d of %d", i, size)
			}
			if len(proof) > 0 && merkle.VerifyInclusion(leaves[i], i, size, proof[1:], root) == nil {
				t.Errorf("a shortened proof passes for %d of %d", i, size)
			}
		}
		for older := range size + 1 {
			proof, err := merkle.Consistency(older, size, read)
			if err != nil {
				t.Fatal(err)
			}
			if err := merkle.VerifyConsistency(older, size, proof, tr.root(t, older), root); err != nil {
				t.Errorf("%d to %d: %v", older, size, err)
			}
			wrong := tr.root(t, older)
			wrong[3] ^= 1
			if merkle.VerifyConsistency(older, size, proof, wrong, root) == nil {
				t.Errorf("a changed past passes from %d to %d", older, size)
			}
		}
	}
	if _, err := merkle.Inclusion(3, 3, read); !errors.Is(err, merkle.ErrRange) {
		t.Error(err)
	}
	if _, err := merkle.Consistency(4, 3, read); !errors.Is(err, merkle.ErrRange) {
		t.Error(err)
	}
}

func TestTilesGrowInAnySteps(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tr := &tree{tiles: map[merkle.Tile][]byte{}}
	var leaves []merkle.Hash
	for len(leaves) < 3000 {
		var some []merkle.Hash
		for range 1 + rng.IntN(600) {
			some = append(some, merkle.Leaf(fmt.Append(nil, len(leaves)+len(some))))
		}
		tr.add(t, some...)
		leaves = append(leaves, some...)
		if tr.root(t, tr.size) != plain(leaves) {
			t.Fatalf("root of %d", tr.size)
		}
	}
	older := uint64(257)
	proof, err := merkle.Consistency(older, tr.size, merkle.TileReader(tr.tile))
	if err != nil {
		t.Fatal(err)
	}
	if err := merkle.VerifyConsistency(older, tr.size, proof, plain(leaves[:older]), plain(leaves)); err != nil {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(uint64(3), uint64(7), make([]byte, 96))
	f.Fuzz(func(t *testing.T, a, b uint64, raw []byte) {
		var proof []merkle.Hash
		for len(raw) >= 32 && len(proof) < 200 {
			proof = append(proof, merkle.Hash(raw[:32]))
			raw = raw[32:]
		}
		leaf, root := merkle.Leaf([]byte("a")), merkle.Leaf([]byte("b"))
		if merkle.VerifyInclusion(leaf, a, b, proof, root) == nil {
			t.Error("a made-up inclusion passes")
		}
		if a != 0 && merkle.VerifyConsistency(a, b, proof, leaf, root) == nil {
			t.Error("a made-up consistency passes")
		}
	})
}
