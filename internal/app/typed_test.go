package app

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair opens a pseudo terminal: what a person sits at, and what a program reads.
func pair(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		program.Close() //nolint:errcheck // the test is over
		person.Close()  //nolint:errcheck // the test is over
	})
	return person, program
}

// screen collects what the person sees; it answers a prompt once it stands there.
func screen(t *testing.T, person *os.File, answers map[string]string) (done chan string) {
	done = make(chan string, 1)
	go func() {
		var all strings.Builder
		part := make([]byte, 256)
		for {
			n, err := person.Read(part)
			all.Write(part[:n])
			for prompt, answer := range answers {
				if strings.HasSuffix(all.String(), prompt) {
					delete(answers, prompt)
					if _, err := person.WriteString(answer); err != nil {
						t.Error(err)
					}
				}
			}
			if err != nil || strings.HasSuffix(all.String(), "END\r\n") {
				done <- all.String()
				return
			}
		}
	}()
	return done
}

func seen(t *testing.T, done chan string) string {
	t.Helper()
	select {
	case text := <-done:
		return text
	case <-time.After(time.Minute):
		t.Fatal("the terminal waits")
		return ""
	}
}

// TestWhatIsTypedUnseen: a PIN at a terminal is asked for and never shown, and the
// terminal shows again what is typed afterwards.
func TestWhatIsTypedUnseen(t *testing.T) {
	person, program := pair(t)
	done := screen(t, person, map[string]string{"PIN: ": "271934\n", "more? ": "shown\n"})
	d := &Desk{ctx: t.Context(), streams: Streams{In: program, Out: program, Err: program}}
	f, err := d.Open("-")
	if err != nil {
		t.Fatal(err)
	}
	typed, err := f.(terminal).Hidden("PIN: ")
	if err != nil || typed != "271934" {
		t.Fatalf("%q, %v", typed, err)
	}
	if _, err := io.WriteString(program, "more? "); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, err := f.Read(line)
	if err != nil || string(line[:n]) != "shown\n" {
		t.Fatalf("%q, %v", line[:n], err)
	}
	if _, err := io.WriteString(program, "END\n"); err != nil {
		t.Fatal(err)
	}
	if text := seen(t, done); strings.Contains(text, "271934") || !strings.Contains(text, "PIN: ") || !strings.Contains(text, "shown") {
		t.Errorf("on the screen: %q", text)
	}
}

// TestAPipeIsNoTerminal: what a program sends is read as it is, again and again.
func TestAPipeIsNoTerminal(t *testing.T) {
	d := &Desk{ctx: t.Context(), streams: Streams{In: strings.NewReader("271934\nmore\n"), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}}
	for range 2 {
		f, err := d.Open("-")
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := f.(terminal); ok {
			t.Fatal("a pipe became a terminal")
		}
		text, err := io.ReadAll(f)
		if err != nil || string(text) != "271934\nmore\n" {
			t.Fatalf("%q, %v", text, err)
		}
	}
}

// TestAPassphraseIsTypedUnseen: what opens a root's key never stands on the screen.
func TestAPassphraseIsTypedUnseen(t *testing.T) {
	person, program := pair(t)
	done := screen(t, person, map[string]string{"Passphrase: ": "ivory lanterns\n"})
	d := &Desk{ctx: t.Context(), streams: Streams{In: program, Out: program, Err: program}}
	typed, err := d.Passphrase("Passphrase: ")
	if err != nil || typed.Reveal() != "ivory lanterns" {
		t.Fatal(err)
	}
	if _, err := io.WriteString(program, "END\n"); err != nil {
		t.Fatal(err)
	}
	if text := seen(t, done); strings.Contains(text, "lanterns") || !strings.Contains(text, "Passphrase: ") {
		t.Errorf("on the screen: %q", text)
	}
}
