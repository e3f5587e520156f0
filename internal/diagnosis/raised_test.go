package diagnosis

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"

	"seimon/internal/authn"
)

// TestEveryCodeIsRaised: a cause that no room can raise has no place in the catalogue.
// A code counts as raised when a room writes it, or writes its family and its end
// apart; a family counts when one of its codes does, for which it is the fallback.
func TestEveryCodeIsRaised(t *testing.T) {
	said := literals(t)
	raised := map[authn.Code]bool{
		internalCode: true, hiddenCode: true, // of this room's own making
	}
	for _, c := range Codes() {
		family, end, parted := strings.Cut(string(c), ".")
		switch {
		case said[string(c)], parted && said[end] && (said[family] || said[family+"."]), refinedFromFacts(c):
			raised[c], raised[c.Family()] = true, true
		}
	}
	for _, c := range Codes() {
		if !raised[c] {
			t.Errorf("no room raises %s", c)
		}
	}
}

// refinedFromFacts are the codes that Advise makes of a fault and its facts.
func refinedFromFacts(c authn.Code) bool {
	for _, f := range []struct {
		code        authn.Code
		fact, value string
	}{
		{"P1", "caps_lock", "yes"}, {"P1", "kana", "yes"}, {"P1", "full_width", "yes"}, {"T2", "browser", "-120"},
		{"C4", "reason", "certificateHold"}, {"C4", "reason", "keyCompromise"}, {"C6", "since", "2026-04-06T00:00:00Z"},
	} {
		if refine(&authn.Fault{Code: f.code, Facts: map[string]string{f.fact: f.value}}) == c {
			return true
		}
	}
	return false
}

// literals collects the texts in the code of every other room.
func literals(t *testing.T) map[string]bool {
	t.Helper()
	said := map[string]bool{}
	err := fs.WalkDir(os.DirFS(".."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, "diagnosis/") || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile("../" + path)
		if err != nil {
			return err
		}
		var s scanner.Scanner
		set := token.NewFileSet()
		s.Init(set.AddFile(path, set.Base(), len(text)), text, nil, 0)
		for {
			_, kind, lit := s.Scan()
			if kind == token.EOF {
				return nil
			}
			if kind == token.STRING {
				if plain, err := strconv.Unquote(lit); err == nil {
					said[plain] = true
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return said
}
