package web

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"text/template/parse"
	"time"

	"seimon/internal/lang"
)

//go:embed templates/*.html
var frame embed.FS

// templates are the pages of all rooms, once per language, because what a function
// says depends on it.
type templates struct {
	site    *Site
	defined map[string]string // template → file
	master  map[lang.Tag]*template.Template
	ready   map[lang.Tag]*template.Template // escaped copies; made at the first page
	once    sync.Once
}

// newTemplates makes an empty set for a site.
func newTemplates(s *Site) *templates {
	t := &templates{site: s, defined: map[string]string{}, master: map[lang.Tag]*template.Template{}}
	for _, tag := range s.cfg.Words.Tags() {
		t.master[tag] = template.New("").Funcs(t.funcs(tag)).Option("missingkey=zero")
	}
	return t
}

// add parses every *.html file.
func (t *templates) add(files fs.FS) error {
	if t.ready != nil {
		return errors.New("web: templates cannot be added after the first page was shown")
	}
	return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".html") {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		return t.addFile(path, string(text))
	})
}

// addFile parses one file into the set of each language.
func (t *templates) addFile(path, text string) error {
	for tag, master := range t.master {
		alone, err := template.New("").Funcs(t.funcs(tag)).Parse(text)
		if err != nil {
			return fmt.Errorf("web: %s: %w", path, err)
		}
		for _, part := range alone.Templates() {
			name := part.Name()
			if name == "" {
				continue
			}
			if file, again := t.defined[name]; again && file != path {
				return fmt.Errorf("web: template %q is defined in %s and in %s", name, file, path)
			}
			t.defined[name] = path
			if _, err := master.AddParseTree(name, part.Tree); err != nil {
				return fmt.Errorf("web: %s: %w", path, err)
			}
		}
	}
	return nil
}

// run executes a template in a language.
func (t *templates) run(w io.Writer, tag lang.Tag, name string, data any) error {
	t.once.Do(func() {
		ready := map[lang.Tag]*template.Template{}
		for tag, master := range t.master {
			ready[tag] = template.Must(master.Clone())
			t.fold(ready[tag], t.site.cfg.Words.In(tag).Fixed)
		}
		t.ready = ready
	})
	return t.ready[tag].ExecuteTemplate(w, name, data)
}

// funcs are the functions that templates may call.
func (t *templates) funcs(tag lang.Tag) template.FuncMap {
	p := t.site.cfg.Words.In(tag)
	return template.FuncMap{
		"t":      func(id string, facts ...any) string { return p.T(id, facts...) },
		"text":   func(id string, facts map[string]string) string { return p.Text(id, facts) },
		"has":    p.Has,
		"day":    func(at time.Time) string { return unlessZero(at, p.Day) },
		"moment": func(at time.Time) string { return unlessZero(at, p.Moment) },
		"clock":  func(at time.Time) string { return unlessZero(at, p.Clock) },
		"span":   p.Span,
		"lang":   func() string { return string(tag) },
		"url":    t.site.URL,
		"asset":  t.site.Asset,
		"dict":   dict,
		"part": func(name string, data any) (template.HTML, error) {
			var out strings.Builder
			err := t.run(&out, tag, name, data)
			return template.HTML(out.String()), err //nolint:gosec // the template escaped it
		},
	}
}

// unlessZero shows no date for a time that never was.
func unlessZero(at time.Time, show func(time.Time) string) string {
	if at.IsZero() {
		return ""
	}
	return show(at)
}

// dict makes a map from alternating keys and values.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict needs keys and values")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: the key %v is no text", pairs[i])
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}

// check walks every template and lists calls that lead nowhere.
func (t *templates) check() error {
	var wrong []error
	p := t.site.cfg.Words.In(lang.JA)
	for _, part := range t.master[lang.JA].Templates() {
		if part.Tree == nil {
			continue
		}
		walk(part.Tree.Root, func(kind, name string) {
			switch {
			case kind == "template" && t.defined[name] == "":
				wrong = append(wrong, fmt.Errorf("web: template %q calls %q, which nobody defined", part.Name(), name))
			case kind == "words" && !p.Has(name):
				wrong = append(wrong, fmt.Errorf("web: template %q says %q, which nobody wrote", part.Name(), name))
			case kind == "asset" && !t.site.assets.has(name):
				wrong = append(wrong, fmt.Errorf("web: template %q uses the file %q, which does not exist", part.Name(), name))
			}
		})
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(wrong...)
}

// walk reports the templates, sentences and files that a tree names by constants.
func walk(node parse.Node, found func(kind, name string)) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				walk(child, found)
			}
		}
	case *parse.IfNode:
		walkBranch(n.BranchNode, found)
	case *parse.RangeNode:
		walkBranch(n.BranchNode, found)
	case *parse.WithNode:
		walkBranch(n.BranchNode, found)
	case *parse.TemplateNode:
		found("template", n.Name)
		walk(n.Pipe, found)
	case *parse.ActionNode:
		walk(n.Pipe, found)
	case *parse.PipeNode:
		if n != nil {
			for _, command := range n.Cmds {
				walk(command, found)
			}
		}
	case *parse.CommandNode:
		walkCommand(n, found)
	}
}

// walkBranch walks an if, range or with.
func walkBranch(n parse.BranchNode, found func(kind, name string)) {
	walk(n.Pipe, found)
	walk(n.List, found)
	walk(n.ElseList, found)
}

// walkCommand reports a call whose first argument is a constant.
func walkCommand(n *parse.CommandNode, found func(kind, name string)) {
	kinds := map[string]string{"t": "words", "text": "words", "part": "template", "asset": "asset"}
	if call, ok := n.Args[0].(*parse.IdentifierNode); ok && len(n.Args) > 1 {
		if constant, ok := n.Args[1].(*parse.StringNode); ok && kinds[call.Ident] != "" {
			found(kinds[call.Ident], constant.Text)
		}
	}
	for _, arg := range n.Args {
		if pipe, ok := arg.(*parse.PipeNode); ok {
			walk(pipe, found)
		}
	}
}
