package app

import (
	"errors"
	"fmt"
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

// Hidden asks for a secret and reads one line that is not shown.
func (t terminal) Hidden(prompt string) (string, error) {
	if _, err := fmt.Fprint(t.say, prompt); err != nil {
		return "", err
	}
	text, err := term.ReadPassword(int(t.in.Fd()))
	_, bad := fmt.Fprintln(t.say) // the key that ended the line is not shown either
	return string(text), errors.Join(err, bad)
}
