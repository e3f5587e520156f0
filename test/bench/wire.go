package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"seimon/test/campus"
)

// wire is one kept connection to the gate: HTTP/1.1 (RFC 9112), one request at a time.
type wire struct {
	campus *campus.Campus
	host   string
	from   string // the loopback address to come from; empty: any
	conn   net.Conn
	in     *bufio.Reader
	out    bytes.Buffer
	used   time.Time
}

// reply is what came back. Its parts are good until the next request.
type reply struct {
	status   int
	location string
	cookies  []string // "name=value"
	body     []byte
}

func newWire(c *campus.Campus, from string) *wire {
	return &wire{campus: c, host: strings.TrimPrefix(c.Gate.Origin, "https://"), from: from}
}

// keepFor is how long a connection is used again after its last answer; the gate
// closes idle ones, and a new one that asks nothing even sooner.
const keepFor = 9 * time.Second

// connect makes sure of a connection.
func (w *wire) connect() error {
	if w.conn != nil && time.Since(w.used) < keepFor {
		return nil
	}
	w.close()
	d := net.Dialer{Timeout: 10 * time.Second}
	if w.from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(w.from)}
	}
	raw, err := d.Dial("tcp", w.campus.Listen)
	if err != nil {
		return err
	}
	conn := tls.Client(raw, w.campus.TLS())
	if err := conn.Handshake(); err != nil {
		return errors.Join(err, raw.Close())
	}
	w.conn, w.in = conn, bufio.NewReaderSize(conn, 16<<10)
	return nil
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close() //nolint:errcheck // nothing was left to send
		w.conn = nil
	}
}

// longestWait bounds one answer.
const longestWait = 60 * time.Second

// do sends a request with ready-made header lines and reads the answer.
func (w *wire) do(method, path, lines, body string) (reply, error) {
	if err := w.connect(); err != nil {
		return reply{}, err
	}
	r, err := w.exchange(method, path, lines, body)
	if w.used = time.Now(); err != nil {
		w.close()
	}
	return r, err
}

func (w *wire) exchange(method, path, lines, body string) (reply, error) {
	w.out.Reset()
	w.out.WriteString(method + " " + path + " HTTP/1.1\r\nHost: " + w.host + "\r\n" + lines)
	if method == "POST" {
		w.out.WriteString("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	w.out.WriteString("\r\n" + body)
	if err := w.conn.SetDeadline(time.Now().Add(longestWait)); err != nil {
		return reply{}, err
	}
	if _, err := w.conn.Write(w.out.Bytes()); err != nil {
		return reply{}, err
	}
	return w.read()
}

func (w *wire) read() (reply, error) {
	line, err := w.line()
	if err != nil {
		return reply{}, err
	}
	if len(line) < 12 || !strings.HasPrefix(line, "HTTP/1.1 ") {
		return reply{}, fmt.Errorf("not an answer: %.40q", line)
	}
	var r reply
	if r.status, err = strconv.Atoi(line[9:12]); err != nil {
		return reply{}, err
	}
	length := -1
	for {
		if line, err = w.line(); err != nil {
			return reply{}, err
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Location":
			r.location = value
		case "Set-Cookie":
			cookie, _, _ := strings.Cut(value, ";")
			r.cookies = append(r.cookies, cookie)
		case "Content-Length":
			if length, err = strconv.Atoi(value); err != nil {
				return reply{}, err
			}
		}
	}
	switch {
	case r.status == 204 || r.status == 304:
		return r, nil
	case length < 0:
		r.body, err = w.chunks()
	default:
		r.body = make([]byte, length)
		_, err = io.ReadFull(w.in, r.body)
	}
	return r, err
}

func (w *wire) line() (string, error) {
	line, err := w.in.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

// chunks reads a chunked body (RFC 9112 7.1).
func (w *wire) chunks() ([]byte, error) {
	var body []byte
	for {
		line, err := w.line()
		if err != nil {
			return nil, err
		}
		size, err := strconv.ParseInt(line, 16, 32)
		if err != nil {
			return nil, err
		}
		from := len(body)
		body = append(body, make([]byte, size)...)
		if _, err := io.ReadFull(w.in, body[from:]); err != nil {
			return nil, err
		}
		if _, err := w.line(); err != nil || size == 0 {
			return body, err
		}
	}
}
