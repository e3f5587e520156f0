package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Schema is the tables of one room: files named NNN_name.sql, applied in order,
// never changed once released.
type Schema struct {
	Room  string
	Files fs.FS // holds the folder "schema"
}

type migration struct {
	room   string
	number int
	name   string
	text   string
	sum    string
}

// Migrate brings the tables of all rooms up to date in one transaction. A
// database that a newer program has written, or whose applied migrations differ
// from ours, is refused untouched. Programs that migrate at once wait for each other.
func (db *DB) Migrate(ctx context.Context, rooms ...Schema) error {
	var want []migration
	seen := map[string]bool{}
	for _, r := range rooms {
		if seen[r.Room] {
			return fmt.Errorf("store: migrate: room %s was given twice", r.Room)
		}
		seen[r.Room] = true
		m, err := r.load()
		if err != nil {
			return err
		}
		want = append(want, m...)
	}
	done := false
	err := db.Read(ctx, func(tx *Tx) error {
		have, err := db.applied(tx)
		if err != nil {
			return err
		}
		done = len(have) == len(want)
		return compare(want, have)
	})
	if err == nil && !done {
		err = db.backend.migrate(ctx, db.Now, func(tx *Tx) error { return db.bringUp(tx, want) })
	}
	if err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	return nil
}

// bringUp applies what is missing. It looks again, under the lock.
func (db *DB) bringUp(tx *Tx, want []migration) error {
	_, err := tx.Exec(`CREATE TABLE IF NOT EXISTS store_migration (
		room TEXT NOT NULL, number BIGINT NOT NULL, sum TEXT NOT NULL, applied_at BIGINT NOT NULL,
		PRIMARY KEY (room, number))`)
	if err != nil {
		return err
	}
	if db.flavour == SQLite {
		if _, err := tx.Exec("PRAGMA application_id = " + strconv.Itoa(applicationID)); err != nil {
			return err
		}
	}
	have, err := db.applied(tx)
	if err != nil {
		return err
	}
	if err := compare(want, have); err != nil {
		return err
	}
	return db.apply(tx, want, have)
}

func (s Schema) load() ([]migration, error) {
	names, err := fs.Glob(s.Files, "schema/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var out []migration
	for i, name := range names {
		text, err := fs.ReadFile(s.Files, name)
		if err != nil {
			return nil, err
		}
		base := strings.TrimPrefix(name, "schema/")
		number, err := strconv.Atoi(strings.SplitN(base, "_", 2)[0])
		if err != nil || number != i+1 {
			return nil, fmt.Errorf("store: room %s: %s is not migration number %d", s.Room, base, i+1)
		}
		sum := sha256.Sum256(text)
		out = append(out, migration{s.Room, number, base, string(text), hex.EncodeToString(sum[:])})
	}
	return out, nil
}

type appliedKey struct {
	room   string
	number int
}

// applied returns the checksums of the migrations that the database has seen.
func (db *DB) applied(tx *Tx) (map[appliedKey]string, error) {
	var exists int
	if err := tx.QueryRow(db.flavour.tableExists(), "store_migration").Scan(&exists); err != nil || exists == 0 {
		return nil, err
	}
	have := map[appliedKey]string{}
	rows, err := tx.Query("SELECT room, number, sum FROM store_migration")
	err = Each(rows, err, func(s *sql.Rows) error {
		var k appliedKey
		var sum string
		err := s.Scan(&k.room, &k.number, &sum)
		have[k] = sum
		return err
	})
	return have, err
}

func compare(want []migration, have map[appliedKey]string) error {
	known := map[appliedKey]string{}
	for _, m := range want {
		known[appliedKey{m.room, m.number}] = m.sum
	}
	var faults []error
	keys := slices.SortedFunc(maps.Keys(have), func(a, b appliedKey) int {
		return cmp.Or(strings.Compare(a.room, b.room), cmp.Compare(a.number, b.number))
	})
	for _, k := range keys {
		ours, ok := known[k]
		switch {
		case !ok:
			faults = append(faults, fmt.Errorf("the database comes from a newer program: room %s has migration %d, which this program does not know", k.room, k.number))
		case ours != have[k]:
			faults = append(faults, fmt.Errorf("room %s, migration %d: the database was made by a different text than this program's", k.room, k.number))
		}
	}
	return errors.Join(faults...)
}

func (db *DB) apply(tx *Tx, want []migration, have map[appliedKey]string) error {
	for _, m := range want {
		if _, ok := have[appliedKey{m.room, m.number}]; ok {
			continue
		}
		for _, stmt := range statements(db.flavour.schema(m.text)) {
			if _, err := tx.Exec(stmt); err != nil {
				return fmt.Errorf("room %s, %s: %w", m.room, m.name, err)
			}
		}
		_, err := tx.Exec("INSERT INTO store_migration (room, number, sum, applied_at) VALUES ($1, $2, $3, $4)",
			m.room, m.number, m.sum, Millis(tx.Now))
		if err != nil {
			return err
		}
	}
	return nil
}
