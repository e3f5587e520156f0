package rp

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"seimon/internal/lang"
)

// Fields are the parts of a party that add and set take as flags. What is not
// named stays as it is; a list that is named replaces the old list.
type Fields struct {
	Name     []string `help:"Name in one language, as ja=図書館. Repeatable." sep:"none" placeholder:"LANG=NAME"`
	Logo     *string  `help:"Address of the logo."`
	Home     *string  `help:"Address of the service's first page."`
	Contact  *string  `help:"Mail address of the people who run the service."`
	Sector   *string  `help:"Services of one sector know an account under one pairwise subject."`
	Pairwise *bool    `help:"Give this service subjects that other services do not know." negatable:""`
	Release  []string `help:"Attribute that may leave, as mail or mail=required. Repeatable; 'none' for none." placeholder:"ATTRIBUTE[=required]"`
	Consent  *string  `help:"How people are asked: ask, inform or none."`
	Disabled *bool    `help:"Refuse sign-ins to this service." negatable:""`
	With     []string `help:"Member of the protocol's registration, as redirect_uris=https://... Repeat for a list (a name that ends in s is always one); JSON values are taken as JSON; an empty value removes it." sep:"none" placeholder:"NAME=VALUE"`
}

func (f *Fields) apply(p *Party) error {
	if len(f.Name) > 0 {
		p.Names = map[lang.Tag]string{}
		for _, text := range f.Name {
			tag, name, err := splitPair(text)
			if err != nil {
				return err
			}
			p.Names[lang.Tag(tag)] = name
		}
	}
	replace(&p.LogoURL, f.Logo)
	replace(&p.HomeURL, f.Home)
	replace(&p.Contact, f.Contact)
	replace(&p.Sector, f.Sector)
	replace(&p.Pairwise, f.Pairwise)
	replace(&p.Consent, f.Consent)
	replace(&p.Disabled, f.Disabled)
	if err := f.applyRelease(p); err != nil {
		return err
	}
	return f.applyRegistration(p)
}

func replace[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func (f *Fields) applyRelease(p *Party) error {
	if len(f.Release) == 0 {
		return nil
	}
	p.Release = nil
	for _, text := range f.Release {
		attribute, how, _ := strings.Cut(text, "=")
		switch {
		case text == "none":
		case how == "required", how == "optional", how == "":
			p.Release = append(p.Release, Release{Attribute: attribute, Required: how == "required"})
		default:
			return fmt.Errorf("release %q: after = stands required or optional", text)
		}
	}
	return nil
}

func (f *Fields) applyRegistration(p *Party) error {
	if len(f.With) == 0 {
		return nil
	}
	members := map[string]any{}
	if len(p.Registration) > 0 {
		if err := json.Unmarshal(p.Registration, &members); err != nil {
			return err
		}
	}
	named := map[string]int{}
	for _, text := range f.With {
		name, value, err := splitPair(text)
		if err != nil {
			return err
		}
		named[name]++
		switch read := readValue(value); {
		case value == "":
			delete(members, name)
		case named[name] == 1 && (!strings.HasSuffix(name, "s") || isList(read)):
			members[name] = read
		case named[name] == 1:
			members[name] = []any{read}
		default:
			list, ok := members[name].([]any)
			if !ok {
				list = []any{members[name]}
			}
			members[name] = append(list, read)
		}
	}
	text, err := json.Marshal(members)
	p.Registration = text
	return err
}

var numberForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)

// readValue takes objects, lists, truth values and short numbers as JSON and all else as text.
func readValue(text string) any {
	if text == "true" || text == "false" || numberForm.MatchString(text) || strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		var v any
		if json.Unmarshal([]byte(text), &v) == nil {
			return v
		}
	}
	return text
}

func isList(v any) bool {
	switch v.(type) {
	case []any, map[string]any, bool:
		return true
	}
	return false
}
