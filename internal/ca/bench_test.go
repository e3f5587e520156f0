package ca_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/store"
)

// floors measures what the same cores do without us: the bare signature, and the
// certificate that crypto/x509 makes and checks, neither of them stored. once is the
// processor time of one bare signature in microseconds.
func floors(b *testing.B, signer crypto.Signer, keys []crypto.PublicKey) (bare, made, once float64) {
	b.Helper()
	digest := sha256.Sum256([]byte("a certificate"))
	parent := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, PublicKey: signer.Public()}
	spent := processor(b)
	bare = rate(b, func(int) error {
		_, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
		return err
	})
	once = float64((processor(b) - spent).Microseconds()) / bare
	made = rate(b, func(n int) error {
		t := &x509.Certificate{SerialNumber: big.NewInt(int64(n + 1)), Subject: pkix.Name{CommonName: "y"}, NotAfter: time.Now().AddDate(1, 0, 0)}
		_, err := x509.CreateCertificate(rand.Reader, t, parent, keys[n%len(keys)], signer)
		return err
	})
	return bare, made, once
}

// rate runs fn on as many goroutines as there are cores for a second.
func rate(b *testing.B, fn func(n int) error) float64 {
	b.Helper()
	var n atomic.Int64
	begin := time.Now()
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for time.Since(begin) < time.Second {
				if err := fn(int(n.Add(1))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	return float64(n.Load()) / time.Since(begin).Seconds()
}

// processor is the time that this process has had of processors so far. Where others
// work on the same cores it says more than the clock on the wall.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkIssue issues certificates on many goroutines, each with its two durable
// commits, and prints the floors of the same run beside the figure:
//
//	go test -run - -bench Issue ./internal/ca
//	PGTEST_FSYNC=on scripts/pgtest go test -run - -bench Issue ./internal/ca
func BenchmarkIssue(b *testing.B) {
	for _, algorithm := range []string{ca.P256, ca.RSA2048} {
		b.Run(algorithm, func(b *testing.B) {
			h := open(b, func(c *ca.Config) { c.Profiles = []byte("[person-device]\nper_account = 1000000") })
			i, err := h.ca.Found(b.Context(), ca.Plan{Organization: "Example University", Algorithm: algorithm})
			if err != nil {
				b.Fatal(err)
			}
			signer, err := h.ca.Sign(b.Context(), i.ID)
			if err != nil {
				b.Fatal(err)
			}
			keys := make([]crypto.PublicKey, 64)
			for n := range keys {
				keys[n] = p256(b).Public()
			}
			bare, made, once := floors(b, signer, keys)
			var n atomic.Int64
			b.SetParallelism(32)
			spent := processor(b)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					k := n.Add(1)
					o := order(p256(b).Public())
					o.Holder.Account = authn.AccountID(fmt.Sprint("acc_", k))
					p, err := h.ca.Prepare(b.Context(), o)
					if err == nil {
						_, err = h.ca.Issue(b.Context(), p)
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.StopTimer()
			spent = processor(b) - spent
			speed := float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(speed, "certificates/s")
			b.ReportMetric(bare, "signatures/s")
			b.ReportMetric(made, "x509/s")
			b.ReportMetric(speed/bare, "of-bare")
			b.ReportMetric(speed/made, "of-x509")
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "cpu-µs")
			b.ReportMetric(once, "bare-cpu-µs")
		})
	}
}

// BenchmarkRevoke revokes beside 100,000 certificates that are revoked already: what
// grows is the list, not the work of revoking.
func BenchmarkRevoke(b *testing.B) {
	for _, revoked := range []int{0, 100_000} {
		b.Run(fmt.Sprint("beside-", revoked), func(b *testing.B) {
			h := founded(b, func(c *ca.Config) { c.Profiles = []byte("[person-device]\nper_account = 1000000") })
			h.fill(revoked)
			const count = 200
			took := make([]time.Duration, 0, count)
			for i := range count {
				o := order(p256(b).Public())
				o.Holder.Account = authn.AccountID(fmt.Sprint("acc_", i))
				c := h.issue(o)
				begin := time.Now()
				h.write(func(tx *store.Tx) error {
					_, err := h.ca.Revoke(tx, c.ID, ca.KeyCompromise, "bench")
					return err
				})
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(took[count/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[count*95/100].Microseconds())/1000, "p95-ms")
		})
	}
}

// fill stores many revoked certificates without making them.
func (h *house) fill(n int) {
	h.t.Helper()
	const step = 1000
	issuer := h.active()
	for at := 0; at < n; at += step {
		h.write(func(tx *store.Tx) error {
			for i := at; i < min(at+step, n); i++ {
				_, err := tx.Exec(`INSERT INTO ca_certificate (id, issuer, serial, profile, account, person, name, label, device, mail, upn, shard,
					not_before, not_after, state, revoked_at, reason, replaces, replaced_by, card, key_hash, intent, token, der, leaf, created_at, issued_at)
					VALUES ($1, $2, $3, 'person-device', $1, '', 'name', 'label', '', '', '', $4, 1, $5, 'revoked', 1, 'keyCompromise', '', '', '', $6, $6, $6, $7, $8, 1, 1)`,
					fmt.Sprintf("cert_%08x", i), issuer, fmt.Sprintf("40%030X", i), 1+i%8, store.Millis(tx.Now.AddDate(1, 0, 0)), fmt.Appendf(nil, "%032d", i), make([]byte, 900), i)
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}
