package feed

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"seimon/internal/rp"
)

func sized(id string, version int64, bytes int) rp.Party {
	return rp.Party{ID: id, Version: version, Registration: json.RawMessage(strings.Repeat("x", bytes))}
}

func TestTheShelfIsBoundedByBytes(t *testing.T) {
	s := newShelf(100_000)
	for n := range 1000 {
		id := fmt.Sprint("sp", n)
		s.put(id, sized(id, 1, 1000))
		if s.held > s.limit {
			t.Fatalf("%d bytes are held", s.held)
		}
	}
	if _, ok := s.get("sp999", 1); !ok {
		t.Error("the newest was forgotten")
	}
	if _, ok := s.get("sp0", 1); ok {
		t.Error("the oldest is still there")
	}
	few := len(s.byID)
	s.put("large", sized("large", 1, 90_000))
	if _, ok := s.get("large", 1); !ok || len(s.byID) >= few {
		t.Errorf("%d are kept beside a large one, %d before", len(s.byID), few)
	}
	s.put("larger", sized("larger", 1, 200_000))
	if _, ok := s.get("larger", 1); ok || s.held > s.limit {
		t.Errorf("one larger than the shelf is kept: %d bytes", s.held)
	}
	if len(s.order) != len(s.byID) {
		t.Errorf("%d in order, %d kept", len(s.order), len(s.byID))
	}
}

func TestTheShelfGivesTheAskedVersionOnly(t *testing.T) {
	s := newShelf(100_000)
	s.put("sp", sized("sp", 1, 10))
	s.put("sp", sized("sp", 2, 5000))
	if _, ok := s.get("sp", 1); ok {
		t.Error("the former version was given")
	}
	p, ok := s.get("sp", 2)
	if !ok || s.held != p.Weight() {
		t.Errorf("held %d, the only party weighs %d", s.held, p.Weight())
	}
}
