package audit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"seimon/internal/store"
)

// blockLimit bounds the events of one block, and so how long one sealing
// transaction keeps other writers waiting.
const blockLimit = 200

// block is one link of the chain.
type block struct {
	n      int64
	ids    string // the ids of its events as runs: "5-9,12"
	size   int64
	at     int64  // when it was sealed
	digest []byte // SHA-256 over the seals of its events in order of id
	prev   []byte // the hash of the block before; empty in the first
	hash   []byte // keyed, over all of the above
}

const blockColumns = "n, ids, size, at, digest, prev, hash"

func (b *block) fields() []any {
	return []any{&b.n, &b.ids, &b.size, &b.at, &b.digest, &b.prev, &b.hash}
}

// Seal chains all events that are not chained yet. Any number of nodes may call
// it at the same time.
func (l *Log) Seal(ctx context.Context) error {
	for {
		n, err := l.sealBlock(ctx)
		switch {
		case errors.Is(err, errOvertaken):
			continue // each time another node has sealed a block, so the work shrinks
		case err != nil:
			return fmt.Errorf("audit: seal: %w", err)
		case n < blockLimit:
			return nil
		}
	}
}

// errOvertaken says that another node sealed a block first.
var errOvertaken = errors.New("another node sealed first")

// sealBlock seals one block and returns how many events it took.
func (l *Log) sealBlock(ctx context.Context) (int, error) {
	var last block
	var rows []row
	err := l.db.Read(ctx, func(tx *store.Tx) error {
		rows = nil
		var err error
		if last, err = newestBlock(tx); err != nil {
			return err
		}
		found, err := tx.Query("SELECT "+rowColumns+" FROM audit_fresh ORDER BY id LIMIT $1", blockLimit)
		return store.Each(found, err, func(s *sql.Rows) error {
			var r row
			err := s.Scan(r.fields()...)
			rows = append(rows, r)
			return err
		})
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	b := block{n: last.n + 1, at: store.Millis(l.db.Now()), size: int64(len(rows)), ids: runs(rows), prev: last.hash}
	seals := make([][]byte, len(rows))
	for i, r := range rows {
		seals[i] = l.sealOf(b.n, &r)
	}
	b.digest = digest(seals)
	b.hash = l.hashOf(&b)
	err = l.db.Background(ctx, func(tx *store.Tx) error { return writeBlock(tx, &b, rows, seals) })
	if store.IsUnique(err) {
		err = errOvertaken
	}
	return len(rows), err
}

func newestBlock(tx *store.Tx) (block, error) {
	b := block{prev: []byte{}, hash: []byte{}}
	err := tx.QueryRow("SELECT " + blockColumns + " FROM audit_block ORDER BY n DESC LIMIT 1").Scan(b.fields()...)
	if errors.Is(err, store.ErrNoRows) {
		err = nil
	}
	return b, err
}

// writeBlock writes the block and moves its rows. The primary key of the block is the
// lock: of two nodes that seal number n, one fails here and has changed nothing.
func writeBlock(tx *store.Tx, b *block, rows []row, seals [][]byte) error {
	newest, err := newestBlock(tx)
	if err != nil {
		return err
	}
	if newest.n != b.n-1 {
		return errOvertaken
	}
	_, err = tx.Exec("INSERT INTO audit_block ("+blockColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
		b.n, b.ids, b.size, b.at, b.digest, b.prev, b.hash)
	if err != nil {
		return err
	}
	for i := 0; i < len(rows); i += moveStep {
		end := min(i+moveStep, len(rows))
		if err := move(tx, b.n, rows[i:end], seals[i:end]); err != nil {
			return err
		}
	}
	return nil
}

// moveStep is how many rows one statement moves.
const moveStep = 20

func move(tx *store.Tx, n int64, rows []row, seals [][]byte) error {
	var values, ids strings.Builder
	var args, keys []any
	for i, r := range rows {
		if i > 0 {
			values.WriteString(", ")
			ids.WriteString(", ")
		}
		values.WriteByte('(')
		for j, v := range []any{r.id, r.at, r.kind, r.account, r.actor, r.session, r.txn, r.support, r.party, r.addr, r.fct, n, seals[i]} {
			if j > 0 {
				values.WriteString(", ")
			}
			args = append(args, v)
			values.WriteString("$" + strconv.Itoa(len(args)))
		}
		values.WriteByte(')')
		keys = append(keys, r.id)
		ids.WriteString("$" + strconv.Itoa(len(keys)))
	}
	if _, err := tx.Exec("INSERT INTO audit_event ("+rowColumns+", block, seal) VALUES "+values.String(), args...); err != nil {
		return err
	}
	gone, err := tx.Exec("DELETE FROM audit_fresh WHERE id IN ("+ids.String()+")", keys...)
	if err == nil && gone != int64(len(rows)) {
		err = errOvertaken
	}
	return err
}

// runs names the ids of rows, which are in ascending order.
func runs(rows []row) string {
	var out strings.Builder
	for i := 0; i < len(rows); {
		j := i
		for j+1 < len(rows) && rows[j+1].id == rows[j].id+1 {
			j++
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(strconv.FormatInt(rows[i].id, 10))
		if j > i {
			out.WriteByte('-')
			out.WriteString(strconv.FormatInt(rows[j].id, 10))
		}
		i = j + 1
	}
	return out.String()
}

// sealOf is the keyed seal of one row in block n.
func (l *Log) sealOf(n int64, r *row) []byte {
	b := appendText(nil, "seimon audit event 1")
	b = binary.BigEndian.AppendUint64(b, uint64(n))
	b = binary.BigEndian.AppendUint64(b, uint64(r.id))
	b = binary.BigEndian.AppendUint64(b, uint64(r.at))
	for _, s := range []string{r.kind, r.account, r.actor, r.session, r.txn, r.support, r.party, r.addr, r.fct} {
		b = appendText(b, s)
	}
	return l.mac(b)
}

func (l *Log) hashOf(k *block) []byte {
	b := appendText(nil, "seimon audit block 1")
	b = binary.BigEndian.AppendUint64(b, uint64(k.n))
	b = binary.BigEndian.AppendUint64(b, uint64(k.size))
	b = binary.BigEndian.AppendUint64(b, uint64(k.at))
	for _, s := range []string{k.ids, string(k.digest), string(k.prev)} {
		b = appendText(b, s)
	}
	return l.mac(b)
}

func digest(seals [][]byte) []byte {
	h := sha256.New()
	for _, s := range seals {
		h.Write(appendText(nil, string(s)))
	}
	return h.Sum(nil)
}

// appendText appends s with its length, so that no two lists of texts look alike.
func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}
