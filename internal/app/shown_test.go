package app

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestAStrangersTextDoesNotCommandTheTerminal: names and error texts come from outside.
func TestAStrangersTextDoesNotCommandTheTerminal(t *testing.T) {
	person, program := pair(t)
	done := screen(t, person, map[string]string{})
	d := &Desk{ctx: t.Context(), streams: Streams{In: program, Out: program, Err: program}}
	for _, bad := range []string{"\x1b[2J", "\x1b]0;title\a", "\u009b31m", "\x9b31m", "\b\b\b", "\rseimon: all is well", "\x7f", "\u202egnp.exe", "\u2066x", "\x00"} {
		fmt.Fprintf(d.Out(), "name %s", bad)
		d.exit(fmt.Errorf("service %s is not known", bad))
	}
	const plain = "\t正門 é 😀\n"
	for i := range len(plain) { // also byte by byte
		fmt.Fprint(d.Out(), plain[i:i+1])
	}
	fmt.Fprint(d.Out(), "one\r\ntwo\r")
	fmt.Fprint(d.Out(), "\nthree\n")
	if _, err := io.WriteString(program, "END\n"); err != nil {
		t.Fatal(err)
	}
	text := seen(t, done)
	if strings.ContainsAny(strings.ReplaceAll(text, "\r\n", "\n"), "\x1b\a\b\r\x7f\x00\u009b\u202e\u2066") || strings.Contains(text, "\x9b3") {
		t.Errorf("on the screen: %q", text)
	}
	if !strings.Contains(text, strings.ReplaceAll(plain, "\n", "\r\n")) || !strings.Contains(text, "name \uFFFD[2J") || !strings.Contains(text, "one\r\ntwo\r\nthree\r\n") {
		t.Errorf("on the screen: %q", text)
	}
}

// TestAFileGetsEveryByte: certificates, lists and exports go out as they are.
func TestAFileGetsEveryByte(t *testing.T) {
	var out bytes.Buffer
	d := &Desk{ctx: t.Context(), streams: Streams{Out: &out, Err: &out}}
	const text = "\x30\x82\x00\xff\r\n\x1b\u202e"
	if _, err := io.WriteString(d.Out(), text); err != nil || out.String() != text {
		t.Errorf("%q, %v", out.String(), err)
	}
}
