package audit_test

import (
	"slices"
	"testing"

	"seimon/internal/audit"
	"seimon/internal/store"
)

// Whoever can write to the database but does not hold the key is found, and what
// was touched is named.
func TestTampering(t *testing.T) {
	const copied = "at, type, account, actor, session, txn, support, party, address, facts, block, seal"
	changed, removed, inserted := audit.EventChanged, audit.EventRemoved, audit.EventInserted
	for name, c := range map[string]struct {
		sql  []string
		want []audit.Finding
	}{
		"nothing":     {nil, nil},
		"type":        {[]string{"UPDATE audit_event SET type = 'x' WHERE id = 2"}, []audit.Finding{{changed, 1, 2}}},
		"time":        {[]string{"UPDATE audit_event SET at = at + 1 WHERE id = 5"}, []audit.Finding{{changed, 2, 5}}},
		"facts":       {[]string{`UPDATE audit_event SET facts = '{"a":"c"}' WHERE id = 4`}, []audit.Finding{{changed, 2, 4}}},
		"column swap": {[]string{"UPDATE audit_event SET actor = account, account = actor WHERE id = 1"}, []audit.Finding{{changed, 1, 1}}},
		"seal":        {[]string{"UPDATE audit_event SET seal = prev FROM audit_block WHERE n = 2 AND id = 1"}, []audit.Finding{{changed, 1, 1}}},
		"other block": {[]string{"UPDATE audit_event SET block = 3 WHERE id = 1"}, []audit.Finding{{changed, 1, 1}}},
		"removed":     {[]string{"DELETE FROM audit_event WHERE id = 3"}, []audit.Finding{{removed, 1, 3}}},
		"whole block's events": {
			[]string{"DELETE FROM audit_event WHERE block = 2"},
			[]audit.Finding{{removed, 2, 4}, {removed, 2, 5}, {removed, 2, 6}},
		},
		"reordered": {
			[]string{"UPDATE audit_event SET id = 1000 WHERE id = 1", "UPDATE audit_event SET id = 1 WHERE id = 2", "UPDATE audit_event SET id = 2 WHERE id = 1000"},
			[]audit.Finding{{changed, 1, 1}, {changed, 1, 2}},
		},
		"copied": {
			[]string{"INSERT INTO audit_event (id, " + copied + ") SELECT 77, " + copied + " FROM audit_event WHERE id = 2"},
			[]audit.Finding{{inserted, 1, 77}},
		},
		"copied before the first": {
			[]string{"INSERT INTO audit_event (id, " + copied + ") SELECT -1, " + copied + " FROM audit_event WHERE id = 2"},
			[]audit.Finding{{inserted, 1, -1}},
		},
		"replaced by a copy": {
			[]string{"INSERT INTO audit_event (id, " + copied + ") SELECT 77, " + copied + " FROM audit_event WHERE id = 2", "DELETE FROM audit_event WHERE id = 2"},
			[]audit.Finding{{removed, 1, 2}, {inserted, 1, 77}},
		},
		"block's ids": {
			[]string{"UPDATE audit_block SET ids = '4-5' WHERE n = 2", "DELETE FROM audit_event WHERE id = 6"},
			[]audit.Finding{{audit.BlockChanged, 2, 0}},
		},
		"block's unreadable ids": {
			[]string{"UPDATE audit_block SET ids = '4-' WHERE n = 2"},
			[]audit.Finding{{audit.BlockChanged, 2, 0}},
		},
		"block's time": {[]string{"UPDATE audit_block SET at = 0 WHERE n = 1"}, []audit.Finding{{audit.BlockChanged, 1, 0}}},
		"block's hash": {
			[]string{"UPDATE audit_block SET hash = digest WHERE n = 1"},
			[]audit.Finding{{audit.BlockChanged, 1, 0}, {audit.BlockDetached, 2, 0}},
		},
		"block's size": {[]string{"UPDATE audit_block SET size = 9223372036854775807 WHERE n < 3"}, []audit.Finding{{audit.BlockChanged, 1, 0}, {audit.BlockChanged, 2, 0}}},
		"block removed": {
			[]string{"DELETE FROM audit_block WHERE n = 2"},
			[]audit.Finding{{audit.BlockRemoved, 2, 0}},
		},
		"first block removed with its events": {
			[]string{"DELETE FROM audit_block WHERE n = 1", "DELETE FROM audit_event WHERE block = 1"},
			[]audit.Finding{{audit.BlockRemoved, 1, 0}},
		},
		"blocks reordered": {
			[]string{"UPDATE audit_block SET n = 9 WHERE n = 1", "UPDATE audit_block SET n = 1 WHERE n = 2", "UPDATE audit_block SET n = 2 WHERE n = 9"},
			[]audit.Finding{{audit.BlockChanged, 1, 0}, {changed, 1, 4}, {changed, 1, 5}, {changed, 1, 6},
				{audit.BlockChanged, 2, 0}, {changed, 2, 1}, {changed, 2, 2}, {changed, 2, 3}, {audit.BlockDetached, 3, 0}},
		},
		"block inserted": {
			[]string{"INSERT INTO audit_block (n, ids, size, at, digest, prev, hash) SELECT 4, ids, size, at, digest, hash, hash FROM audit_block WHERE n = 3"},
			[]audit.Finding{{audit.BlockChanged, 4, 0}, {changed, 4, 7}, {changed, 4, 8}},
		},
		"block before the first": {
			[]string{"INSERT INTO audit_block (n, ids, size, at, digest, prev, hash) SELECT 0, '', 0, at, digest, prev, hash FROM audit_block WHERE n = 1"},
			[]audit.Finding{{audit.BlockChanged, 0, 0}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, db, _ := open(t)
			for range 2 {
				appendAll(t, l, db, audit.Event{Type: "a", Account: "acc"}, audit.Event{Type: "b", Facts: map[string]string{"a": "b"}}, audit.Event{Type: "c"})
				seal(t, l)
			}
			appendAll(t, l, db, audit.Event{Type: "d"}, audit.Event{Type: "e"})
			seal(t, l)
			tamper(t, db, c.sql...)
			r, err := l.Verify(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(r.Findings, c.want) || r.Damaged != int64(len(c.want)) || r.Sound() != (c.want == nil) {
				t.Errorf("got %v", r.Findings)
			}
		})
	}
}

func tamper(t *testing.T, db *store.DB, sql ...string) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		for _, s := range sql {
			if _, err := tx.Exec(s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Cutting off the newest blocks leaves a shorter, sound chain: only a head noted
// elsewhere tells.
func TestNotedHeadShowsCutEnd(t *testing.T) {
	l, db, _ := open(t)
	appendAll(t, l, db, audit.Event{Type: "a"})
	seal(t, l)
	appendAll(t, l, db, audit.Event{Type: "b"})
	noted, err := l.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	head, err := audit.ParseHead(" " + noted.Head.String() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	met := func() bool {
		var r audit.Report
		if err := l.Meets(t.Context(), &r, head); err != nil {
			t.Error(err)
		}
		return r.Sound()
	}
	if !met() {
		t.Error("the noted head is not met in an untouched log")
	}
	tamper(t, db, "DELETE FROM audit_event WHERE block = 2", "DELETE FROM audit_block WHERE n = 2")
	appendAll(t, l, db, audit.Event{Type: "c"})
	if r, err := l.Verify(t.Context(), nil); err != nil || !r.Sound() {
		t.Errorf("%+v %v", r, err)
	}
	if met() {
		t.Error("the noted head is met although the end was cut off")
	}
}

// A wild block number must not make the check run for ever or fill memory.
func TestWildBlockNumber(t *testing.T) {
	l, db, _ := open(t)
	appendAll(t, l, db, audit.Event{Type: "a"})
	seal(t, l)
	tamper(t, db, "UPDATE audit_block SET n = 9000000000000000000 WHERE n = 1")
	r, err := l.Verify(t.Context(), nil)
	if err != nil || r.Damaged < 9e18-1 || len(r.Findings) > audit.FindingLimit {
		t.Errorf("%d damaged, %d listed, %v", r.Damaged, len(r.Findings), err)
	}
}

func TestHeadsThatAreNone(t *testing.T) {
	for _, text := range []string{"", "12", "12:", "x:00", "-1:00", "12:0g", "12:0", "12:00:00"} {
		if h, err := audit.ParseHead(text); err == nil {
			t.Errorf("%q is read as %v", text, h)
		}
	}
}
