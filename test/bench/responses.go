package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/url"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"seimon/test/campus"
)

// rounds is how often a figure and its floor take turns, so that whatever else the
// machine does falls on both.
const rounds = 5

// responses measures the SAML front: a response to a request in a live session, beside
// the bare signature of the same kind.
func (b *bench) responses(ctx context.Context) error {
	c, err := b.campus(ctx, people)
	if err != nil {
		return err
	}
	text, err := exec.CommandContext(ctx, b.binary, "saml", "keys", "add", "--kind", "ec", "--config", c.Config).CombinedOutput()
	if err != nil {
		return fmt.Errorf("seimon saml keys add: %w: %s", err, text)
	}
	p, err := c.Start(ctx, b.binary)
	if err != nil {
		return err
	}
	defer p.Kill() //nolint:errcheck // the campus goes away
	all := browsers(c, clients)
	for n, w := range all {
		if _, err := w.signIn(c.Person(n)); err != nil {
			return err
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072) // as long as the front's
	if err != nil {
		return err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	for _, kind := range []struct {
		name, service, target string
		key                   crypto.Signer
	}{{"RSA of 3072 bits", campus.Library, "≥ 0.8", rsaKey}, {"P-256", campus.Archive, "", ecKey}} {
		respond := func(n int) error { return all[n].response(kind.service) }
		b.check("SAML responses, warming up", closed(ctx, clients, b.span/8, respond))
		b.paired(ctx, p, "SAML: a response with a live session, signed with "+kind.name, kind.target, respond, signing(kind.key))
	}
	return p.Stop()
}

// signing is one bare signature.
func signing(key crypto.Signer) work {
	sum := sha256.Sum256([]byte("response"))
	return func(int) error {
		_, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
		return err
	}
}

// paired measures what the program does and its floor, which this process does on all
// cores, in turns.
func (b *bench) paired(ctx context.Context, p *campus.Process, what, target string, do, bare work) {
	figure, floor := &result{}, &result{}
	var server, self time.Duration
	m := newMeter(p)
	for range rounds {
		before := used()
		floor.join(closed(ctx, runtime.NumCPU(), b.span/rounds/2, bare))
		self += used() - before
		_, from, _ := m.read()
		figure.join(closed(ctx, clients, b.span/rounds, do))
		_, to, _ := m.read()
		server += to - from
	}
	b.check(what, figure)
	one, sign := server/time.Duration(max(1, len(figure.took))), self/time.Duration(max(1, len(floor.took)))
	b.row(row{what: "floor: the bare signature, all cores", figure: perSecond(floor.rate()), cost: cost{each: millis(sign)}})
	b.row(row{
		what: fmt.Sprintf("%s, %d at a time", what, clients), figure: perSecond(figure.rate()), latency: figure.latency(),
		floor: perSecond(floor.rate()), ratio: fmt.Sprintf("%s; by processor time %s", ratio(figure.rate(), floor.rate()), ratio(float64(sign), float64(one))),
		target: target, cost: cost{each: millis(one)},
	})
}

// join adds a later turn of the same load.
func (r *result) join(next *result) {
	r.took = append(r.took, next.took...)
	slices.Sort(r.took)
	if r.first == nil {
		r.first = next.first
	}
	r.errors += next.errors
	r.elapsed += next.elapsed
}

// used is the processor time of this process.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // a figure for the reader; nothing depends on it
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// response asks as a SAML service does, with the session that the browser has.
func (b *browser) response(service string) error {
	r, err := b.get(b.requestPath(service))
	if err == nil && (r.status != 200 || !bytes.Contains(r.body, []byte(`name="SAMLResponse"`))) {
		err = fmt.Errorf("no response: %d to %q: %.300s", r.status, r.location, r.body)
	}
	return err
}

// ask asks without a session: the answer leads to the sign-in page.
func (b *browser) ask(service string) error {
	r, err := b.get(b.requestPath(service))
	if err == nil && !strings.HasPrefix(r.location, "/login/") {
		err = fmt.Errorf("no sign-in page: %d to %q: %.300s", r.status, r.location, r.body)
	}
	return err
}

// requestPath is an AuthnRequest by Redirect.
func (b *browser) requestPath(service string) string {
	var id [16]byte
	rand.Read(id[:]) //nolint:errcheck // never fails (crypto/rand.Read)
	text := fmt.Sprintf(`<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_%x" Version="2.0" IssueInstant="%s"`+
		` Destination="%s/saml/sso"><saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">%s</saml:Issuer></samlp:AuthnRequest>`,
		id, time.Now().UTC().Format(time.RFC3339), b.campus.Gate.Origin, service)
	return "/saml/sso?RelayState=a-state&SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(stored(text)))
}

// stored wraps a text in DEFLATE without compressing it (RFC 1951 3.2.4), which costs
// the generator nothing.
func stored(text string) []byte {
	out := binary.LittleEndian.AppendUint16([]byte{1}, uint16(len(text))) //nolint:gosec // a few hundred bytes
	out = binary.LittleEndian.AppendUint16(out, ^uint16(len(text)))       //nolint:gosec // the same
	return append(out, text...)
}
