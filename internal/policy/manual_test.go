package policy_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestManual: every example of the manual is a sound document together with the
// others, and every finding is listed.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	var whole strings.Builder
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	for _, b := range blocks {
		whole.WriteString(b[1] + "\n")
	}
	d := parse(t, whole.String())
	if len(blocks) < 5 || len(d.Rules()) != 3 || len(d.Zones()) != 2 {
		t.Errorf("%d examples", len(blocks))
	}
	words, err := os.ReadFile("words/en.toml")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`"policy\.lint\.([a-z_.0-9-]+)"`).FindAllStringSubmatch(string(words), -1)
	for _, c := range codes {
		if !strings.Contains(string(text), "`"+c[1]+"`") {
			t.Errorf("the manual does not name the finding %s", c[1])
		}
	}
	if len(codes) < 15 {
		t.Errorf("%d findings", len(codes))
	}
}
