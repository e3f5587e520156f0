package feed_test

import (
	"slices"
	"testing"
	"time"

	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/store"
)

func TestServicesAreFoundByName(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	f.change = func(i int, p *aggregate.Provider) {
		if i == 3 {
			p.Names = map[string]string{"ja": "電子ジャーナル&図書", "en": "Journals & Books"}
		}
	}
	find := func(text string, limit int) ([]string, bool) {
		t.Helper()
		ids, more, err := h.feeds.Search(t.Context(), text, limit)
		if err != nil {
			t.Fatal(err)
		}
		return ids, more
	}
	if ids, more := find("service", 5); len(ids) != 0 || more {
		t.Errorf("in an empty house: %v", ids)
	}
	h.put(gakunin(h.world.publish("/all.xml", f.write(by, upTo(60)...)), by))
	h.must("gakunin")
	for text, want := range map[string][]string{
		"電子ジャーナル":            {entity(3)},
		"JOURNALS & books":   {entity(3)},
		"ジャーナル 図書":           {entity(3)},
		"ジャーナル 研究":           nil,
		"研究サービス 59":          {entity(59)},
		"sp00042.example":    {entity(42)},
		"research service 7": nil, // many
		"  ":                 nil,
		"<md:":               nil,
	} {
		if got, more := find(text, 3); !more && !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", text, got, want)
		}
	}
	if ids, more := find("研究", 20); len(ids) != 20 || !more {
		t.Errorf("%d found, more: %v", len(ids), more)
	}
	if ids, more := find("研究", 59); len(ids) != 59 || more {
		t.Errorf("%d found, more: %v", len(ids), more)
	}
	// Another process reads names alone: the documents may be anywhere.
	h.restart()
	h.write(func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE feed_document SET body = $1", []byte("none"))
		return err
	})
	if ids, _ := find("ジャーナル 図書", 3); !slices.Equal(ids, []string{entity(3)}) {
		t.Errorf("after a restart: %v", ids)
	}
	h.clock.Add(time.Hour)
	f.change = func(i int, p *aggregate.Provider) {
		if i == 3 {
			p.Names = map[string]string{"en": "Newspapers"}
		}
	}
	h.world.publish("/all.xml", f.write(by, upTo(59)...))
	h.must("gakunin")
	for text, n := range map[string]int{"ジャーナル": 0, "newspapers": 1, "sp00059": 0} {
		if got, _ := find(text, 3); len(got) != n {
			t.Errorf("after the change %q finds %v", text, got)
		}
	}
	if err := h.db.Read(t.Context(), func(tx *store.Tx) error {
		any, err := h.feeds.Any(tx)
		if !any {
			t.Error("there is nothing to look through")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// What an earlier version of the program loaded has no names yet. They are read once.
func TestNamesThatWereNotKeptAreReadOnce(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	h.put(gakunin(h.world.publish("/all.xml", f.write(by, upTo(300)...)), by))
	h.must("gakunin")
	h.write(func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM feed_name")
		return err
	})
	for range 2 {
		h.restart()
		if ids, _, err := h.feeds.Search(t.Context(), "研究サービス 259", 3); err != nil || !slices.Equal(ids, []string{entity(259)}) {
			t.Errorf("%v %v", ids, err)
		}
		h.write(func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE feed_document SET body = $1", []byte("none"))
			return err
		})
	}
}
