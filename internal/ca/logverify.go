package ca

import (
	"bytes"
	"context"
	"crypto/x509"
	"database/sql"
	"fmt"
	"time"

	"seimon/internal/ca/merkle"
	"seimon/internal/store"
)

// LogReport is the result of checking the whole log.
type LogReport struct {
	Entries  uint64   `json:"entries"`
	Heads    int      `json:"heads"`
	Fresh    int      `json:"not_yet_in_the_log"`
	Damaged  int      `json:"damaged"`
	Findings []string `json:"findings"`
	Head     LogHead  `json:"head"`
}

// Sound tells whether nothing was found.
func (r *LogReport) Sound() bool { return r.Damaged == 0 }

// findingLimit is how many findings a report lists; Damaged counts all.
const findingLimit = 1000

func (r *LogReport) add(format string, args ...any) {
	r.Damaged++
	if len(r.Findings) < findingLimit {
		r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
	}
}

// VerifyLog reads every certificate and every head again: the entries must hash to
// each signed root, the columns of a row must be those of its certificate, and each
// certificate must bear the signature of its issuer. known, when not nil, is a head
// noted outside the database: the log must contain it. progress may be nil.
func (a *Authority) VerifyLog(ctx context.Context, known *LogHead, progress func(done, all uint64)) (*LogReport, error) {
	key, err := a.LogKey(ctx)
	if err != nil {
		return nil, err
	}
	extend := a.Sequence(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	v := &verifier{a: a, key: key, report: &LogReport{Findings: []string{}}, known: known, tiles: map[merkle.Tile][]byte{}}
	if extend != nil {
		v.report.add("the log cannot be extended: %v", extend)
	}
	if err := v.begin(ctx); err != nil {
		return nil, err
	}
	for {
		n, err := v.batch(ctx)
		if err != nil {
			return nil, err
		}
		if progress != nil {
			progress(v.size, v.report.Head.Size)
		}
		if n == 0 {
			break
		}
	}
	return v.end(ctx)
}

// verifier walks through the log from its first entry.
type verifier struct {
	a      *Authority
	key    []byte
	report *LogReport
	known  *LogHead
	heads  []LogHead              // not met yet, in order
	size   uint64                 // entries so far
	tiles  map[merkle.Tile][]byte // the right edge, made anew
	stuck  bool                   // a missing entry makes every later root wrong
}

func (v *verifier) begin(ctx context.Context) error {
	return v.a.db.Read(ctx, func(tx *store.Tx) error {
		v.heads = nil
		rows, err := tx.Query("SELECT " + headColumns + " FROM ca_log_head ORDER BY size")
		return store.Each(rows, err, func(rows *sql.Rows) error {
			var h LogHead
			err := rows.Scan(&h.Size, &h.Millis, &h.Root, &h.Signature)
			v.heads = append(v.heads, h)
			v.report.Head = h
			return err
		})
	})
}

// entry is a row of the log with what is compared.
type entry struct {
	id, issuer, serial string
	leaf, issued       int64
	keyHash, intent    []byte
	der                []byte
}

func (v *verifier) batch(ctx context.Context) (int, error) {
	var list []entry
	err := v.a.db.Read(ctx, func(tx *store.Tx) error {
		list = nil
		rows, err := tx.Query(`SELECT id, issuer, serial, leaf, issued_at, key_hash, intent, der FROM ca_certificate
			WHERE leaf >= $1 ORDER BY leaf LIMIT $2`, int64(v.size), logBatch)
		return store.Each(rows, err, func(rows *sql.Rows) error {
			var e entry
			err := rows.Scan(&e.id, &e.issuer, &e.serial, &e.leaf, &e.issued, &e.keyHash, &e.intent, &e.der)
			list = append(list, e)
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	for _, e := range list {
		v.gap(uint64(e.leaf))
		v.judge(ctx, e)
		v.grow(merkle.Leaf(logEntry(e.issued, e.der)))
	}
	return len(list), nil
}

// gap notes entries that are missing before index.
func (v *verifier) gap(index uint64) {
	for v.size < index {
		v.report.add("entry %d is missing: its certificate was removed", v.size)
		v.stuck = true
		v.grow(merkle.Hash{})
	}
}

// judge compares a row with its certificate.
func (v *verifier) judge(ctx context.Context, e entry) {
	cert, err := x509.ParseCertificate(e.der)
	if err != nil {
		v.report.add("entry %d (%s): the certificate cannot be read", e.leaf, e.id)
		return
	}
	hash, err := KeyHash(cert.PublicKey)
	if err != nil || !bytes.Equal(hash, e.keyHash) || SerialText(cert.SerialNumber) != e.serial || !bytes.Equal(intentOf(cert), e.intent) {
		v.report.add("entry %d (%s): the row does not belong to its certificate", e.leaf, e.id)
	}
	s, err := v.a.signing(ctx, e.issuer)
	if err != nil {
		v.report.add("entry %d (%s): issuer %s is not known", e.leaf, e.id, e.issuer)
		return
	}
	if cert.CheckSignatureFrom(s.certificate) != nil {
		v.report.add("entry %d (%s): the certificate does not bear the signature of its issuer", e.leaf, e.id)
	}
}

// grow adds one entry and compares the heads of the size that is reached.
func (v *verifier) grow(leaf merkle.Hash) {
	own := func(t merkle.Tile) ([]byte, error) { return v.tiles[t], nil }
	changed, err := merkle.Grow(v.size, []merkle.Hash{leaf}, own)
	if err != nil {
		v.report.add("entry %d: %v", v.size, err)
		return
	}
	for t, raw := range changed {
		v.tiles[t] = raw
	}
	v.size++
	for len(v.heads) > 0 && v.heads[0].Size <= v.size {
		v.meet(v.heads[0])
		v.heads = v.heads[1:]
	}
	if v.known != nil && v.known.Size == v.size && !v.stuck {
		if root, err := merkle.Root(v.size, merkle.TileReader(own)); err != nil || !bytes.Equal(root[:], v.known.Root) {
			v.report.add("the log does not contain the head of size %d that you noted: its past was changed", v.size)
		}
	}
}

func (v *verifier) meet(h LogHead) {
	v.report.Heads++
	if err := h.Verify(v.key); err != nil {
		v.report.add("head of size %d: %v", h.Size, err)
	}
	if v.stuck { // said already, with the place
		return
	}
	root, err := merkle.Root(v.size, merkle.TileReader(func(t merkle.Tile) ([]byte, error) { return v.tiles[t], nil }))
	if err != nil || !bytes.Equal(root[:], h.Root) {
		v.report.add("head of size %d: the entries have another root: one of them was changed since the head before", h.Size)
	}
}

// logDelay is how long a certificate may be out of the log.
const logDelay = 5 * time.Minute

// end looks for what the walk cannot meet: heads beyond the entries, certificates
// outside the log, tiles that differ.
func (v *verifier) end(ctx context.Context) (*LogReport, error) {
	r := v.report
	r.Entries = v.size
	for _, h := range v.heads {
		r.add("head of size %d: the newest entries were removed", h.Size)
	}
	if v.known != nil {
		if err := v.known.Verify(v.key); err != nil {
			r.add("the head that you noted: %v", err)
		}
		if v.known.Size > v.size {
			r.add("the head that you noted has %d entries, the log has only %d: the newest were removed", v.known.Size, v.size)
		}
	}
	err := v.a.db.Read(ctx, func(tx *store.Tx) error {
		var late int
		err := tx.QueryRow("SELECT COUNT(*) FROM ca_certificate WHERE leaf < 0 AND issued_at > 0").Scan(&r.Fresh)
		if err == nil {
			err = tx.QueryRow("SELECT COUNT(*) FROM ca_certificate WHERE leaf < 0 AND issued_at > 0 AND issued_at < $1", store.Millis(tx.Now.Add(-logDelay))).Scan(&late)
		}
		if err != nil {
			return err
		}
		if late > 0 {
			r.add("%d certificates are not in the log", late)
		}
		rows, err := tx.Query("SELECT level, n, hashes FROM ca_log_tile ORDER BY level, n")
		return store.Each(rows, err, func(rows *sql.Rows) error {
			var t merkle.Tile
			var raw []byte
			if err := rows.Scan(&t.Level, &t.N, &raw); err != nil {
				return err
			}
			if !v.stuck && !bytes.HasPrefix(raw, v.tiles[t]) {
				r.add("tile %d/%d differs from the entries", t.Level, t.N)
			}
			return nil
		})
	})
	return r, err
}
