package certdoor

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// labelLength is the length of a try's secret and of its label, each 128 bits in
// lower-case base32.
const labelLength = 26

// newTry makes the secret of a try. It stands in the path of the address and is seen by
// nobody but the browser.
func newTry() string { return strings.ToLower(rand.Text())[:labelLength] }

// labelOf is the label under which a try is known: the first part of its host name,
// which DNS and TLS tell everybody on the way. It does not lead back to the secret.
func labelOf(try string) string {
	sum := sha256.Sum256([]byte("certdoor try " + try))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:labelLength]
}

// Names are the hosts at which certificates are asked for. Browsers remember a
// choice, also that of no certificate, for as long as they run and by host name; a
// name that they have never seen makes them ask afresh.
type Names struct {
	// Suffix is the part after the label of disposable names, for example
	// "cert.sso.example.ac.jp" for *.cert.sso.example.ac.jp; empty with a pool.
	Suffix string
	// Pool are fixed names, handed out in turn, where no wildcard is to be had.
	Pool []string
	// Port is the port that browsers use; 443 when zero.
	Port int
}

// ParseNames reads a wildcard ("*.cert.sso.example.ac.jp") or a pool of fixed names.
func ParseNames(host string, pool []string, port int) (Names, error) {
	n := Names{Port: port}
	switch {
	case host != "" && len(pool) > 0:
		return n, errors.New("a wildcard and a pool of names exclude each other")
	case host != "":
		suffix, ok := strings.CutPrefix(host, "*.")
		if !ok || !hostname(suffix) || strings.Count(suffix, ".") < 1 {
			return n, fmt.Errorf("%q is not of the form *.cert.sso.example.ac.jp", host)
		}
		n.Suffix = suffix
	case len(pool) == 0:
		return n, errors.New("neither a wildcard nor a pool of names is given")
	}
	seen := map[string]bool{}
	for _, name := range pool {
		if !hostname(name) {
			return n, fmt.Errorf("%q is not a host name", name)
		}
		if seen[name] {
			return n, fmt.Errorf("%q stands twice", name)
		}
		seen[name] = true
		n.Pool = append(n.Pool, name)
	}
	return n, nil
}

// hostname tells whether a name is written in lower-case letters, digits and hyphens.
func hostname(name string) bool {
	if name == "" || len(name) > 253-labelLength-1 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// Patterns are the hosts as a browser's policy writes them, one entry for each.
func (n Names) Patterns() []string {
	if n.Suffix != "" {
		return []string{"https://[*.]" + n.Suffix + n.port()}
	}
	var out []string
	for _, name := range n.Pool {
		out = append(out, "https://"+name+n.port())
	}
	return out
}

// Wildcard are the names for which the listener's certificate must be, or the pool.
func (n Names) Wildcard() []string {
	if n.Suffix != "" {
		return []string{"*." + n.Suffix}
	}
	return n.Pool
}

func (n Names) port() string {
	if n.Port == 0 || n.Port == 443 {
		return ""
	}
	return ":" + strconv.Itoa(n.Port)
}

// address is where the browser shows its certificate for a try. turn picks the name
// from a pool.
func (n Names) address(try string, turn int) string {
	host := labelOf(try) + "." + n.Suffix
	if n.Suffix == "" {
		host = n.Pool[turn%len(n.Pool)]
	}
	return "https://" + host + n.port() + "/" + try
}

// ours tells whether a host is one of these names, whatever its label.
func (n Names) ours(host string) bool {
	if n.Suffix != "" {
		label, ok := strings.CutSuffix(host, "."+n.Suffix)
		return ok && isLabel(label)
	}
	for _, name := range n.Pool {
		if host == name {
			return true
		}
	}
	return false
}

// first is the label in the name of a host that is ours; empty with a pool.
func (n Names) first(host string) string {
	if n.Suffix == "" {
		return ""
	}
	return strings.TrimSuffix(host, "."+n.Suffix)
}

// label finds the try that a host and a path belong to. Who knows a host alone, from
// DNS or from the beginning of a connection, can answer no try.
func (n Names) label(host, path string) (string, bool) {
	try := strings.TrimPrefix(path, "/")
	if !n.ours(host) || !isLabel(try) {
		return "", false
	}
	label := labelOf(try)
	return label, n.Suffix == "" || n.first(host) == label
}

func isLabel(s string) bool {
	return len(s) == labelLength && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// bare is a host without its port, in lower case.
func bare(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(host)
}
