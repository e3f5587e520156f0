package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"seimon/internal/policy"
	"seimon/internal/store"
)

// drainFor is how long running requests may take to end when the process stops.
const drainFor = 10 * time.Second

// ready refuses to serve zones that nobody could trust (law 3).
func (h *House) ready(ctx context.Context) error {
	var doc *policy.Document
	err := h.DB.Read(ctx, func(tx *store.Tx) (err error) {
		doc, _, err = h.Policy.Active(tx)
		return err
	})
	if err != nil {
		return err
	}
	plain := h.Config.TLS.Certificate == "" && len(h.Config.Proxy.Addresses) == 0
	if doc.UsesZones() && (plain || h.Config.Proxy.Behind && len(h.Config.Proxy.Addresses) == 0) {
		return fmt.Errorf("%sthe policy uses zones, but the proxy in front is not declared: set [proxy] behind, addresses and header", h.Config.at("proxy"))
	}
	return nil
}

// Handler is the whole gate for one listener.
func (h *House) Handler() http.Handler {
	return h.Site.Handler()
}

// Work runs the background work until ctx ends, and returns when it has stopped.
func (h *House) Work(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { h.deliver(ctx) })
	all.Go(func() {
		if err := h.Jobs.Run(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("background work ended", "error", err)
		}
	})
	all.Wait()
}

// Serve answers on the listener until ctx ends, then drains. A nil TLS
// configuration serves plain HTTP.
func (h *House) Serve(ctx context.Context, l net.Listener, t *tls.Config, handler http.Handler) error {
	if err := h.ready(ctx); err != nil {
		return err
	}
	server := h.Site.Server(handler)
	server.TLSConfig = t
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	all.Go(func() { h.Work(work) })
	failed := make(chan error, 1)
	go func() {
		if t == nil {
			failed <- server.Serve(l)
			return
		}
		failed <- server.ServeTLS(l, "", "")
	}()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
		defer cancel()
		err = server.Shutdown(drain)
	}
	stop()
	all.Wait()
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	if e := h.Audit.Settle(settle, true); e != nil {
		h.Log.Error("what was only counted is not on record", "error", e)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// serveConfigured is "seimon serve".
func serveConfigured(ctx context.Context, c *Config, h *House) error {
	defer h.spread()()
	if err := h.ready(ctx); err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("%s%w", c.at("listen"), err)
	}
	var t *tls.Config
	if c.TLS.Certificate != "" {
		cert, err := newCertificate(c.path(c.TLS.Certificate), c.path(c.TLS.Key), h.Log)
		if err != nil {
			return errors.Join(fmt.Errorf("%s%w", c.at("tls.certificate"), err), l.Close())
		}
		t = &tls.Config{GetCertificate: cert.get, MinVersion: tls.VersionTLS12}
	}
	if c.Metrics.Listen != "" {
		m, err := net.Listen("tcp", c.Metrics.Listen)
		if err != nil {
			return errors.Join(fmt.Errorf("%s%w", c.at("metrics.listen"), err), l.Close())
		}
		server := &http.Server{Handler: h.operators(c.Metrics.Profile), ReadHeaderTimeout: 5 * time.Second}
		go server.Serve(m) //nolint:errcheck // ends with the process
		defer server.Close()
	}
	stop, err := h.listenForCertificates(ctx)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer stop()
	end, err := h.listenForStatus(ctx)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer end()
	h.Log.Info("ready", "listen", l.Addr().String(), "origin", c.Origin)
	return h.Serve(ctx, l, t, h.Handler())
}
