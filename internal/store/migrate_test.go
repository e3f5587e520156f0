package store_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// room is a schema of as many migrations as texts.
func room(name string, texts ...string) store.Schema {
	files := fstest.MapFS{}
	for i, text := range texts {
		files[fmt.Sprintf("schema/%03d_x.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	return store.Schema{Room: name, Files: files}
}

const (
	one = "CREATE TABLE one (id BIGINT PRIMARY KEY);\n"
	two = "CREATE TABLE two (id BIGINT PRIMARY KEY);\nINSERT INTO two (id) SELECT id FROM one;\n"
)

func migrate(t testing.TB, url string, rooms ...store.Schema) error {
	t.Helper()
	db := open(t, url)
	err := db.Migrate(context.Background(), rooms...)
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	return err
}

// has tells whether a table can be read.
func has(t testing.TB, url, table string) bool {
	t.Helper()
	db := open(t, url)
	defer db.Close()
	return db.Read(t.Context(), func(tx *store.Tx) error {
		var n int
		return tx.QueryRow("SELECT count(*) FROM " + table).Scan(&n)
	}) == nil
}

func TestMigrationsAreAppliedOnceAndInOrder(t *testing.T) {
	url := storetest.URL(t)
	for _, rooms := range [][]store.Schema{{room("a", one)}, {room("a", one)}, {room("a", one, two), room("b")}, {room("a", one, two), room("b", "CREATE TABLE three (id BIGINT PRIMARY KEY)")}} {
		if err := migrate(t, url, rooms...); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"one", "two", "three"} {
		if !has(t, url, table) {
			t.Errorf("table %s is missing", table)
		}
	}
}

// A database that a newer program or another text made is refused, and on SQLite
// not one byte of the file changes.
func TestForeignMigrationsAreRefusedUntouched(t *testing.T) {
	for name, c := range map[string]struct {
		rooms []store.Schema
		say   string
	}{
		"newer":        {[]store.Schema{room("a", one)}, "newer program: room a has migration 2"},
		"unknown room": {[]store.Schema{room("b", one)}, "room a has migration 1"},
		"changed":      {[]store.Schema{room("a", one, "-- changed\n"+two)}, "room a, migration 2"},
		"changed, and more to do": {
			[]store.Schema{room("a", one, "-- changed\n"+two, "CREATE TABLE three (id BIGINT PRIMARY KEY)")}, "room a, migration 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := storetest.URL(t)
			if err := migrate(t, url, room("a", one, two)); err != nil {
				t.Fatal(err)
			}
			var before map[string]string
			path, lite := strings.CutPrefix(url, "sqlite:")
			if lite {
				before = folder(t, path)
			}
			err := migrate(t, url, c.rooms...)
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("got %v", err)
			}
			if lite && !maps.Equal(before, folder(t, path)) {
				t.Error("the file changed")
			}
			if has(t, url, "three") {
				t.Error("the rest was applied all the same")
			}
			if err := migrate(t, url, room("a", one, two)); err != nil {
				t.Error("the right program is refused afterwards:", err)
			}
		})
	}
}

func TestFailingMigrationLeavesNothing(t *testing.T) {
	url := storetest.URL(t)
	err := migrate(t, url, room("a", one), room("b", "CREATE TABLE good (id BIGINT PRIMARY KEY);\nCREATE TABLE bad (id NONSENSE NONSENSE(;\n"))
	if err == nil || !strings.Contains(err.Error(), "room b, 001_x.sql") {
		t.Errorf("got %v", err)
	}
	if has(t, url, "one") || has(t, url, "good") || has(t, url, "store_migration") {
		t.Error("something of the failed migration stayed")
	}
	if err := migrate(t, url, room("a", one), room("b", "CREATE TABLE good (id BIGINT PRIMARY KEY)")); err != nil {
		t.Error(err)
	}
}

// Programs that start at once on a new database all come up.
func TestConcurrentMigration(t *testing.T) {
	url := storetest.URL(t)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if err := migrate(t, url, room("a", one, two), notes); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if !has(t, url, "two") || !has(t, url, "note") {
		t.Error("a table is missing")
	}
}

func TestMisnumberedMigrationsAreRefused(t *testing.T) {
	for _, names := range [][]string{{"002_x.sql"}, {"001_x.sql", "003_x.sql"}, {"001_x.sql", "001_y.sql"}, {"x.sql"}} {
		files := fstest.MapFS{}
		for _, name := range names {
			files["schema/"+name] = &fstest.MapFile{Data: []byte(one)}
		}
		if err := migrate(t, storetest.URL(t), store.Schema{Room: "a", Files: files}); err == nil {
			t.Errorf("%v was accepted", names)
		}
	}
	if err := migrate(t, storetest.URL(t), room("a", one), room("a", one)); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a room given twice: %v", err)
	}
}
