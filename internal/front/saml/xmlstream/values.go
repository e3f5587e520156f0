package xmlstream

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// plain gives text with references replaced and line ends normalised; inside an
// attribute literal white space becomes a space (XML 1.0, 2.11, 3.3.3 and 4.1). What
// needs no change is given back as it is.
func (s *scanner) plain(raw []byte, attribute bool) ([]byte, error) {
	if err := s.characters(raw); err != nil {
		return nil, err
	}
	easy := bytes.IndexByte(raw, '&') < 0 && bytes.IndexByte(raw, '\r') < 0
	if easy && (!attribute || bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\t') < 0) {
		return raw, nil
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\r' {
			if i+1 < len(raw) && raw[i+1] == '\n' {
				continue
			}
			c = '\n'
		}
		switch {
		case c == '&':
			end := bytes.IndexByte(raw[i:], ';')
			if end < 2 || end > 12 {
				return nil, s.refuse("a reference does not end")
			}
			r, err := s.reference(string(raw[i+1 : i+end]))
			if err != nil {
				return nil, err
			}
			out = utf8.AppendRune(out, r)
			i += end
		case attribute && (c == '\n' || c == '\t'):
			out = append(out, ' ')
		default:
			out = append(out, c)
		}
	}
	return out, nil
}

// reference knows the five of XML and characters, no entity.
func (s *scanner) reference(name string) (rune, error) {
	switch name {
	case "lt":
		return '<', nil
	case "gt":
		return '>', nil
	case "amp":
		return '&', nil
	case "quot":
		return '"', nil
	case "apos":
		return '\'', nil
	}
	if name[0] != '#' || len(name) < 2 {
		return 0, s.refuse("the entity %q is refused", name)
	}
	digits, base := name[1:], 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	code, err := strconv.ParseUint(digits, base, 32)
	if err != nil || digits[0] == '+' || code > utf8.MaxRune || code >= 0xD800 && code < 0xE000 {
		return 0, s.refuse("the reference %q is no character", name)
	}
	r := rune(code)
	return r, s.characters(utf8.AppendRune(nil, r))
}
