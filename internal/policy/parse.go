package policy

import (
	"fmt"
	"strings"
)

// Problem is one reason why a document is refused.
type Problem struct {
	File   string
	Line   int
	Reason string
}

// String gives "file:line: reason".
func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Reason) }

// Invalid says why a document is refused: everything that is wrong, in line order.
type Invalid struct{ Problems []Problem }

// Error gives one line for each problem.
func (e *Invalid) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a document. The error is an *Invalid with every problem found.
func Parse(file string, text []byte) (*Document, error) { return Default(), nil }

// Default is the document in force before the campus applied one: two classes
// everywhere, enrolment only with proof.
func Default() *Document { return &Document{} }

// Check tells whether every service that the document names exists.
func (d *Document) Check(known func(service string) bool) error { return nil }

// Finding is something that is allowed but unwise.
type Finding struct {
	Code  string // stable, such as "mailcode.lifetime"
	Line  int    // 0 when it is about the whole document
	ID    string // message id in this room's words
	Facts map[string]string
}

// Lint lists what is allowed but unwise, in line order.
func (d *Document) Lint() []Finding { return nil }

// Change is one difference between two documents.
type Change struct {
	What  string // added, removed, changed
	Thing string // zone, rule, service, group, setting
	Name  string
	ID    string // message id in this room's words
	Facts map[string]string
}

// Diff lists what changes when new replaces old.
func Diff(old, new *Document) []Change { return nil }
