package policy_test

import (
	"errors"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

func anyService(string) bool { return true }

func TestBookKeepsVersions(t *testing.T) {
	db, clock := storetest.Open(t, policy.Schema())
	book := policy.NewBook(db)
	apply := func(text string) (n int64, err error) {
		err = db.Write(t.Context(), func(tx *store.Tx) error {
			n, err = book.Apply(tx, "admin", "campus.toml", []byte(text), anyService)
			return err
		})
		return n, err
	}
	active := func() (d *policy.Document, n int64) {
		err := db.Read(t.Context(), func(tx *store.Tx) error {
			var err error
			d, n, err = book.Active(tx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return d, n
	}
	if d, n := active(); n != 0 || d.Rule(policy.Question{Service: "x"}).Requirement.Classes != 2 {
		t.Fatalf("before the first version: %d", n)
	}
	one := "[[rule]]\nclasses = 1\n"
	if n, err := apply(one); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if d, n := active(); n != 1 || d.Rule(policy.Question{Service: "x"}).Requirement.Classes != 1 {
		t.Fatalf("version %d is in force", n)
	}
	if n, err := apply(one); n != 1 || err != nil {
		t.Fatalf("the same text again: %d %v", n, err)
	}
	var invalid *policy.Invalid
	if _, err := apply("[[rule]]\nclasses = 3\n"); !errors.As(err, &invalid) {
		t.Fatalf("a bad document: %v", err)
	}
	clock.Add(time.Hour)
	if n, err := apply("[[rule]]\nclasses = 2\n"); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		all, err := book.Versions(tx)
		if err != nil || len(all) != 2 || all[0].Number != 2 || all[0].Actor != "admin" || !all[0].At.Equal(clock.Now()) || all[0].Sum == all[1].Sum {
			t.Errorf("versions %+v %v", all, err)
		}
		v, d, err := book.Version(tx, 1)
		if err != nil || v.Number != 1 || string(d.Text()) != one || d.File() != "campus.toml" {
			t.Errorf("version 1: %+v %v", v, err)
		}
		if _, _, err := book.Version(tx, 9); !errors.Is(err, store.ErrNoRows) {
			t.Errorf("version 9: %v", err)
		}
		_, d, err = book.Version(tx, 0)
		if err != nil || d.Enrolment(policy.EnrolQuestion{Kind: "totp", Zone: authn.Zone{Kind: authn.Campus}}) {
			t.Errorf("built-in: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAbandonedVersionIsNotRemembered(t *testing.T) {
	db, _ := storetest.Open(t, policy.Schema())
	book := policy.NewBook(db)
	abandoned := errors.New("abandoned")
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := book.Apply(tx, "a", "f", []byte("[[rule]]\nclasses = 1\n"), anyService); err != nil {
			return err
		}
		if _, n, err := book.Active(tx); n != 1 || err != nil {
			t.Errorf("inside: %d %v", n, err)
		}
		return abandoned
	})
	if !errors.Is(err, abandoned) {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := book.Apply(tx, "a", "f", []byte("[[rule]]\nclasses = 2\n"), anyService)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Read(t.Context(), func(tx *store.Tx) error {
		d, n, err := book.Active(tx)
		if err == nil && (n != 1 || d.Rule(policy.Question{}).Requirement.Classes != 2) {
			t.Errorf("version %d has the abandoned rule", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestChangedVersionIsRefused(t *testing.T) {
	db, _ := storetest.Open(t, policy.Schema())
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := policy.NewBook(db).Apply(tx, "a", "f", []byte("[[rule]]\nclasses = 2\n"), anyService); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE policy_version SET text = $1", "[[rule]]\nclasses = 1\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Read(t.Context(), func(tx *store.Tx) error {
		_, _, err := policy.NewBook(db).Active(tx)
		return err
	})
	if err == nil {
		t.Fatal("a text that does not match its sum was put in force")
	}
}
