package app

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"seimon/internal/authn"
)

// Line reads one line from whoever gives the command.
func (d *Desk) Line() (string, error) {
	if d.lines == nil {
		d.lines = bufio.NewReader(d.streams.In)
	}
	text, err := d.lines.ReadString('\n')
	switch {
	case errors.Is(err, io.EOF) && text != "":
		err = nil
	case errors.Is(err, io.EOF):
		err = errors.New("nothing was typed")
	}
	return strings.TrimRight(text, "\r\n"), err
}

// Passphrase asks for a passphrase. At a terminal nobody sees what is typed; otherwise
// it is the next line of standard input.
func (d *Desk) Passphrase(prompt string) (authn.Secret, error) {
	if t, ok := d.asTerminal(); ok {
		text, err := t.Hidden(prompt)
		return authn.Secret(text), err
	}
	text, err := d.Line()
	return authn.Secret(text), err
}
