package ca

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

	"seimon/internal/ca/merkle"
	"seimon/internal/store"
)

// The issuance log: every certificate of a person is an entry of a hash tree whose
// roots are signed. A certificate enters it within seconds of its issue, and every
// later root contains it. Entries and signed roots have the form of RFC 6962.

// logBatch bounds the entries that one transaction adds.
const logBatch = 500

// logEntry is the entry of a certificate (RFC 6962 3.4, MerkleTreeLeaf): version 1,
// timestamped entry, the time in milliseconds, x509_entry, the certificate, no extensions.
func logEntry(millis int64, der []byte) []byte {
	b := make([]byte, 0, len(der)+17)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(millis))
	b = append(b, 0, 0, byte(len(der)>>16), byte(len(der)>>8), byte(len(der)))
	b = append(b, der...)
	return append(b, 0, 0)
}

// LogHead is a signed root of the log.
type LogHead struct {
	Size      uint64 `json:"tree_size"`
	Millis    int64  `json:"timestamp"`
	Root      []byte `json:"sha256_root_hash"`
	Signature []byte `json:"tree_head_signature"`
}

// signed is what the signature of a head covers (RFC 6962 3.5, TreeHeadSignature).
func (h LogHead) signed() []byte {
	b := make([]byte, 0, 18+sha256.Size)
	b = append(b, 0, 1) // version 1, tree_hash
	b = binary.BigEndian.AppendUint64(b, uint64(h.Millis))
	b = binary.BigEndian.AppendUint64(b, h.Size)
	return append(b, h.Root...)
}

// errOvertaken says that another node extended the log first.
var errOvertaken = errors.New("ca: another node extended the log first")

// Sequence puts what was issued since into the log and signs a new head. Any number
// of nodes may call it at once; a job does so every second.
func (a *Authority) Sequence(ctx context.Context) error {
	for {
		n, err := a.sequence(ctx)
		switch {
		case errors.Is(err, errOvertaken):
			continue // each time another node has taken entries, so the work shrinks
		case err != nil:
			return fmt.Errorf("ca: the issuance log: %w", err)
		case n < logBatch:
			return nil
		}
	}
}

// freshEntry is a certificate that is not in the log yet.
type freshEntry struct {
	id     string
	issued int64
	der    []byte
}

func (a *Authority) sequence(ctx context.Context) (int, error) {
	var last LogHead
	var fresh []freshEntry
	var tiles map[merkle.Tile][]byte
	err := a.db.Read(ctx, func(tx *store.Tx) (err error) {
		if fresh, err = freshEntries(tx); err != nil || len(fresh) == 0 {
			return err
		}
		if last, err = newestHead(tx); err != nil {
			return err
		}
		leaves := make([]merkle.Hash, len(fresh))
		for i, e := range fresh {
			leaves[i] = merkle.Leaf(logEntry(e.issued, e.der))
		}
		tiles, err = merkle.Grow(last.Size, leaves, func(t merkle.Tile) ([]byte, error) { return readTile(tx, t) })
		if err != nil {
			return err
		}
		next := LogHead{Size: last.Size + uint64(len(fresh)), Millis: max(store.Millis(tx.Now), last.Millis+1)}
		root, err := merkle.Root(next.Size, merkle.TileReader(func(t merkle.Tile) ([]byte, error) {
			if raw, ok := tiles[t]; ok {
				return raw, nil
			}
			return readTile(tx, t)
		}))
		next.Root = root[:]
		last = next
		return err
	})
	if err != nil || len(fresh) == 0 {
		return 0, err
	}
	if last.Signature, err = a.signHead(ctx, last); err != nil {
		return 0, err
	}
	err = a.db.Background(ctx, func(tx *store.Tx) error { return writeEntries(tx, last, fresh, tiles) })
	if store.IsUnique(err) {
		err = errOvertaken
	}
	return len(fresh), err
}

func freshEntries(tx *store.Tx) ([]freshEntry, error) {
	var out []freshEntry
	rows, err := tx.Query("SELECT id, issued_at, der FROM ca_certificate WHERE leaf < 0 AND issued_at > 0 ORDER BY issued_at LIMIT $1", logBatch)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var e freshEntry
		err := rows.Scan(&e.id, &e.issued, &e.der)
		out = append(out, e)
		return err
	})
	return out, err
}

const headColumns = "size, at, root, signature"

// newestHead gives the head of the log; that of size 0 has no signature.
func newestHead(tx *store.Tx) (LogHead, error) {
	var h LogHead
	err := tx.QueryRow("SELECT "+headColumns+" FROM ca_log_head ORDER BY size DESC LIMIT 1").Scan(&h.Size, &h.Millis, &h.Root, &h.Signature)
	if errors.Is(err, store.ErrNoRows) {
		empty := merkle.Empty()
		return LogHead{Root: empty[:]}, nil
	}
	return h, err
}

func readTile(tx *store.Tx, t merkle.Tile) ([]byte, error) {
	var raw []byte
	err := tx.QueryRow("SELECT hashes FROM ca_log_tile WHERE level = $1 AND n = $2", t.Level, int64(t.N)).Scan(&raw)
	if errors.Is(err, store.ErrNoRows) {
		return nil, fmt.Errorf("tile %d/%d is missing", t.Level, t.N)
	}
	return raw, err
}

// writeEntries adds the entries. The size of the head is the lock: it holds only for
// the head before it, and of two nodes that write it, one fails here.
func writeEntries(tx *store.Tx, head LogHead, fresh []freshEntry, tiles map[merkle.Tile][]byte) error {
	before := head.Size - uint64(len(fresh))
	newest, err := newestHead(tx)
	if err != nil {
		return err
	}
	if newest.Size != before {
		return errOvertaken
	}
	for i, e := range fresh {
		n, err := tx.Exec("UPDATE ca_certificate SET leaf = $1 WHERE id = $2 AND leaf < 0", int64(before)+int64(i), e.id)
		if err != nil {
			return err
		}
		if n == 0 {
			return errOvertaken
		}
	}
	for t, raw := range tiles {
		_, err := tx.Exec("INSERT INTO ca_log_tile (level, n, hashes) VALUES ($1, $2, $3) ON CONFLICT (level, n) DO UPDATE SET hashes = $3",
			t.Level, int64(t.N), raw)
		if err != nil {
			return err
		}
	}
	_, err = tx.Exec("INSERT INTO ca_log_head ("+headColumns+") VALUES ($1, $2, $3, $4)", int64(head.Size), head.Millis, head.Root, head.Signature)
	return err
}
