package app

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestManualPage(t *testing.T) {
	s := &site{t: t, config: filepath.Join(t.TempDir(), "none.toml")}
	page := s.must("man")
	for _, want := range []string{
		".TH SEIMON 1\n", `.SS seimon user add`, `.SS seimon cert log verify`, `.B \-\-config=FILE`, `seimon managed\-computers <browser>`, ".B 3\nThe doctor", "($SEIMON_CONFIG)",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the manual page lacks %q", want)
		}
	}
	request := regexp.MustCompile(`^\.(TH|SH|SS|TP|PP|B|I) `)
	for line := range strings.Lines(page) {
		bare := strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(bare, ".") && bare != ".TP" && bare != ".PP" && !request.MatchString(bare) || strings.HasPrefix(bare, "'") {
			t.Errorf("text is taken for a request: %q", bare)
		}
	}
	if got := roff(".B a-b\\c\n.SH d"); got != `\&.B a\-b\ec .SH d` {
		t.Errorf("roff gives %q", got)
	}
}
