package status_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"seimon/internal/ca"
	"seimon/internal/ca/status"
	"seimon/internal/store"
)

// rate measures how often do runs a second with clients at once.
func rate(b *testing.B, n, clients int, do func() error) float64 {
	b.Helper()
	var all sync.WaitGroup
	began := time.Now()
	for range clients {
		all.Go(func() {
			for range n / clients {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(began).Seconds()
}

// caller asks over connections that stay open.
func caller(b *testing.B) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 64, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext,
	}}
}

func fetched(c *http.Client, q func() (*http.Response, error)) error {
	r, err := q()
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if n, err := io.Copy(io.Discard, r.Body); err != nil || n == 0 || r.StatusCode != http.StatusOK {
		return fmt.Errorf("%d bytes, %s, %w", n, r.Status, err)
	}
	return nil
}

// BenchmarkAnswer compares OCSP with a static file over the same stack.
func BenchmarkAnswer(b *testing.B) {
	h := open(b)
	h.status = status.New(h.db, h.ca, status.Config{Seal: h.ring, Rate: -1})
	h.publish()
	var requests [][]byte
	var paths []string
	for range 200 {
		q, err := ocsp.CreateRequest(h.issue().Parsed(), h.issuer.Certificate, nil)
		if err != nil {
			b.Fatal(err)
		}
		requests = append(requests, q)
		paths = append(paths, "/ocsp/"+h.issuer.ID+"/"+url.PathEscape(base64.StdEncoding.EncodeToString(q)))
	}
	gate := httptest.NewServer(h.status.Handler())
	defer gate.Close()
	content := h.post("/ocsp/"+h.issuer.ID, requests[0]).Body.Bytes()
	file := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/ocsp-response")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	defer file.Close()
	c := caller(b)
	var mu sync.Mutex
	turn := 0
	next := func() int {
		mu.Lock()
		defer mu.Unlock()
		turn++
		return turn % len(requests)
	}
	static := func() error { return fetched(c, func() (*http.Response, error) { return c.Get(file.URL + "/answer") }) }
	get := func() error {
		return fetched(c, func() (*http.Response, error) { return c.Get(gate.URL + paths[next()]) })
	}
	post := func(nonce bool) func() error {
		return func() error {
			q := requests[next()]
			if nonce {
				value := octets(b, 32)
				rand.Read(value[2:]) //nolint:errcheck // never fails
				q = withNonce(b, q, value)
			}
			return fetched(c, func() (*http.Response, error) {
				return c.Post(gate.URL+"/ocsp/"+h.issuer.ID, "application/ocsp-request", bytes.NewReader(q))
			})
		}
	}
	for b.Loop() {
		rate(b, 2000, 16, get)
		rate(b, 2000, 16, static)
		floor := rate(b, 20000, 16, static)
		b.ReportMetric(floor, "static/s")
		for name, do := range map[string]func() error{"get": get, "post": post(false), "nonce": post(true)} {
			r := rate(b, 20000, 16, do)
			b.ReportMetric(r, name+"/s")
			b.ReportMetric(r/floor, name+"-ratio")
		}
	}
}

// fill puts revoked certificates of one issuer into the table, as many years leave them.
func (h *house) fill(b testing.TB, n int) {
	b.Helper()
	for from := 0; from < n; from += 5000 {
		h.write(func(tx *store.Tx) error {
			for i := from; i < min(n, from+5000); i++ {
				serial := sha256.Sum256([]byte(fmt.Sprint("serial ", i)))
				serial[0] = serial[0]&0x7f | 0x40
				_, err := tx.Exec(`INSERT INTO ca_certificate (id, issuer, serial, profile, account, person, name, label, device, mail, upn, shard,
					not_before, not_after, state, revoked_at, reason, replaces, replaced_by, card, key_hash, intent, token, der, leaf, created_at, issued_at)
					VALUES ($1, $2, $3, 'person-device', 'acc', 'per', '', '', '', '', '', $4, $5, $6, 'revoked', $5, 'superseded', '', '', '', $7, $7, $7, $7, $8, $5, $5)`,
					fmt.Sprint("cert_fill", i), h.issuer.ID, fmt.Sprintf("%X", serial[:16]), int64(1+i%h.ca.Shards()),
					store.Millis(tx.Now), store.Millis(tx.Now.AddDate(1, 0, 0)), serial[:], int64(-1))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// peak watches how much the heap holds at most, garbage included, until it is asked.
func peak(b *testing.B) func() uint64 {
	b.Helper()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	enough, told := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for tick := time.NewTicker(time.Millisecond); ; {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-enough:
				tick.Stop()
				told <- most
				return
			}
		}
	}()
	return func() uint64 {
		close(enough)
		return <-told
	}
}

// BenchmarkListOf100000 measures the full list beside crypto/x509's way of making it,
// and how soon a revocation is published with so many.
func BenchmarkListOf100000(b *testing.B) {
	h := open(b)
	h.fill(b, 100_000)
	h.publish()
	victims := []ca.Certificate{}
	for range 20 {
		victims = append(victims, h.issue())
	}
	signer, err := h.ca.Sign(b.Context(), h.issuer.ID)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		h.clock.Add(time.Minute)
		h.revoke(victims[i%len(victims)], ca.KeyCompromise)
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "revoke-ms")
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		most := peak(b)
		began = time.Now()
		if err := h.status.Publish(b.Context()); err != nil { // its shard and the full list
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "publish-ms")
		b.ReportMetric((float64(most())-float64(before.HeapAlloc))/(1<<20), "peak-MiB")
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/(1<<20), "publish-MiB")
		if err := h.status.Refresh(b.Context()); err != nil {
			b.Fatal(err)
		}
		l := h.list("/crl/" + h.issuer.ID + "/full.crl")
		if len(l.RevokedCertificateEntries) < 100_000 {
			b.Fatal(len(l.RevokedCertificateEntries))
		}
		began = time.Now()
		l.Number = big.NewInt(1)
		if _, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: l.Number, ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate, RevokedCertificateEntries: l.RevokedCertificateEntries,
		}, h.issuer.Certificate, signer); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "x509-encoding-ms")
		digest := sha256.Sum256(nil)
		began = time.Now()
		if _, err := ecdsa.SignASN1(rand.Reader, signer.(*ecdsa.PrivateKey), digest[:]); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "signature-ms")
	}
}
