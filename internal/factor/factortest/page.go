package factortest

import (
	"fmt"
	"html/template"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/lang"
)

// words checks that everything a page says of the kind exists in every language.
func (b *bench) words() {
	prompts := b.prompts()
	for _, tag := range b.Words.Tags() {
		p := b.Words.In(tag)
		need := []string{".name", ".choose", ".help"}
		for i := range need {
			need[i] = string(b.h.Kind) + need[i]
		}
		for _, prompt := range prompts {
			need = append(need, prompt.Title)
			if prompt.Button != "" { // a question may lead away by a link of its own
				need = append(need, prompt.Button)
			}
		}
		if o, ok := b.Factor.(factor.Operator); ok {
			for _, a := range o.Actions() {
				need = append(need, a.Label)
			}
		}
		for _, id := range need {
			if !p.Has(id) {
				b.t.Errorf("%s: nobody wrote %q", tag, id)
			}
		}
	}
}

// prompts are the questions of the kind: the challenge and those of the enrolment.
func (b *bench) prompts() []factor.Prompt {
	b.t.Helper()
	shown, err := b.Factor.Challenge(b.t.Context(), b.attempt(Owner))
	if err != nil {
		b.t.Fatal(err)
	}
	out := []factor.Prompt{shown}
	e, ok := b.enroller()
	if !ok {
		return out
	}
	trx := authn.NewID("trx")
	for range maxQuestions {
		if shown, err = e.Begin(b.t.Context(), b.within(Other, trx)); err != nil {
			b.t.Fatal(err)
		}
		out = append(out, shown)
		a := b.within(Other, trx)
		if _, err := e.Finish(b.t.Context(), a, b.Enrol(a, shown)); err == nil {
			return out
		}
	}
	return out
}

// pages renders every question in every language and looks at the result as a
// browser and a screen reader do.
func (b *bench) pages() {
	prompts := b.prompts()
	for _, tag := range b.Words.Tags() {
		all, err := parse(b.h.Templates, b.Words.In(tag))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, part := range all.Templates() {
			if name := part.Name(); strings.Contains(name, ".") && !strings.HasSuffix(name, ".html") && !strings.HasPrefix(name, string(b.h.Kind)+".") {
				b.t.Errorf("template %q does not begin with the kind", name)
			}
		}
		for _, p := range prompts {
			var page strings.Builder
			for _, name := range []string{p.Template, p.After} {
				if name == "" {
					continue
				}
				if err := all.ExecuteTemplate(&page, name, p.Data); err != nil {
					b.t.Fatalf("%s in %s: %v", name, tag, err)
				}
				if name == p.Template && p.Button != "" && strings.Contains(page.String(), "<button") {
					b.t.Errorf("%s: a button stands above the primary one and would take the Enter key", name)
				}
			}
			for _, complaint := range complaints(page.String()) {
				b.t.Errorf("%s in %s: %s", p.Template, tag, complaint)
			}
		}
	}
}

// parse reads the templates with the functions that pages give them.
func parse(files fs.FS, p lang.Printer) (*template.Template, error) {
	funcs := template.FuncMap{
		"t": p.T, "text": p.Text, "has": p.Has, "day": p.Day, "moment": p.Moment, "clock": p.Clock, "span": p.Span,
		"lang": func() string { return string(p.Tag()) },
	}
	all := template.New("").Funcs(funcs).Option("missingkey=error")
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".html") {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err == nil {
			_, err = all.Parse(string(text))
		}
		return err
	})
	return all, err
}

var (
	tagOf     = regexp.MustCompile(`(?s)<([a-z]+)((?:\s+[a-zA-Z-]+(?:="[^"]*")?)*)\s*/?>`)
	attribute = regexp.MustCompile(`([a-zA-Z-]+)(?:="([^"]*)")?`)
)

// element is an opening tag.
type element struct {
	name string
	attr map[string]string
}

func elements(page string) []element {
	var out []element
	for _, m := range tagOf.FindAllStringSubmatch(page, -1) {
		e := element{m[1], map[string]string{}}
		for _, a := range attribute.FindAllStringSubmatch(m[2], -1) {
			e.attr[a[1]] = a[2]
		}
		out = append(out, e)
	}
	return out
}

// complaints lists what is wrong with the fields of a form.
func complaints(page string) []string {
	var out []string
	complain := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	ids, labels := map[string]int{}, map[string]bool{}
	all := elements(page)
	for _, e := range all {
		if id := e.attr["id"]; id != "" {
			ids[id]++
		}
		if e.name == "label" {
			labels[e.attr["for"]] = true
		}
	}
	for id, n := range ids {
		if n > 1 {
			complain("the id %q stands %d times", id, n)
		}
	}
	for _, e := range all {
		out = append(out, e.complaints(ids, labels)...)
	}
	for _, bad := range []string{"<script", "<style", " style=", "javascript:", "ZgotmplZ", "&lt;no value", "<form", "<h1"} {
		if strings.Contains(page, bad) {
			complain("it holds %q", bad)
		}
	}
	if strings.TrimSpace(page) == "" {
		complain("it is empty")
	}
	return out
}

// shown are the kinds of input that people see.
func (e element) shown() bool {
	_, hidden := e.attr["hidden"]
	return slices.Contains([]string{"input", "select", "textarea"}, e.name) && !hidden && e.attr["type"] != "hidden"
}

func (e element) complaints(ids map[string]int, labels map[string]bool) []string {
	var out []string
	complain := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for name := range e.attr {
		if strings.HasPrefix(name, "on") {
			complain("<%s> has the script attribute %s", e.name, name)
		}
	}
	for _, id := range strings.Fields(e.attr["aria-describedby"]) {
		if ids[id] == 0 {
			complain("<%s> is described by %q, which is not there", e.name, id)
		}
	}
	switch {
	case e.shown():
		if !labels[e.attr["id"]] {
			complain("the field %q has no label", e.attr["name"])
		}
		if _, ok := e.attr["autocomplete"]; !ok && e.attr["type"] != "checkbox" && e.attr["type"] != "radio" {
			complain("the field %q does not say how it is filled in", e.attr["name"])
		}
		if e.attr["autocomplete"] == "one-time-code" && e.attr["inputmode"] != "numeric" {
			complain("the code field does not bring the digits up")
		}
	case e.name == "svg" && e.attr["aria-label"] == "" && e.attr["aria-hidden"] != "true":
		complain("a picture has no text")
	case e.name == "button" && e.attr["type"] == "":
		complain("a button does not say what it does")
	}
	return out
}
