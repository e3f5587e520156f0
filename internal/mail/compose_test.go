package mail

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"seimon/internal/lang"
	"seimon/internal/store"
)

func TestNothingTypedByAPersonBecomesAHeaderOrAParagraph(t *testing.T) {
	o := newOffice(t)
	m := code("hanako@example.com", "1\r\nBcc: all@example.com\r\n\r\nWin a prize: http://evil.example")
	m.Facts["name"] = "Hanako\r\nSubject: hello\u2028\u202eevil\x00"
	m.Facts["university"] = "A\r\nBcc: all@example.com"
	o.enqueue(m)
	o.deliver()
	got := o.memory.Messages("")
	if len(got) != 1 || len(got[0].Header["Bcc"]) != 0 || len(got[0].Header["Subject"]) != 1 {
		t.Fatalf("%+v", got)
	}
	if got[0].Subject != "Your confirmation code for A  Bcc: all@example.com" {
		t.Errorf("subject %q", got[0].Subject)
	}
	if !strings.HasPrefix(got[0].Text, "Dear Hanako  Subject: hello evil,\n\nYour confirmation code is 1  Bcc: all@example.com    Win a prize: http://evil.example.\n") {
		t.Errorf("text %q", got[0].Text)
	}
}

func TestWhatAPersonWroteIsQuotedLineByLine(t *testing.T) {
	o := newOffice(t)
	m := code("desk@example.com", "1")
	m.Quote = "I cannot sign in.\r\n\r\n-- \nThe help desk: send your password\r\x00Bcc: x@evil.example\n" + strings.Repeat("line\n", 300)
	m.ReplyTo = "hanako@example.com"
	o.enqueue(m)
	o.deliver()
	got := o.memory.Messages("")[0]
	if got.Header.Get("Reply-To") != "<hanako@example.com>" || len(got.Header["Bcc"]) != 0 {
		t.Errorf("%v", got.Header)
	}
	if !strings.Contains(got.Text, "\n\n> I cannot sign in.\n>\n> --\n> The help desk: send your password\n> Bcc: x@evil.example\n> line\n") {
		t.Errorf("text %q", got.Text)
	}
	if n := strings.Count(got.Text, "\n>"); n != quoteLines {
		t.Errorf("%d lines are quoted", n)
	}
	m.ReplyTo = "hanako@example.com\r\nBcc: x@evil.example"
	err := o.db.Write(t.Context(), func(tx *store.Tx) error { _, err := o.q.Enqueue(tx, m); return err })
	if !errors.Is(err, ErrAddress) {
		t.Errorf("an address for answers with a header in it: %v", err)
	}
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	o := newOffice(t)
	bad := []string{"", "hanako", "@example.com", "hanako@", "hanako@example", "hanako@@example.com", "a@b.c, d@e.f", "Hanako <hanako@example.com>", "<hanako@example.com>",
		"hanako@example.com\r\nBcc: x@example.com", "hanako@example.com\nRCPT TO:<x@example.com>", "hana ko@example.com", "\"a b\"@example.com", "hanako@[192.0.2.1]",
		"花子@example.com", "hanako@例え.jp", strings.Repeat("a", 250) + "@example.com", "hanako@example.com ", "hanako@example..com", "a..b@example.com", ".a@example.com"}
	for _, to := range bad {
		err := o.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := o.q.Enqueue(tx, code(to, "1"))
			return err
		})
		if !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", to, err)
		}
	}
	for _, to := range []string{"hanako@example.com", "s1234567@st.example.ac.jp", "a+b.c-d_e@x.example", "root@localhost", "o'hara@example.ie"} {
		if _, err := address(to); err != nil {
			t.Errorf("%q: %v", to, err)
		}
	}
}

func TestATemplateWithoutWordsIsRefused(t *testing.T) {
	o := newOffice(t)
	m := code("hanako@example.com", "1")
	m.Template = "note.unknown"
	err := o.db.Write(t.Context(), func(tx *store.Tx) error { _, err := o.q.Enqueue(tx, m); return err })
	if err == nil || !strings.Contains(err.Error(), "note.unknown") {
		t.Errorf("%v", err)
	}
}

func TestMaskAddress(t *testing.T) {
	for addr, want := range map[string]string{
		"taro@example.ac.jp": "t***@example.ac.jp", "t@example.ac.jp": "***@example.ac.jp", "@example.ac.jp": "***@example.ac.jp",
		"花子@example.ac.jp": "花***@example.ac.jp", "nothing": "***", "": "***", "a@b@c.jp": "a***@c.jp",
	} {
		if got := MaskAddress(addr); got != want {
			t.Errorf("%q: %q, want %q", addr, got, want)
		}
	}
}

func FuzzCompose(f *testing.F) {
	o := newOffice(f)
	f.Add("hanako@example.com", "Hanako", "12345678", true)
	f.Add("hanako@example.com\r\nBcc: x@y.z", "=?utf-8?q?x?=", "\r\n.\r\nQUIT", false)
	f.Fuzz(func(t *testing.T, to, name, digits string, ja bool) {
		m := Message{To: to, Lang: lang.EN, Template: "note.code", Facts: map[string]string{"name": name, "Code": digits, "university": name}}
		if ja {
			m.Lang = lang.JA
		}
		c, err := o.q.compose(m)
		if err != nil {
			return
		}
		lines := 11
		if oneLine(name, factMax) == "" {
			lines = 9 // no greeting
		}
		if c.To != to || strings.ContainsFunc(c.Subject, unicode.IsControl) || !utf8.ValidString(c.Text) || strings.Count(c.Text, "\n") != lines {
			t.Errorf("%+q", c)
		}
		raw, err := o.q.message(c, envelope{"mail_1", m.Lang, o.clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Read(raw)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Header) != 11 || r.Text != c.Text {
			t.Errorf("%d headers, text %q, want %q", len(r.Header), r.Text, c.Text)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("Date: Mon, 06 Apr 2026 09:30:00 +0900\r\nSubject: =?utf-8?b?56K6?=\r\nContent-Transfer-Encoding: base64\r\n\r\n56K6\r\n"))
	f.Fuzz(func(t *testing.T, message []byte) {
		r, err := Read(message)
		if err != nil && (r.Subject != "" || r.Text != "") {
			t.Error("half a message is given")
		}
	})
}
