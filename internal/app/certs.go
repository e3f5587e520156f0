package app

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is the certificate of the listener, read again when its file changes,
// so that a renewal needs no restart. A bad new file leaves the old one in use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	looked  time.Time
	changed time.Time
	now     *tls.Certificate
}

// lookEvery is how often the file is looked at.
const lookEvery = 30 * time.Second

// newCertificate reads the files once and fails when they are no good.
func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	return c, c.read()
}

func (c *certificate) read() error {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.now, c.changed, c.looked = &pair, info.ModTime(), time.Now()
	return nil
}

// get gives the certificate for a connection.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > lookEvery {
		c.looked = time.Now()
		if info, err := os.Stat(c.certFile); err == nil && !info.ModTime().Equal(c.changed) {
			if err := c.read(); err != nil {
				c.log.Error("the new certificate cannot be used; the old one stays", "file", c.certFile, "error", err)
			} else {
				c.log.Info("the certificate was renewed", "until", c.now.Leaf.NotAfter)
			}
		}
	}
	return c.now, nil
}
