package ca

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"seimon/internal/ca/merkle"
	"seimon/internal/store"
)

// LogProof shows that a certificate is in the log: all that is needed to check it
// anywhere, without asking the house that made it.
type LogProof struct {
	Certificate []byte   `json:"certificate"` // DER
	Millis      int64    `json:"timestamp"`
	Leaf        uint64   `json:"leaf_index"`
	Path        [][]byte `json:"audit_path"`
	Head        LogHead  `json:"signed_tree_head"`
	Key         []byte   `json:"log_key"` // SubjectPublicKeyInfo
}

// ErrSoon says that a certificate is not in the log yet; it will be in seconds.
var ErrSoon = errors.New("ca: the certificate is not in the log yet")

// Proof gives the proof for a certificate against the newest head.
func (a *Authority) Proof(tx *store.Tx, id string) (LogProof, error) {
	var p LogProof
	var leaf int64
	err := tx.QueryRow("SELECT der, issued_at, leaf FROM ca_certificate WHERE id = $1 AND issued_at > 0", id).Scan(&p.Certificate, &p.Millis, &leaf)
	if errors.Is(err, store.ErrNoRows) {
		return p, ErrNone
	}
	if err != nil {
		return p, err
	}
	if leaf < 0 {
		return p, ErrSoon
	}
	p.Leaf = uint64(leaf)
	if p.Head, err = newestHead(tx); err != nil {
		return p, err
	}
	path, err := merkle.Inclusion(p.Leaf, p.Head.Size, tiled(tx))
	if err != nil {
		return p, err
	}
	p.Path = raw(path)
	k, err := readKey(tx, a.logKeyID())
	p.Key = k.public
	return p, err
}

func tiled(tx *store.Tx) merkle.Reader {
	return merkle.TileReader(func(t merkle.Tile) ([]byte, error) { return readTile(tx, t) })
}

func raw(hashes []merkle.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		out[i] = h[:]
	}
	return out
}

func hashes(raw [][]byte) ([]merkle.Hash, error) {
	out := make([]merkle.Hash, len(raw))
	for i, r := range raw {
		if len(r) != sha256.Size {
			return nil, errors.New("ca: a hash of the proof has another length")
		}
		out[i] = merkle.Hash(r)
	}
	return out, nil
}

// maxPath bounds a proof: the tree of 2^63 entries has that many levels.
const maxPath = 64

// Check checks the proof. key, unless empty, is the key of the log that the asker
// knows from elsewhere; the one in the proof must be the same.
func (p LogProof) Check(key []byte) error {
	if len(key) > 0 && !bytes.Equal(key, p.Key) {
		return errors.New("ca: the proof was made with another key than the one you know")
	}
	if err := p.Head.Verify(p.Key); err != nil {
		return err
	}
	if _, err := x509.ParseCertificate(p.Certificate); err != nil {
		return fmt.Errorf("ca: the certificate of the proof: %w", err)
	}
	if len(p.Path) > maxPath {
		return merkle.ErrProof
	}
	path, err := hashes(p.Path)
	if err != nil {
		return err
	}
	leaf := merkle.Leaf(logEntry(p.Millis, p.Certificate))
	return merkle.VerifyInclusion(leaf, p.Leaf, p.Head.Size, path, merkle.Hash(p.Head.Root))
}

// Head gives the newest signed head; ErrSoon while nothing is in the log.
func (a *Authority) Head(tx *store.Tx) (LogHead, error) {
	h, err := newestHead(tx)
	if err == nil && h.Size == 0 {
		err = ErrSoon
	}
	return h, err
}

// Consistency proves that the log over newer entries begins with the one over older.
func (a *Authority) Consistency(tx *store.Tx, older, newer uint64) ([][]byte, error) {
	path, err := merkle.Consistency(older, newer, tiled(tx))
	return raw(path), err
}

// CheckConsistency checks that the log of the newer head begins with the older one.
// The signatures are checked apart (LogHead.Verify).
func CheckConsistency(older, newer LogHead, path [][]byte) error {
	if len(older.Root) != sha256.Size || len(newer.Root) != sha256.Size || len(path) > 2*maxPath {
		return merkle.ErrProof
	}
	list, err := hashes(path)
	if err != nil {
		return err
	}
	return merkle.VerifyConsistency(older.Size, newer.Size, list, merkle.Hash(older.Root), merkle.Hash(newer.Root))
}
