package rp

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Share says for whom and with which values an attribute leaves. Patterns are values, or
// expressions between slashes that the whole value must fit: "/urn:x:.*/", with an i
// behind the last slash for any case.
type Share struct {
	Groups []string `json:"groups,omitempty"` // of people; everybody when empty
	Only   []string `json:"only,omitempty"`   // values that fit one of them; all when empty
	Except []string `json:"except,omitempty"` // and none of these
}

// maxPatterns bounds the patterns of one attribute.
const maxPatterns = 100

// pattern gives the expression of a pattern; nil for one that is a value.
func pattern(text string) (*regexp.Regexp, error) {
	body, ok := strings.CutPrefix(text, "/")
	if !ok {
		if text == "" {
			return nil, errors.New("a pattern is empty")
		}
		return nil, nil
	}
	end := strings.LastIndexByte(body, '/')
	if end < 0 || body[end+1:] != "" && body[end+1:] != "i" {
		return nil, fmt.Errorf("the pattern %q must end with / or /i", text)
	}
	flags := ""
	if body[end+1:] == "i" {
		flags = "(?i)"
	}
	e, err := regexp.Compile(flags + `\A(?:` + body[:end] + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("the pattern %q: %w", text, err)
	}
	return e, nil
}

// CheckPatterns refuses patterns that cannot be read.
func CheckPatterns(patterns []string) error {
	if len(patterns) > maxPatterns {
		return fmt.Errorf("more than %d patterns", maxPatterns)
	}
	for _, p := range patterns {
		if len(p) > 1000 {
			return errors.New("a pattern is longer than 1,000 characters")
		}
		if _, err := pattern(p); err != nil {
			return err
		}
	}
	return nil
}

// fitting gives the values that fit one of the patterns. A pattern that cannot be read
// fits nothing where something is let out, and everything where something is held back.
func fitting(values, patterns []string, broken bool) map[string]bool {
	out := map[string]bool{}
	for _, p := range patterns {
		e, err := pattern(p)
		for _, v := range values {
			if err != nil && broken || err == nil && e == nil && v == p || e != nil && e.MatchString(v) {
				out[v] = true
			}
		}
	}
	return out
}

// of gives what of the values leaves by a share for somebody in these groups.
func (s Share) of(values, groups []string) map[string]bool {
	if len(s.Groups) > 0 && !slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(s.Groups, g) }) {
		return nil
	}
	out := map[string]bool{}
	if len(s.Only) > 0 {
		out = fitting(values, s.Only, false)
	} else {
		for _, v := range values {
			out[v] = true
		}
	}
	for v := range fitting(values, s.Except, true) {
		delete(out, v)
	}
	return out
}

// share is the part of a release that its own fields say.
func (r Release) share() Share { return Share{r.Groups, r.Only, r.Except} }

// values gives the values that leave for somebody in these groups, in their order.
func (r Release) values(all, groups []string) []string {
	if len(r.Only)+len(r.Except)+len(r.More)+len(r.Never) == 0 {
		if r.share().of(nil, groups) == nil && len(r.Groups) > 0 {
			return nil
		}
		return all
	}
	may := r.share().of(all, groups)
	for _, more := range r.More {
		for v := range more.of(all, groups) {
			if may == nil {
				may = map[string]bool{}
			}
			may[v] = true
		}
	}
	for v := range fitting(all, r.Never, true) {
		delete(may, v)
	}
	var out []string
	for _, v := range all {
		if may[v] {
			out = append(out, v)
		}
	}
	return out
}

// checkValues refuses patterns of a release that cannot be read.
func (r Release) checkValues() error {
	all := [][]string{r.Only, r.Except, r.Never}
	if len(r.More) > maxPatterns {
		return fmt.Errorf("more than %d shares", maxPatterns)
	}
	for _, s := range r.More {
		all = append(all, s.Only, s.Except)
	}
	for _, patterns := range all {
		if err := CheckPatterns(patterns); err != nil {
			return err
		}
	}
	return nil
}

// Join adds what two releases of one attribute give: required if one says so, for all if
// one is for all, with all values if one has all.
func (r *Release) Join(o Release) {
	r.Required = r.Required || o.Required
	r.Never = append(r.Never, o.Never...)
	plain := func(s Share) bool { return len(s.Only)+len(s.Except) == 0 }
	mine, other := r.share(), o.share()
	switch {
	case plain(mine) && plain(other) && len(r.More)+len(o.More) == 0:
		if len(r.Groups) == 0 || len(o.Groups) == 0 {
			r.Groups = nil
			return
		}
		for _, g := range o.Groups {
			if !slices.Contains(r.Groups, g) {
				r.Groups = append(r.Groups, g)
			}
		}
	case plain(mine) && len(mine.Groups) == 0: // it has everything already
	case plain(other) && len(other.Groups) == 0:
		r.Groups, r.Only, r.Except, r.More = nil, nil, nil, nil
	default:
		r.More = append(append(r.More, other), o.More...)
	}
}
