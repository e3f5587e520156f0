package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// reader turns TOML into tables whose every value knows its line, and collects
// what is wrong instead of stopping at the first fault.
type reader struct {
	file     string
	lines    map[string]int // by path
	problems []Problem
}

// table is one TOML table on its way into the document.
type table struct {
	r     *reader
	path  string
	vals  map[string]any
	known map[string]bool // keys that somebody asked for
}

// readTOML reads the text; nil means that its syntax is broken.
func readTOML(r *reader, text []byte) *table {
	var vals map[string]any
	if err := toml.Unmarshal(text, &vals); err != nil {
		line := 1
		var d *toml.DecodeError
		if errors.As(err, &d) {
			line, _ = d.Position()
		}
		r.fault(line, "not valid TOML: %s", strings.TrimPrefix(err.Error(), "toml: "))
		return nil
	}
	r.lines = indexLines(text)
	return &table{r: r, vals: vals, known: map[string]bool{}}
}

func (r *reader) fault(line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{r.file, line, fmt.Sprintf(format, args...)})
}

// join makes the path of a key or of the i-th element below a path.
func join(path, key string) string { return path + "\x00" + key }

func element(path string, i int) string { return path + "\x00#" + strconv.Itoa(i) }

// indexLines finds the line of every key, table and array element of a sound document.
func indexLines(text []byte) map[string]int {
	x := &lineIndex{lines: map[string]int{}, arrays: map[string]int{}}
	for i, c := range text {
		if c == '\n' {
			x.breaks = append(x.breaks, uint32(i))
		}
	}
	x.p.Reset(text)
	base := ""
	for x.p.NextExpression() {
		e := x.p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			base = x.header(e)
		case unstable.KeyValue:
			x.keyValue(base, e)
		}
	}
	return x.lines
}

type lineIndex struct {
	p      unstable.Parser
	lines  map[string]int
	arrays map[string]int // path of an array of tables: its last element
	breaks []uint32       // where the lines end
}

func (x *lineIndex) line(n *unstable.Node) int {
	i, _ := slices.BinarySearch(x.breaks, n.Raw.Offset)
	return i + 1
}

func (x *lineIndex) note(path string, line int) {
	if _, ok := x.lines[path]; !ok {
		x.lines[path] = line
	}
}

func (x *lineIndex) header(e *unstable.Node) string {
	path, line := "", 0
	for it := e.Key(); it.Next(); {
		if n, ok := x.arrays[path]; ok {
			path = element(path, n)
		}
		path, line = join(path, string(it.Node().Data)), x.line(it.Node())
		x.note(path, line)
	}
	n, ok := x.arrays[path]
	if e.Kind == unstable.ArrayTable {
		if ok {
			n++
		}
		x.arrays[path] = n
		ok = true
	}
	if ok {
		path = element(path, n)
		x.note(path, line)
	}
	return path
}

func (x *lineIndex) keyValue(path string, e *unstable.Node) {
	line := 0
	for it := e.Key(); it.Next(); {
		path, line = join(path, string(it.Node().Data)), x.line(it.Node())
		x.note(path, line)
	}
	x.value(path, line, e.Value())
}

func (x *lineIndex) value(path string, line int, v *unstable.Node) {
	switch v.Kind {
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			at := line
			if it.Node().Raw.Length > 0 {
				at = x.line(it.Node())
			}
			x.note(element(path, i), at)
			x.value(element(path, i), at, it.Node())
		}
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			x.keyValue(path, it.Node())
		}
	}
}

// line is the line of a key of the table, or of the table itself.
func (t *table) line(key string) int {
	if n, ok := t.r.lines[join(t.path, key)]; ok {
		return n
	}
	return t.here()
}

func (t *table) here() int { return max(1, t.r.lines[t.path]) }

func (t *table) has(key string) bool {
	_, ok := t.vals[key]
	return ok
}

func (t *table) take(key string) (any, bool) {
	t.known[key] = true
	v, ok := t.vals[key]
	return v, ok
}

func (t *table) wrong(key, want string) { t.r.fault(t.line(key), "%s must be %s", key, want) }

func (t *table) text(key string) string {
	v, ok := t.take(key)
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok || strings.TrimSpace(s) == "" {
		t.wrong(key, "a text that is not empty")
		return ""
	}
	return s
}

// item is one text of a list with its line.
type item struct {
	text string
	line int
}

func (t *table) list(key string) []item {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	all, ok := v.([]any)
	if !ok {
		t.wrong(key, "a list of texts")
		return nil
	}
	var out []item
	seen := map[string]bool{}
	for i, v := range all {
		line := t.r.lines[element(join(t.path, key), i)]
		s, ok := v.(string)
		if !ok || strings.TrimSpace(s) == "" {
			t.r.fault(line, "%s must hold only texts that are not empty", key)
			continue
		}
		if seen[s] {
			t.r.fault(line, "%s holds %q twice", key, s)
			continue
		}
		seen[s] = true
		out = append(out, item{s, line})
	}
	return out
}

func texts(items []item) []string {
	var out []string
	for _, i := range items {
		out = append(out, i.text)
	}
	return out
}

func (t *table) number(key string, otherwise, low, high int) int {
	v, ok := t.take(key)
	if !ok {
		return otherwise
	}
	n, ok := v.(int64)
	if !ok || n < int64(low) || n > int64(high) {
		t.wrong(key, fmt.Sprintf("a whole number from %d to %d", low, high))
		return otherwise
	}
	return int(n)
}

func (t *table) flag(key string) bool {
	v, ok := t.take(key)
	if !ok {
		return false
	}
	b, ok := v.(bool)
	if !ok {
		t.wrong(key, "true or false")
	}
	return b
}

func (t *table) duration(key string, otherwise, low, high time.Duration) time.Duration {
	v, ok := t.take(key)
	if !ok {
		return otherwise
	}
	s, _ := v.(string)
	d, err := parseDuration(s)
	if err != nil || d < low || d > high {
		t.wrong(key, fmt.Sprintf(`a duration from %s to %s, such as "10m" or "24h"`, brief(low), brief(high)))
		return otherwise
	}
	return d
}

// parseDuration reads a Go duration or whole days ("7d").
func parseDuration(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.Atoi(n)
		if err != nil || days < 0 || days > 3650 {
			return 0, errors.New("bad number of days")
		}
		return time.Duration(days) * 24 * time.Hour, nil
	}
	return time.ParseDuration(s)
}

// brief writes a duration without zero parts: "10m", "24h".
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// table opens a table below this one; nil when it is not there or not a table.
func (t *table) table(key string) *table {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	vals, ok := v.(map[string]any)
	if !ok {
		t.wrong(key, "a table: ["+key+"]")
		return nil
	}
	return &table{r: t.r, path: join(t.path, key), vals: vals, known: map[string]bool{}}
}

// tables opens an array of tables.
func (t *table) tables(key string) []*table {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	all, ok := v.([]any)
	if !ok {
		t.wrong(key, "written as [["+key+"]]")
		return nil
	}
	var out []*table
	for i, v := range all {
		vals, ok := v.(map[string]any)
		if !ok {
			t.wrong(key, "written as [["+key+"]]")
			continue
		}
		out = append(out, &table{r: t.r, path: element(join(t.path, key), i), vals: vals, known: map[string]bool{}})
	}
	return out
}

// names lists the keys that nobody asked for yet, in line order.
func (t *table) names() []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(t.vals)) {
		if !t.known[k] {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return t.line(a) - t.line(b) })
	return out
}

// end refuses every key that nobody asked for.
func (t *table) end() {
	for _, k := range t.names() {
		reason := fmt.Sprintf("unknown key %q", k)
		if near := nearest(k, slices.Sorted(maps.Keys(t.known))); near != "" {
			reason += fmt.Sprintf("; did you mean %q?", near)
		}
		t.r.fault(t.line(k), "%s", reason)
	}
}

// nearest finds the word that a mistyped one was likely meant to be.
func nearest(word string, words []string) string {
	best, limit := "", 2
	if len(word) >= 4 {
		limit = len(word)/4 + 2
	}
	for _, w := range words {
		if n := distance(word, w); n < limit {
			best, limit = w, n
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
