package store_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"seimon/internal/authn"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// These tests say something only where SEIMON_TEST_POSTGRES is set.

// with returns the URL of a PostgreSQL database with one more parameter.
func with(t *testing.T, raw, name, value string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

func postgresURL(t *testing.T) (string, bool) {
	t.Helper()
	raw := storetest.URL(t)
	return raw, strings.HasPrefix(raw, "postgres")
}

// After a restart of the server every pooled connection is dead; nobody notices.
func TestDeadConnectionsAreReplaced(t *testing.T) {
	raw, ok := postgresURL(t)
	if !ok {
		return
	}
	app := authn.NewID("app")
	db := open(t, with(t, raw, "application_name", app))
	defer db.Close()
	if err := db.Migrate(t.Context(), notes); err != nil {
		t.Fatal(err)
	}
	admin, err := sql.Open("pgx", raw)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for i := range 5 {
		together(t, db, func() { // two connections at least
			if err := insert(t.Context(), db, fmt.Sprint("a", i)); err != nil {
				t.Error(err)
			}
		})
		if _, err := admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", app); err != nil {
			t.Fatal(err)
		}
		if err := insert(t.Context(), db, fmt.Sprint("b", i)); err != nil {
			t.Error(err)
		}
	}
	if n := len(bodies(t, db)); n != 10 {
		t.Errorf("%d rows", n)
	}
}

// A connection lost before the commit was sent is no failure: the transaction is
// run again.
func TestConnectionLostInsideATransaction(t *testing.T) {
	raw, ok := postgresURL(t)
	if !ok {
		return
	}
	db := open(t, raw)
	defer db.Close()
	if err := db.Migrate(t.Context(), notes); err != nil {
		t.Fatal(err)
	}
	runs := 0
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		runs++
		if _, err := tx.Exec("INSERT INTO note (body, at) VALUES ('a', 0)"); err != nil {
			return err
		}
		if runs > 1 {
			return nil
		}
		_, err := tx.Exec("SELECT pg_terminate_backend(pg_backend_pid())")
		return err
	})
	if err != nil || runs != 2 || len(bodies(t, db)) != 1 {
		t.Errorf("%d runs, %v", runs, err)
	}
}

// A room that hides a failed serialisation behind an error of its own is run again
// all the same.
func TestHiddenSerialisationFailureIsRetried(t *testing.T) {
	raw, ok := postgresURL(t)
	if !ok {
		return
	}
	db := open(t, raw)
	defer db.Close()
	if err := db.Migrate(t.Context(), notes); err != nil {
		t.Fatal(err)
	}
	if err := insert(t.Context(), db, "a"); err != nil {
		t.Fatal(err)
	}
	runs := 0
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		runs++
		var at int64
		if err := tx.QueryRow("SELECT at FROM note WHERE body = 'a'").Scan(&at); err != nil {
			return err
		}
		if runs == 1 { // somebody else is quicker
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec("UPDATE note SET at = at + 1 WHERE body = 'a'")
				return err
			})
			if err != nil {
				return err
			}
		}
		if _, err := tx.Exec("UPDATE note SET at = $1 WHERE body = 'a'", at+10); err != nil {
			return fmt.Errorf("could not be saved")
		}
		return nil
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v", runs, err)
	}
	err = db.Read(t.Context(), func(tx *store.Tx) error {
		var at int64
		err := tx.QueryRow("SELECT at FROM note WHERE body = 'a'").Scan(&at)
		if at != 11 {
			t.Errorf("an update was lost: %d", at)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A commit is durable even where the server's default says otherwise.
func TestCommitIsSynchronous(t *testing.T) {
	raw, ok := postgresURL(t)
	if !ok {
		return
	}
	for set, want := range map[string]string{"off": "on", "remote_apply": "remote_apply"} {
		db := open(t, with(t, raw, "synchronous_commit", set))
		err := db.Read(t.Context(), func(tx *store.Tx) error {
			var got string
			err := tx.QueryRow("SELECT current_setting('synchronous_commit')").Scan(&got)
			if got != want {
				t.Errorf("%s became %s", set, got)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWrongEncodingIsRefused(t *testing.T) {
	raw, ok := postgresURL(t)
	if !ok {
		return
	}
	name := strings.ToLower(authn.NewID("ascii"))
	admin, err := sql.Open("pgx", raw)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.Exec("CREATE DATABASE " + name + " ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	defer admin.Exec("DROP DATABASE " + name) //nolint:errcheck // the server is the test's own
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	db, err := store.Open(t.Context(), store.Config{URL: u.String()})
	if err == nil {
		db.Close()
		t.Fatal("it was opened")
	}
	if !strings.Contains(err.Error(), "UTF8") {
		t.Error(err)
	}
}
