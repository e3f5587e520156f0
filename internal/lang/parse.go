package lang

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/pelletier/go-toml/v2"
)

// hole is the only action a sentence may hold.
var hole = regexp.MustCompile(`\{\{ ?\.([A-Za-z][A-Za-z0-9_]*) ?\}\}`)

// parse reads one word file. Every problem in it is reported.
func parse(tag Tag, text []byte) ([]*i18n.Message, error) {
	file, err := i18n.ParseMessageFileBytes(text, string(tag)+".toml", map[string]i18n.UnmarshalFunc{"toml": toml.Unmarshal})
	if err != nil {
		var decode *toml.DecodeError
		if errors.As(err, &decode) {
			line, _ := decode.Position()
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		return nil, err
	}
	slices.SortFunc(file.Messages, func(a, b *i18n.Message) int { return strings.Compare(a.ID, b.ID) })
	var wrong []error
	for _, m := range file.Messages {
		if strings.TrimSpace(m.Other) == "" {
			wrong = append(wrong, fmt.Errorf("%q says nothing", m.ID))
		}
		for _, form := range forms(m) {
			if !strings.Contains(form, "{{") && !strings.Contains(form, "}}") {
				continue
			}
			if rest := hole.ReplaceAllString(form, ""); strings.Contains(rest, "{{") || strings.Contains(rest, "}}") {
				wrong = append(wrong, fmt.Errorf("%q: a placeholder must be {{.Name}} and nothing more", m.ID))
			}
		}
	}
	return file.Messages, errors.Join(wrong...)
}

// forms lists the plural forms of a message; a simple one has just Other.
func forms(m *i18n.Message) []string {
	return []string{m.Zero, m.One, m.Two, m.Few, m.Many, m.Other}
}

// placeholders lists the facts that any form of a message uses, sorted.
func placeholders(m *i18n.Message) []string {
	names := []string{}
	for _, form := range forms(m) {
		if !strings.Contains(form, "{{") {
			continue
		}
		for _, found := range hole.FindAllStringSubmatch(form, -1) {
			names = append(names, found[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
