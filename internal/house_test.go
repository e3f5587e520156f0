// Package house_test holds the walls of the house against the code: who may
// import whom, and how large a file, a function or an interface may be.
package house_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors gives each room its floor; a room imports only rooms of lower floors.
var floors = map[string]int{
	"store": 1, "authn": 1, "lang": 1,
	"policy": 2, "throttle": 2, "audit": 2, "mail": 2, "jobs": 2, "keyring": 2, "web": 2,
	"directory": 3, "session": 3, "rp": 3, "diagnosis": 3, "ca": 3,
	"factor": 4, "card": 4, "login": 5, "front": 6, "desk": 6, "app": 7,
}

// source is one Go file, without tests.
type source struct {
	path  string // from internal/, with slashes
	room  string // first element
	child string // second element below front, desk, factor, app, or empty
	file  *ast.File
	fset  *token.FileSet
	lines int
}

func (s source) imports() []string {
	var out []string
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(path), file: f, fset: fset, lines: fset.File(f.Pos()).LineCount()}
		parts := strings.Split(s.path, "/")
		s.room = parts[0]
		if len(parts) > 2 {
			s.child = parts[1]
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d files were found", len(out))
	}
	return out
}

// forTests tells whether a package exists only for tests.
func (s source) forTests() bool { return strings.HasSuffix(s.file.Name.Name, "test") }

func TestImportsOnlyFall(t *testing.T) {
	for _, s := range sources(t) {
		from, ok := floors[s.room]
		if !ok {
			t.Errorf("%s: room %s has no floor", s.path, s.room)
		}
		for _, p := range s.imports() {
			rest, ours := strings.CutPrefix(p, "seimon/internal/")
			if !ours || s.forTests() {
				continue
			}
			parts := strings.Split(rest, "/")
			if to := floors[parts[0]]; to >= from && parts[0] != s.room {
				t.Errorf("%s (floor %d) imports %s (floor %d)", s.path, from, rest, to)
			}
			child := len(parts) > 1
			own := s.room == parts[0] && child && s.child == parts[1] // a plug-in and its own parts
			if child && !own && slices.Contains([]string{"front", "desk", "factor"}, parts[0]) && s.room != "app" {
				t.Errorf("%s imports %s: only app knows the plug-ins", s.path, rest)
			}
		}
	}
}

func TestWalls(t *testing.T) {
	for _, s := range sources(t) {
		if s.forTests() {
			continue
		}
		for _, p := range s.imports() {
			top := strings.Split(strings.TrimPrefix(p, "seimon/internal/"), "/")[0]
			ours := strings.HasPrefix(p, "seimon/")
			switch {
			case s.room == "front" && ours && (top == "factor" || top == "ca"):
				t.Errorf("%s imports %s: a protocol asks, it never authenticates", s.path, p)
			case s.room == "factor" && (p == "net/http" || ours && slices.Contains([]string{"login", "front", "desk", "web"}, top)):
				t.Errorf("%s imports %s: a factor sees an answer, not a request", s.path, p)
			case ours && top == "web" && floors[s.room] < 5:
				t.Errorf("%s imports web: pages live on the top floors", s.path)
			case s.path == "policy/decide.go" && strings.Contains(p, ".") || s.path == "policy/decide.go" && ours && top != "authn":
				t.Errorf("%s imports %s: the decision is pure", s.path, p)
			case s.room != "store" && (strings.HasPrefix(p, "modernc.org/sqlite") || strings.HasPrefix(p, "github.com/jackc/")):
				t.Errorf("%s imports %s: only store knows a database driver", s.path, p)
			case s.room != "app" && p == "flag":
				t.Errorf("%s imports flag: only app reads flags", s.path)
			}
		}
	}
}

// outside are the functions of package os that reach for the environment or files.
var outside = []string{"Getenv", "LookupEnv", "Environ", "Args", "Open", "OpenFile", "ReadFile", "WriteFile", "Create", "Stat", "Remove", "Mkdir", "MkdirAll"}

func TestOnlyAppReachesOutside(t *testing.T) {
	for _, s := range sources(t) {
		if s.room == "app" || s.room == "store" || s.forTests() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "os" && slices.Contains(outside, sel.Sel.Name) {
					t.Errorf("%s: os.%s", s.fset.Position(n.Pos()), sel.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestNothingChangesBehindTheBack(t *testing.T) {
	for _, s := range sources(t) {
		for _, i := range s.file.Imports {
			if i.Name != nil && i.Name.Name == "_" && s.room != "store" && i.Path.Value != `"embed"` && i.Path.Value != `"time/tzdata"` {
				t.Errorf("%s: blank import of %s", s.path, i.Path.Value)
			}
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: an init function", s.path)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			assign, ok := n.(*ast.AssignStmt)
			if !ok || assign.Tok == token.DEFINE {
				return true
			}
			for _, l := range assign.Lhs {
				if id, ok := l.(*ast.Ident); ok && packageVar(s.file, id) {
					t.Errorf("%s: package variable %s is changed", s.fset.Position(n.Pos()), id.Name)
				}
			}
			return true
		})
	}
}

// packageVar tells whether an identifier is bound to a variable declared at the top of its file.
func packageVar(f *ast.File, id *ast.Ident) bool {
	if id.Obj == nil || id.Obj.Kind != ast.Var {
		return false
	}
	spec, ok := id.Obj.Decl.(*ast.ValueSpec)
	if !ok {
		return false
	}
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && slices.Contains(g.Specs, ast.Spec(spec)) {
			return true
		}
	}
	return false
}

func TestBudgets(t *testing.T) {
	var files, funcs []int
	login := 0
	for _, s := range sources(t) {
		files = append(files, s.lines)
		if s.lines > 800 {
			t.Errorf("%s has %d lines", s.path, s.lines)
		}
		if s.room == "login" && s.child == "" {
			login += code(s)
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				lines := s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
				funcs = append(funcs, lines)
				if lines > 100 {
					t.Errorf("%s: %s has %d lines", s.path, n.Name.Name, lines)
				}
				if k := n.Type.Params.NumFields(); k > 5 {
					t.Errorf("%s: %s has %d parameters", s.path, n.Name.Name, k)
				}
			case *ast.InterfaceType:
				if k := n.Methods.NumFields(); k > 6 {
					t.Errorf("%s: an interface of %d methods", s.fset.Position(n.Pos()), k)
				}
			}
			return true
		})
	}
	if p := p95(files); p > 500 {
		t.Errorf("95 of 100 files should have at most 500 lines; the mark is %d", p)
	}
	if p := p95(funcs); p > 60 {
		t.Errorf("95 of 100 functions should have at most 60 lines; the mark is %d", p)
	}
	if login > 1500 {
		t.Errorf("the hall has %d lines of code, more than 1500", login)
	}
}

// code counts the lines of a file that hold more than comment and space.
func code(s source) int {
	lines := map[int]bool{}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.Comment, *ast.CommentGroup:
			return false
		}
		lines[s.fset.Position(n.Pos()).Line] = true
		lines[s.fset.Position(n.End()-1).Line] = true
		return true
	})
	return len(lines)
}

func p95(n []int) int {
	slices.Sort(n)
	return n[len(n)*95/100]
}

func TestEverythingExportedIsDocumented(t *testing.T) {
	commented := map[string]bool{}
	for _, s := range sources(t) {
		dir := filepath.Dir(s.path)
		commented[dir] = commented[dir] || s.file.Doc != nil
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s: %s is not documented", s.path, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
						t.Errorf("%s: %s is not documented", s.path, ts.Name.Name)
					}
				}
			}
		}
	}
	for dir, ok := range commented {
		if !ok {
			t.Errorf("%s: the package has no comment", dir)
		}
	}
}

// exportedReceiver tells whether a function is one or belongs to an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	x := d.Recv.List[0].Type
	if star, ok := x.(*ast.StarExpr); ok {
		x = star.X
	}
	if idx, ok := x.(*ast.IndexExpr); ok {
		x = idx.X
	}
	id, ok := x.(*ast.Ident)
	return ok && id.IsExported()
}
