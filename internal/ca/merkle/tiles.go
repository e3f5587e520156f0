package merkle

import (
	"crypto/sha256"
	"fmt"
)

// Hashes are kept in tiles: a tile of level L holds up to Width hashes over complete
// subtrees of Width^L entries each. A full tile never changes again.
const (
	Height = 8
	Width  = 1 << Height
)

// Tile names a tile.
type Tile struct {
	Level int
	N     uint64
}

// TileReader makes a Reader out of tiles.
func TileReader(tile func(Tile) ([]byte, error)) Reader {
	return func(level int, index uint64) (Hash, error) {
		within := level % Height
		first := index << within // index of the first hash of the tile's level
		t := Tile{Level: level / Height, N: first / Width}
		raw, err := tile(t)
		if err != nil {
			return Hash{}, err
		}
		begin := int(first % Width)
		end := begin + 1<<within
		if len(raw) < end*sha256.Size {
			return Hash{}, fmt.Errorf("merkle: tile %d/%d has %d hashes, %d are needed", t.Level, t.N, len(raw)/sha256.Size, end)
		}
		return fold(raw[begin*sha256.Size : end*sha256.Size]), nil
	}
}

// fold is the hash over a run of hashes whose number is a power of two.
func fold(raw []byte) Hash {
	if len(raw) == sha256.Size {
		return Hash(raw)
	}
	half := len(raw) / 2
	return Node(fold(raw[:half]), fold(raw[half:]))
}

// Grow adds leaves to a tree over size entries and gives the tiles that changed. tile
// reads a tile as it was; it is asked for unfinished ones only.
func Grow(size uint64, leaves []Hash, tile func(Tile) ([]byte, error)) (map[Tile][]byte, error) {
	out := map[Tile][]byte{}
	fresh := leaves
	for level := 0; len(fresh) > 0; level++ {
		var above []Hash
		at := size >> (Height * level) // hashes of this level so far
		for _, h := range fresh {
			t := Tile{Level: level, N: at / Width}
			raw, ok := out[t]
			if !ok && at%Width != 0 {
				old, err := tile(t)
				if err != nil {
					return nil, err
				}
				raw = append([]byte{}, old...)
			}
			if len(raw) != int(at%Width)*sha256.Size {
				return nil, fmt.Errorf("merkle: tile %d/%d has %d hashes where %d are expected", level, t.N, len(raw)/sha256.Size, at%Width)
			}
			raw = append(raw, h[:]...)
			out[t] = raw
			if at++; at%Width == 0 {
				above = append(above, fold(raw))
			}
		}
		fresh = above
	}
	return out, nil
}
