package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"seimon/internal/store"
)

// made is a database file of ours with n rows, closed.
func made(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "seimon.db")
	db := open(t, "sqlite:"+path)
	if err := db.Migrate(t.Context(), notes); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec("INSERT INTO note (body, at, raw) VALUES ($1, 0, $2)", fmt.Sprint(i), bytes.Repeat([]byte{byte(i)}, 3000))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// folder is everything that lies beside path, by name.
func folder(t testing.TB, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(data)
	}
	return out
}

func TestCloseLeavesOneFile(t *testing.T) {
	path := made(t, 10)
	got := folder(t, path)
	if len(got) != 1 {
		t.Errorf("files: %v", maps.Keys(got))
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// Whatever cannot be our sound database is refused; no byte of it changes and
// nothing appears beside it.
func TestRefusedFilesStayUntouched(t *testing.T) {
	change := func(fn func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, fn(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, spoil := range map[string]func(*testing.T, string){
		"text":          change(func([]byte) []byte { return []byte("Dear diary,\n") }),
		"long text":     change(func([]byte) []byte { return bytes.Repeat([]byte("Dear diary,\n"), 1000) }),
		"zeros":         change(func(d []byte) []byte { return make([]byte, len(d)) }),
		"only a header": change(func(d []byte) []byte { return d[:100] }),
		"cut short":     change(func(d []byte) []byte { return d[:len(d)/2] }),
		"cut by a page": change(func(d []byte) []byte { return d[:len(d)-4096] }),
		"cut by a byte": change(func(d []byte) []byte { return d[:len(d)-1] }),
		"page size":     change(func(d []byte) []byte { d[16], d[17] = 0x12, 0x34; return d }),
		"first page":    change(func(d []byte) []byte { clear(d[100:4096]); return d }),
		"page of zeros": change(func(d []byte) []byte { clear(d[4*4096 : 5*4096]); return d }),
		"flipped bytes": change(func(d []byte) []byte {
			for i := 5 * 4096; i < 5*4096+64; i++ {
				d[i] ^= 0xff
			}
			return d
		}),
		"another program's": func(t *testing.T, path string) {
			foreign(t, path, "CREATE TABLE recipe (name TEXT)", "INSERT INTO recipe VALUES ('soup')")
		},
		"another program's, marked": func(t *testing.T, path string) {
			foreign(t, path, "PRAGMA application_id = 252006674", "CREATE TABLE recipe (name TEXT)")
		},
		"another program's, in WAL mode": func(t *testing.T, path string) {
			foreign(t, path, "PRAGMA journal_mode = WAL", "CREATE TABLE recipe (name TEXT)")
		},
		"folder": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := made(t, 20)
			spoil(t, path)
			before := folder(t, path)
			db, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + path})
			if err == nil {
				db.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "left untouched") {
				t.Errorf("the error does not name the file or say that it was left untouched: %v", err)
			}
			if !maps.Equal(before, folder(t, path)) {
				t.Errorf("something changed: %v", err)
			}
		})
	}
}

func foreign(t *testing.T, path string, statements ...string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUsablePaths(t *testing.T) {
	for _, name := range []string{"a b.db", "正門.db", "q?mode=ro.db", "h#1.db", "p%41.db", "amp&x=y.db"} {
		path := filepath.Join(t.TempDir(), name)
		for range 2 { // new, then there already
			db := open(t, "sqlite:"+path)
			if err := db.Migrate(t.Context(), notes); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
		if got := folder(t, path); len(got) != 1 || got[name] == "" {
			t.Errorf("%s: the folder holds %v", name, maps.Keys(got))
		}
	}
	if db, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "none", "x.db")}); err == nil {
		db.Close()
		t.Error("a folder that does not exist was used")
	}
}

// An empty file, and one that was opened but never migrated, are as good as none.
func TestUnfinishedFilesAreUsable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := open(t, "sqlite:"+path).Close(); err != nil {
			t.Fatal(err)
		}
	}
	db := open(t, "sqlite:"+path)
	defer db.Close()
	if err := db.Migrate(t.Context(), notes); err != nil {
		t.Error(err)
	}
}

// What a crash leaves, the file with its log, is opened with everything in it.
// A copy of a database in use is just that.
func TestFileWithLogIsOpened(t *testing.T) {
	for _, migrated := range []bool{false, true} { // before the crash and before anything reached the file itself
		dir := t.TempDir()
		path := filepath.Join(dir, "x.db")
		db := open(t, "sqlite:"+path)
		if migrated {
			if err := db.Migrate(t.Context(), notes); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open(t, "sqlite:"+path)
		}
		if err := db.Migrate(t.Context(), notes); err != nil {
			t.Fatal(err)
		}
		if err := insert(t.Context(), db, "a"); err != nil {
			t.Fatal(err)
		}
		crashed := filepath.Join(t.TempDir(), "x.db")
		for name, data := range folder(t, path) {
			if !strings.HasSuffix(name, "-shm") {
				if err := os.WriteFile(filepath.Join(filepath.Dir(crashed), name), []byte(data), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if len(folder(t, crashed)) != 2 {
			t.Fatal("there is no log to test with")
		}
		again := open(t, "sqlite:"+crashed)
		if !bodies(t, again)["a"] {
			t.Error("the row is gone")
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A big file is not read from end to end at each start: damage in the middle is
// left to the statement that meets it.
func TestBigFileIsNotScanned(t *testing.T) {
	path := made(t, 3)
	db := open(t, "sqlite:"+path)
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("INSERT INTO note (body, at, raw) VALUES ('big', 0, zeroblob(30000000))")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 1<<20), 14<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, "sqlite:"+path) // a scan would refuse it
	defer db.Close()
	err = db.Read(t.Context(), func(tx *store.Tx) error {
		var n int
		return tx.QueryRow("SELECT length(CAST(raw AS TEXT)) FROM note WHERE body = 'big'").Scan(&n)
	})
	if err == nil {
		t.Error("the damage was not met by the one who read it")
	}
	cut := made(t, 3)
	big, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, big[:25<<20], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(context.Background(), store.Config{URL: "sqlite:" + cut}); err == nil {
		t.Error("a big file that is cut short was opened")
	}
}
