package certdoor

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"time"
)

// ReadProxy reads a header from the front of a text and gives what comes after it.
func ReadProxy(in string) (client, rest string, err error) {
	r := bufio.NewReader(strings.NewReader(in))
	addr, err := readProxy(r)
	if err != nil {
		return addr.String(), "", err
	}
	left, err := io.ReadAll(r)
	return addr.String(), string(left), err
}

// FromFields reads the fields of RFC 9440.
func FromFields(h http.Header) ([][]byte, error) { return fromFields(h) }

// Bound changes how long a connection may take to name a try, and how many one source
// may have.
func (d *Door) Bound(hello time.Duration, most int) { d.hello, d.most = hello, most }
