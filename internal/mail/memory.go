package mail

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"
)

// Received is a message as a mail program shows it.
type Received struct {
	From, To, Subject, Text string
	At                      time.Time
	Header                  mail.Header
}

// memoryMax bounds how many messages Memory keeps.
const memoryMax = 2000

// Memory is a transport into a mailbox in memory: nothing leaves the program. Its
// zero value is ready. It is safe for concurrent use.
type Memory struct {
	mu       sync.Mutex
	messages []Received
	broken   error
}

// Send keeps the message.
func (m *Memory) Send(ctx context.Context, _, to string, message []byte) (string, error) {
	r, err := Read(message)
	if err != nil {
		return "", err
	}
	r.To = to
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return "", m.broken
	}
	m.messages = append(m.messages, r)
	if extra := len(m.messages) - memoryMax; extra > 0 {
		m.messages = slices.Delete(m.messages, 0, extra)
	}
	return "250 kept in memory", ctx.Err()
}

// Server names the mailbox in delivery facts.
func (m *Memory) Server() string { return "memory" }

// Break makes every further Send fail with err; nil mends it.
func (m *Memory) Break(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}

// Messages gives what was received, the newest last; to a single address unless to is empty.
func (m *Memory) Messages(to string) []Received {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Received
	for _, r := range m.messages {
		if to == "" || strings.EqualFold(r.To, to) {
			out = append(out, r)
		}
	}
	return out
}

// Read decodes a message of one plain text part.
func Read(message []byte) (Received, error) {
	m, err := mail.ReadMessage(strings.NewReader(string(message)))
	if err != nil {
		return Received{}, fmt.Errorf("mail: %w", err)
	}
	r := Received{From: m.Header.Get("From"), To: m.Header.Get("To"), Header: m.Header}
	var words mime.WordDecoder
	if r.Subject, err = words.DecodeHeader(m.Header.Get("Subject")); err != nil {
		return Received{}, fmt.Errorf("mail: subject: %w", err)
	}
	if r.At, err = m.Header.Date(); err != nil {
		return Received{}, fmt.Errorf("mail: date: %w", err)
	}
	body := m.Body
	switch strings.ToLower(m.Header.Get("Content-Transfer-Encoding")) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return Received{}, fmt.Errorf("mail: body: %w", err)
	}
	r.Text = strings.ReplaceAll(string(text), "\r\n", "\n")
	return r, nil
}
