package diagnosis

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"seimon/internal/lang"
)

// manual is the chapter in which every code can be looked up.
const manual = "../../docs/diagnosis.md"

// table is the list of codes as the manual must show it.
func table(p lang.Printer) string {
	who := map[audience]string{
		anyone: "anybody", before: "before proof", afterOld: "who typed the old password", afterProof: "after proof", operators: "desk, owner of the service, administrators",
	}
	var b strings.Builder
	b.WriteString("| code | who may be told | facts | the page says |\n| --- | --- | --- | --- |\n")
	for _, c := range everything() {
		var facts []string
		for _, f := range c.facts {
			facts = append(facts, "`"+f.name+"`")
		}
		id := "diagnosis." + string(c.code)
		if p.Has(id + ".plain.cause") {
			id += ".plain"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.code, who[c.see], strings.Join(facts, ", "), p.T(id+".cause"))
	}
	return b.String()
}

// TestManualListsEveryCode: codes are documented and searchable. Setting
// SEIMON_WRITE_MANUAL writes the table anew.
func TestManualListsEveryCode(t *testing.T) {
	w, err := lang.New(nil, Words())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), "<!-- codes -->\n")
	_, tail, ok2 := strings.Cut(rest, "<!-- end of codes -->")
	if !ok || !ok2 {
		t.Fatal("the manual has no place for the codes")
	}
	want := head + "<!-- codes -->\n" + table(w.In(lang.EN)) + "<!-- end of codes -->" + tail
	if os.Getenv("SEIMON_WRITE_MANUAL") != "" {
		if err := os.WriteFile(manual, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Error("docs/diagnosis.md is not what the catalogue says: run SEIMON_WRITE_MANUAL=1 go test ./internal/diagnosis -run Manual")
	}
	for _, c := range []string{"database", "database.slow", "clock", "proxy", "proxy.single", "key", "key.overdue", "mail", "zonegap", "policy", "failed"} {
		if !strings.Contains(string(text), "| `"+c+"` |") {
			t.Errorf("the manual does not name the doctor's finding %s", c)
		}
	}
}
