package mail

import (
	"bytes"
	"cmp"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"seimon/internal/lang"
)

// Bounds of what goes into a message, in characters.
const (
	factMax    = 500
	subjectMax = 200
	quoteLines = 200
)

// compose writes the message in the reader's language, inside the common frame.
func (q *Queue) compose(m Message) (content, error) {
	to, err := address(m.To)
	if err != nil {
		return content{}, err
	}
	p := q.words.In(m.Lang)
	subject, body := m.Template+".subject", m.Template+".body"
	if !p.Has(subject) || !p.Has(body) {
		return content{}, fmt.Errorf("mail: there are no words for the template %q", m.Template)
	}
	facts := make(map[string]string, len(m.Facts)+1)
	for name, value := range m.Facts {
		facts[name] = oneLine(value, factMax)
	}
	if _, ok := facts["university"]; !ok {
		facts["university"] = oneLine(q.cfg.University[p.Tag()], factMax)
	}
	reply := m.ReplyTo
	if reply != "" {
		if reply, err = address(reply); err != nil {
			return content{}, err
		}
	}
	return content{
		To:      to,
		Subject: oneLine(p.Text(subject, facts), subjectMax),
		Text:    q.frame(p, facts["name"], strings.TrimSpace(p.Text(body, facts))+quoted(m.Quote), reply != ""),
		ReplyTo: reply,
	}, nil
}

// quoted marks every line of what a person wrote, so that none of them can be
// taken for ours.
func quoted(text string) string {
	text = strings.TrimSpace(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text))
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	var out strings.Builder
	out.WriteString("\n")
	for _, line := range lines[:min(len(lines), quoteLines)] {
		out.WriteString("\n" + strings.TrimSpace("> "+oneLine(line, factMax)))
	}
	return out.String()
}

// frame sets the body between the greeting and the signature. Somebody who may
// answer is not told that no answer is needed.
func (q *Queue) frame(p lang.Printer, name, body string, answer bool) string {
	var parts []string
	if name != "" {
		parts = append(parts, p.T("mail.frame.greeting", "Name", name))
	}
	parts = append(parts, strings.TrimSpace(body))
	if !answer {
		parts = append(parts, p.T("mail.frame.noanswer"))
	}
	signature := []string{"-- "}
	for _, line := range []string{q.cfg.University[p.Tag()], q.cfg.Help[p.Tag()], q.cfg.Origin} {
		if line = oneLine(line, factMax); line != "" {
			signature = append(signature, line)
		}
	}
	return strings.Join(parts, "\n\n") + "\n\n" + strings.Join(signature, "\n") + "\n"
}

// oneLine keeps text on one line of bounded length: whatever a person typed can
// neither end a header nor begin a paragraph of its own.
func oneLine(text string, limit int) string {
	text = strings.ToValidUTF8(text, "")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) && r != '\u3000':
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control):
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit-1]) + "…"
	}
	return strings.TrimSpace(text)
}

// envelope is what the message needs besides its content.
type envelope struct {
	id   string
	lang lang.Tag
	at   time.Time
}

// message gives the bytes that travel (RFC 5322).
func (q *Queue) message(c content, e envelope) ([]byte, error) {
	encoding := gomail.EncodingQP
	if e.lang == lang.JA {
		encoding = gomail.EncodingB64
	}
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(encoding))
	m.FromMailAddress(&mail.Address{Name: oneLine(q.cfg.University[e.lang], subjectMax), Address: q.cfg.From})
	m.ToMailAddress(&mail.Address{Address: c.To})
	if reply := cmp.Or(c.ReplyTo, q.cfg.ReplyTo); reply != "" {
		if err := m.ReplyTo(reply); err != nil {
			return nil, err
		}
	}
	m.Subject(c.Subject)
	m.SetDateWithValue(e.at)
	m.SetMessageIDWithValue(e.id + "@" + q.cfg.Domain)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 5
	m.SetGenHeader("X-Auto-Response-Suppress", "All")
	m.SetGenHeader("Content-Language", string(e.lang))
	m.SetBodyString(gomail.TypeTextPlain, strings.ReplaceAll(c.Text, "\n", "\r\n"))
	var out bytes.Buffer
	if _, err := m.WriteTo(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
