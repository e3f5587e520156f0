package app

import (
	"bytes"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlLines tells in which line each key of a document stands, by its full name
// ("mail.from"), and each table.
func tomlLines(text []byte) map[string]int {
	lines := map[string]int{}
	p := unstable.Parser{}
	p.Reset(text)
	table := ""
	for p.NextExpression() {
		e := p.Expression()
		var parts []string
		line := 0
		for it := e.Key(); it.Next(); {
			n := it.Node()
			parts = append(parts, string(n.Data))
			if line == 0 {
				line = 1 + bytes.Count(text[:n.Raw.Offset], []byte("\n"))
			}
		}
		name := strings.Join(parts, ".")
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = name
		default:
			if table != "" {
				name = table + "." + name
			}
		}
		if _, there := lines[name]; !there {
			lines[name] = line
		}
	}
	return lines
}
