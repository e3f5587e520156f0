package audit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"seimon/internal/store"
)

// Damage names what is wrong with one row of the log.
type Damage string

// The kinds of damage.
const (
	EventChanged  Damage = "event changed"
	EventRemoved  Damage = "event removed"
	EventInserted Damage = "event inserted" // written by somebody who does not hold the key
	BlockChanged  Damage = "block changed"  // or inserted by somebody who does not hold the key
	BlockRemoved  Damage = "block removed"
	BlockDetached Damage = "block detached" // it does not follow the block before it
	ChainCut      Damage = "chain cut"      // a head noted earlier is not in it
)

// Finding is one piece of damage.
type Finding struct {
	Damage Damage
	Block  int64 // number of the block
	Event  int64 // ID of the event; 0 when the block itself is meant
}

// String names the finding for logs and the command line.
func (f Finding) String() string {
	if f.Event != 0 {
		return fmt.Sprintf("%s: event %d (block %d)", f.Damage, f.Event, f.Block)
	}
	return fmt.Sprintf("%s: block %d", f.Damage, f.Block)
}

// FindingLimit is how many findings a report lists; Damaged counts all.
const FindingLimit = 1000

// Report is the result of Verify.
type Report struct {
	Events, Blocks int64 // checked
	Unsealed       int64 // events written since, not yet in a block
	Damaged        int64 // number of findings
	Findings       []Finding
	Head           Head
}

// Head is the end of the chain. A head noted outside the database must be met
// again in every later report (HashOf); otherwise newer blocks were cut off.
type Head struct {
	Block int64
	Hash  []byte
}

// String is the form in which an auditor notes a head down: block and hash.
func (h Head) String() string { return fmt.Sprintf("%d:%x", h.Block, h.Hash) }

// ParseHead reads what String wrote.
func ParseHead(text string) (Head, error) {
	number, hash, ok := strings.Cut(strings.TrimSpace(text), ":")
	n, err := strconv.ParseInt(number, 10, 64)
	raw, hexErr := hex.DecodeString(hash)
	if !ok || err != nil || hexErr != nil || n < 0 || n > 0 && len(raw) == 0 {
		return Head{}, fmt.Errorf("audit: %q is no head of a chain: a number, a colon and a hash in hexadecimal are expected", text)
	}
	return Head{n, raw}, nil
}

// Meets looks for a head that was noted earlier, and reports the chain as cut when
// its block is missing or has another hash.
func (l *Log) Meets(ctx context.Context, r *Report, noted Head) error {
	if noted.Block == 0 { // of a log without blocks, with which every chain begins
		return nil
	}
	var hash []byte
	err := l.db.Read(ctx, func(tx *store.Tx) (err error) {
		hash, err = l.HashOf(tx, noted.Block)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNoRows):
		r.add(ChainCut, noted.Block, 0)
	case err != nil:
		return err
	case !bytes.Equal(hash, noted.Hash):
		r.add(BlockChanged, noted.Block, 0)
	}
	return nil
}

// Sound tells whether nothing was found.
func (r *Report) Sound() bool { return r.Damaged == 0 }

func (r *Report) add(d Damage, block, event int64) {
	r.Damaged++
	if len(r.Findings) < FindingLimit {
		r.Findings = append(r.Findings, Finding{d, block, event})
	}
}

// HashOf returns the hash of block n, or ErrNoRows (package store).
func (l *Log) HashOf(tx *store.Tx, n int64) ([]byte, error) {
	var hash []byte
	err := tx.QueryRow("SELECT hash FROM audit_block WHERE n = $1", n).Scan(&hash)
	return hash, err
}

// Verify seals what is fresh and checks the whole chain. progress may be nil; it
// is told how many events are checked of how many. The error is about reading;
// damage is in the report.
func (l *Log) Verify(ctx context.Context, progress func(done, total int64)) (Report, error) {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	if err := l.Seal(ctx); err != nil {
		return Report{}, err
	}
	v := &verifier{log: l, progress: progress, prev: []byte{}}
	if err := v.run(ctx); err != nil {
		return v.report, fmt.Errorf("audit: verify: %w", err)
	}
	return v.report, nil
}

// verifier walks the chain in steps, each in a read of its own, so that a long
// check holds no snapshot.
type verifier struct {
	log      *Log
	progress func(done, total int64)
	report   Report
	last     int64 // the number of the newest block at the start
	total    int64
	n        int64  // the last block checked
	prev     []byte // its hash
	missing  int64
}

func (v *verifier) run(ctx context.Context) error {
	err := v.log.db.Read(ctx, func(tx *store.Tx) error {
		if err := tx.QueryRow("SELECT coalesce(max(n), 0) FROM audit_block").Scan(&v.last); err != nil {
			return err
		}
		if err := tx.QueryRow("SELECT count(*) FROM audit_event").Scan(&v.total); err != nil {
			return err
		}
		return v.zeroth(tx)
	})
	if err != nil {
		return err
	}
	for v.n < v.last {
		if err := v.log.db.Read(ctx, v.step); err != nil {
			return err
		}
		v.progress(v.report.Events, max(v.total, v.report.Events))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	v.report.Head = Head{Block: v.n, Hash: v.prev}
	return v.log.db.Read(ctx, v.leftovers)
}

// zeroth names blocks that stand before the first.
func (v *verifier) zeroth(tx *store.Tx) error {
	rows, err := tx.Query("SELECT n FROM audit_block WHERE n < 1 ORDER BY n LIMIT $1", FindingLimit)
	return store.Each(rows, err, func(s *sql.Rows) error {
		var n int64
		err := s.Scan(&n)
		v.report.add(BlockChanged, n, 0)
		return err
	})
}

// A step checks up to stepBlocks blocks, fewer when they are full.
const (
	stepBlocks = 256
	stepEvents = 4 * blockLimit
)

func (v *verifier) step(tx *store.Tx) error {
	blocks, err := v.nextBlocks(tx)
	if err != nil {
		return err
	}
	for i := range blocks {
		b := &blocks[i]
		v.gap(b.n)
		if err := v.block(tx, b); err != nil {
			return err
		}
		v.n, v.prev = b.n, b.hash
	}
	if len(blocks) == 0 { // the rest was removed while we were reading
		v.gap(v.last + 1)
		v.n = v.last
	}
	return nil
}

// gap names the missing blocks between the last one checked and next.
func (v *verifier) gap(next int64) {
	missing := next - v.n - 1
	if missing == 0 {
		return
	}
	v.prev = nil
	for n := v.n + 1; n < next && len(v.report.Findings) < FindingLimit; n++ {
		v.report.add(BlockRemoved, n, 0)
		missing--
	}
	v.report.Damaged += missing
}

func (v *verifier) nextBlocks(tx *store.Tx) ([]block, error) {
	var out []block
	room := int64(stepEvents)
	rows, err := tx.Query("SELECT "+blockColumns+" FROM audit_block WHERE n > $1 AND n <= $2 ORDER BY n LIMIT $3", v.n, v.last, stepBlocks)
	err = store.Each(rows, err, func(s *sql.Rows) error {
		var b block
		err := s.Scan(b.fields()...)
		if room > 0 {
			out = append(out, b)
			room -= max(1, min(b.size, room)) // a size may be anything before the hash is checked
		}
		return err
	})
	return out, err
}

// block checks one block and its events. v.prev is nil when the block before is missing.
func (v *verifier) block(tx *store.Tx, b *block) error {
	v.report.Blocks++
	sound := hmac.Equal(b.hash, v.log.hashOf(b))
	switch {
	case !sound:
		v.report.add(BlockChanged, b.n, 0)
	case v.prev != nil && !bytes.Equal(b.prev, v.prev):
		v.report.add(BlockDetached, b.n, 0)
	}
	spans, err := parseRuns(b.ids)
	if err != nil {
		if sound {
			return err
		}
		return nil // its ids are lost with it; its events are looked at with the leftovers
	}
	before := v.report.Damaged
	seals, err := v.events(tx, b, spans)
	if err != nil {
		return err
	}
	if sound && v.report.Damaged == before && !bytes.Equal(b.digest, digest(seals)) {
		v.report.add(BlockChanged, b.n, 0)
	}
	return nil
}

// events checks the rows of a block and returns their seals.
func (v *verifier) events(tx *store.Tx, b *block, spans []span) ([][]byte, error) {
	var seals [][]byte
	for _, s := range spans {
		next := s.first
		rows, err := tx.Query("SELECT "+rowColumns+", block, seal FROM audit_event WHERE id >= $1 AND id <= $2 ORDER BY id", s.first, s.last)
		err = store.Each(rows, err, func(found *sql.Rows) error {
			var r row
			var n int64
			var seal []byte
			if err := found.Scan(append(r.fields(), &n, &seal)...); err != nil {
				return err
			}
			for ; next < r.id; next++ {
				v.gone(b.n, next)
			}
			next++
			v.report.Events++
			if n != b.n || !hmac.Equal(seal, v.log.sealOf(b.n, &r)) {
				v.report.add(EventChanged, b.n, r.id)
			}
			seals = append(seals, seal)
			return nil
		})
		if err != nil {
			return nil, err
		}
		for ; next <= s.last; next++ {
			v.gone(b.n, next)
		}
	}
	return seals, nil
}

func (v *verifier) gone(block, event int64) {
	v.missing++
	v.report.add(EventRemoved, block, event)
}

// leftovers counts rows that no block names and, if there are any, finds them.
func (v *verifier) leftovers(tx *store.Tx) error {
	err := tx.QueryRow("SELECT count(*) FROM audit_fresh").Scan(&v.report.Unsealed)
	if err != nil {
		return err
	}
	var rows, younger int64
	if err := tx.QueryRow("SELECT count(*) FROM audit_event").Scan(&rows); err != nil {
		return err
	}
	err = tx.QueryRow("SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM audit_block WHERE n > $1", v.last).Scan(&younger)
	if err != nil || rows == v.report.Events+younger {
		return err
	}
	return v.inserted(tx)
}

// inserted names the rows without a valid seal that no block has named. A valid
// seal cannot be moved: it holds the id and the block.
func (v *verifier) inserted(tx *store.Tx) error {
	named := map[int64]bool{}
	for _, f := range v.report.Findings {
		if f.Damage == EventChanged {
			named[f.Event] = true
		}
	}
	rows, err := tx.Query("SELECT " + rowColumns + ", block, seal FROM audit_event ORDER BY id")
	return store.Each(rows, err, func(found *sql.Rows) error {
		var r row
		var n int64
		var seal []byte
		if err := found.Scan(append(r.fields(), &n, &seal)...); err != nil {
			return err
		}
		if !named[r.id] && !hmac.Equal(seal, v.log.sealOf(n, &r)) {
			v.report.add(EventInserted, n, r.id)
		}
		return nil
	})
}

// span is one run of ids.
type span struct{ first, last int64 }

var errRuns = errors.New("the list of ids cannot be read")

// parseRuns reads what runs wrote: ascending, without overlap.
func parseRuns(text string) ([]span, error) {
	var out []span
	for part := range strings.SplitSeq(text, ",") {
		a, b, two := strings.Cut(part, "-")
		if !two {
			b = a
		}
		first, err1 := strconv.ParseInt(a, 10, 64)
		last, err2 := strconv.ParseInt(b, 10, 64)
		if err1 != nil || err2 != nil || first < 1 || last < first || last-first > blockLimit {
			return nil, errRuns
		}
		if len(out) > 0 && first <= out[len(out)-1].last {
			return nil, errRuns
		}
		out = append(out, span{first, last})
	}
	return out, nil
}
