package app

import (
	"io"
	"os"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// shown writes to a terminal what strangers may have sent: user names, names in
// certificates, names of services. A terminal obeys control characters, so none but
// the ends of lines and tabs get through. Files and pipes get every byte as it is.
type shown struct {
	mu   sync.Mutex
	to   io.Writer
	rest []byte // the beginning of a character that is still to come
}

// onScreen stands in front of a stream that is a terminal.
func onScreen(to io.Writer) io.Writer {
	if f, ok := to.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &shown{to: to}
	}
	return to
}

// Write writes b with what a terminal would obey made visible.
func (s *shown) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := append(s.rest, b...)
	s.rest = nil
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		if !utf8.FullRune(text) || string(text) == "\r" {
			s.rest = append([]byte(nil), text...)
			break
		}
		r, size := utf8.DecodeRune(text)
		if r == '\r' && text[1] == '\n' { // the terminal makes its own
			text = text[1:]
			continue
		}
		if obeyed(r) {
			r = utf8.RuneError
		}
		out = utf8.AppendRune(out, r)
		text = text[size:]
	}
	if _, err := s.to.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// obeyed tells whether a terminal does something else with a character than to show
// it: control characters, and those that turn the direction of writing.
func obeyed(r rune) bool {
	if r == '\n' || r == '\t' {
		return false
	}
	return unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
