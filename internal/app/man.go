package app

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

type manCommand struct{}

// Run prints the manual page seimon(1) in the macros of man(7), from the same
// source as --help.
func (manCommand) Run(d *Desk) error {
	_, err := fmt.Fprint(d.Out(), manual(d.parser.Model))
	return err
}

// exits explains the exit codes.
var exits = [...]struct {
	code int
	says string
}{
	{exitDone, "What was asked is done."},
	{exitFailed, "It could not be done; the reason is on standard error, and nothing half-done remains."},
	{exitUsage, "The command line is wrong."},
	{exitIll, "The doctor found something broken, or a log does not verify."},
}

func manual(m *kong.Application) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH SEIMON 1\n.SH NAME\nseimon \\- %s\n", roff(m.Help))
	b.WriteString(".SH SYNOPSIS\n.B seimon\n.I command\n[\\fIflags\\fR]\n.SH OPTIONS\n")
	manFlags(&b, m.Flags)
	b.WriteString(".SH COMMANDS\n")
	for _, n := range m.Children {
		manNode(&b, n)
	}
	b.WriteString(".SH EXIT STATUS\n")
	for _, e := range exits {
		fmt.Fprintf(&b, ".TP\n.B %d\n%s\n", e.code, roff(e.says))
	}
	return b.String()
}

// manNode writes the commands that can be run below a node.
func manNode(b *strings.Builder, n *kong.Node) {
	if n.Hidden {
		return
	}
	if n.Leaf() {
		fmt.Fprintf(b, ".SS %s\n%s\n", roff("seimon "+n.Summary()), roff(n.Help))
		if n.Detail != "" {
			fmt.Fprintf(b, ".PP\n%s\n", roff(n.Detail))
		}
		for _, p := range n.Positional {
			fmt.Fprintf(b, ".TP\n.I %s\n%s\n", roff(p.Name), roff(p.Help))
		}
		manFlags(b, n.Flags)
	}
	for _, child := range n.Children {
		manNode(b, child)
	}
}

func manFlags(b *strings.Builder, flags []*kong.Flag) {
	for _, f := range flags {
		name := "--" + f.Name
		if f.Short != 0 {
			name = "-" + string(f.Short) + ", " + name
		}
		if !f.IsBool() {
			name += "=" + f.FormatPlaceHolder()
		}
		says := f.Help
		for _, env := range f.Envs {
			says += " ($" + env + ")"
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(name), roff(says))
	}
}

// roff writes text so that nothing in it is a request (groff_char(7)).
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
