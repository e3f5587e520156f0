package app

import (
	"errors"
	"io"
	"os"

	"golang.org/x/term"
)

// terminal is standard input when a person types into it.
type terminal struct {
	in  *os.File
	say io.Writer
}

// asTerminal gives standard input as a terminal, if it is one.
func (d *Desk) asTerminal() (terminal, bool) {
	f, ok := d.streams.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return terminal{}, false
	}
	return terminal{f, d.streams.Err}, true
}

// Read reads what is typed, as it is shown.
func (t terminal) Read(p []byte) (int, error) { return t.in.Read(p) }

// Close leaves the terminal open.
func (t terminal) Close() error { return nil }

// Hidden asks for a secret and reads one line that is not shown. The screen is blind
// before the question stands there, so that nobody can answer too early.
func (t terminal) Hidden(prompt string) (text string, err error) {
	before, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, term.Restore(int(t.in.Fd()), before)) }()
	return term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{byteByByte{t.in}, t.say}, "").ReadPassword(prompt)
}

// byteByByte leaves what was typed after the line to whoever reads next.
type byteByByte struct{ io.Reader }

func (b byteByByte) Read(p []byte) (int, error) { return b.Reader.Read(p[:min(1, len(p))]) }
