package xmlstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Limits bound what is taken. Zero fields stand for the defaults.
type Limits struct {
	Bytes  int64 // of the document; 256 MiB
	Token  int   // of one tag with its attributes, or one text; 1 MiB
	Head   int   // of the root's start and its signature; 64 KiB
	Depth  int   // of nested elements; 32
	Attrs  int   // of one element, with its declarations; 64
	Scope  int   // namespace declarations in force at one place; 128
	Names  int   // different names, prefixes and namespaces; 4,096
	Marked int   // elements with an id; 1,000,000
}

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 256 << 20
	}
	for _, d := range []struct {
		value *int
		def   int
	}{{&l.Token, 1 << 20}, {&l.Head, 64 << 10}, {&l.Depth, 32}, {&l.Attrs, 64}, {&l.Scope, 128}, {&l.Names, 4096}, {&l.Marked, 1_000_000}} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	return l
}

// Error says why a document was refused, and where.
type Error struct {
	Line   int
	Reason string
}

// Error gives line and reason.
func (e *Error) Error() string { return fmt.Sprintf("XML line %d: %s", e.Line, e.Reason) }

// scanner cuts the bytes into tokens. A token lies in the window until the next call.
type scanner struct {
	in     io.Reader
	limits Limits
	window []byte
	from   int // of the token
	to     int // of what was read
	read   int64
	line   int
	ended  bool
}

func newScanner(in io.Reader, limits Limits) *scanner {
	return &scanner{in: in, limits: limits, window: make([]byte, 64<<10), line: 1}
}

func (s *scanner) refuse(format string, args ...any) error {
	return &Error{s.line, fmt.Sprintf(format, args...)}
}

// more reads on; io.EOF when there is nothing more.
func (s *scanner) more() error {
	if s.ended {
		return io.EOF
	}
	if s.from > 0 {
		copy(s.window, s.window[s.from:s.to])
		s.to -= s.from
		s.from = 0
	}
	if s.to == len(s.window) {
		if s.to >= s.limits.Token {
			return s.refuse("a tag or text is longer than %d bytes", s.limits.Token)
		}
		wider := make([]byte, min(2*len(s.window), max(s.limits.Token, len(s.window)+1)))
		copy(wider, s.window[:s.to])
		s.window = wider
	}
	for range 100 {
		n, err := s.in.Read(s.window[s.to:])
		s.to += n
		if s.read += int64(n); s.read > s.limits.Bytes {
			return s.refuse("longer than %d bytes", s.limits.Bytes)
		}
		if errors.Is(err, io.EOF) {
			s.ended = true
			if n == 0 {
				return io.EOF
			}
			return nil
		}
		if n > 0 || err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// need makes sure that n bytes of the token are in the window; false at the end.
func (s *scanner) need(n int) (bool, error) {
	for s.to-s.from < n {
		if err := s.more(); errors.Is(err, io.EOF) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return true, nil
}

func (s *scanner) has(text string) (bool, error) {
	ok, err := s.need(len(text))
	return ok && string(s.window[s.from:s.from+len(text)]) == text, err
}

// drop ends a token of n bytes.
func (s *scanner) drop(n int) {
	s.line += bytes.Count(s.window[s.from:s.from+n], []byte("\n"))
	s.from += n
}

// until gives the token up to and with mark, searched after skip bytes.
func (s *scanner) until(mark string, skip int, what string) ([]byte, error) {
	for at := skip; ; {
		if i := bytes.Index(s.window[min(s.from+at, s.to):s.to], []byte(mark)); i >= 0 {
			return s.window[s.from : s.from+at+i+len(mark)], nil
		}
		at = max(skip, s.to-s.from-len(mark)+1)
		if err := s.more(); errors.Is(err, io.EOF) {
			return nil, s.refuse("%s does not end", what)
		} else if err != nil {
			return nil, err
		}
	}
}

// tag gives the token from "<" to the ">" that is in no attribute.
func (s *scanner) tag() ([]byte, error) {
	quote := byte(0)
	for at := 1; ; {
		for ; s.from+at < s.to; at++ {
			switch c := s.window[s.from+at]; {
			case quote != 0:
				if c == quote {
					quote = 0
				}
			case c == '"' || c == '\'':
				quote = c
			case c == '>':
				return s.window[s.from : s.from+at+1], nil
			case c == '<':
				return nil, s.refuse("< stands in a tag")
			}
		}
		if err := s.more(); errors.Is(err, io.EOF) {
			return nil, s.refuse("a tag does not end")
		} else if err != nil {
			return nil, err
		}
	}
}

// text gives the token up to the next "<".
func (s *scanner) text() ([]byte, error) {
	for at := 0; ; {
		if i := bytes.IndexByte(s.window[s.from+at:s.to], '<'); i >= 0 {
			return s.window[s.from : s.from+at+i], nil
		}
		at = s.to - s.from
		if err := s.more(); errors.Is(err, io.EOF) {
			return nil, s.refuse("the document ends inside an element")
		} else if err != nil {
			return nil, err
		}
	}
}

// space drops white space.
func (s *scanner) space() error {
	for {
		n := 0
		for s.from+n < s.to && isSpace(s.window[s.from+n]) {
			n++
		}
		full := s.from+n == s.to
		s.drop(n)
		if !full {
			return nil
		}
		if err := s.more(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// comment drops a comment (XML 1.0, 2.5).
func (s *scanner) comment() error {
	token, err := s.until("--", len("<!--"), "a comment")
	if err != nil {
		return err
	}
	n := len(token)
	if ok, err := s.need(n + 1); err != nil || !ok || s.window[s.from+n] != '>' {
		return errors.Join(err, s.refuse("a comment does not end well"))
	}
	if err := s.characters(s.window[s.from : s.from+n]); err != nil {
		return err
	}
	s.drop(n + 1)
	return nil
}

// characters refuses what is no character of XML (XML 1.0, 2.2).
func (s *scanner) characters(text []byte) error {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
				return s.refuse("U+%04X is no character of XML", c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return s.refuse("not UTF-8")
		}
		if r == 0xFFFE || r == 0xFFFF {
			return s.refuse("U+%04X is no character of XML", r)
		}
		i += size
	}
	return nil
}
