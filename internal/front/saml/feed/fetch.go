package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// stay lets a redirect lead to another path of the same server, not elsewhere.
func stay(r *http.Request, via []*http.Request) error {
	if first := via[0].URL; r.URL.Scheme != first.Scheme || r.URL.Host != first.Host {
		return fmt.Errorf("the redirect to %s://%s leads to another server than the one configured", r.URL.Scheme, r.URL.Host)
	}
	if len(via) > 3 {
		return errors.New("more than three redirects")
	}
	return nil
}

// errMissing says that the server works and does not have the document.
var errMissing = errors.New("the server answers")

// fetched is a document on its way in.
type fetched struct {
	io.ReadCloser
	total          int64 // 0 when not known
	etag, modified string
	same           bool // as the one in force (RFC 9110 15.4.5)
}

// fetch opens the document of an address. known is what is in force from there.
func (k *Keeper) fetch(ctx context.Context, address string, known Loaded) (*fetched, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" {
		if k.Open == nil {
			return nil, errors.New("files cannot be read here")
		}
		f, err := k.Open(u.Path)
		if err != nil {
			return nil, err
		}
		return &fetched{ReadCloser: f}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.Patience)
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	q.Header.Set("Accept", "application/samlmetadata+xml")
	q.Header.Set("User-Agent", "seimon")
	if known.ETag != "" { // RFC 9110 13.1.2
		q.Header.Set("If-None-Match", known.ETag)
	}
	if known.Modified != "" { // RFC 9110 13.1.3
		q.Header.Set("If-Modified-Since", known.Modified)
	}
	silence := time.AfterFunc(k.Silence, cancel)
	a, err := k.Client.Do(q)
	if err != nil {
		cancel()
		if !silence.Stop() {
			err = fmt.Errorf("no answer for %s: %w", k.Silence, err)
		}
		return nil, err
	}
	silence.Stop()
	body := &watched{a.Body, silence, cancel, k.Silence}
	switch {
	case a.StatusCode == http.StatusNotModified:
		return &fetched{same: true}, body.Close()
	case a.StatusCode == http.StatusNotFound:
		return nil, errors.Join(fmt.Errorf("%w %s", errMissing, a.Status), body.Close())
	case a.StatusCode != http.StatusOK:
		return nil, errors.Join(body.Close(), fmt.Errorf("the server answers %s", a.Status))
	}
	return &fetched{ReadCloser: body, total: max(a.ContentLength, 0), etag: header(a, "ETag"), modified: header(a, "Last-Modified")}, nil
}

// header keeps a foreign header small.
func header(a *http.Response, name string) string {
	if v := a.Header.Get(name); len(v) <= 200 {
		return v
	}
	return ""
}

// watched is a body that must keep coming. Only waiting for the server counts as its
// silence, not what is done with the bytes in between.
type watched struct {
	io.ReadCloser
	silence *time.Timer
	cancel  context.CancelFunc
	every   time.Duration
}

func (w *watched) Read(b []byte) (int, error) {
	w.silence.Reset(w.every)
	n, err := w.ReadCloser.Read(b)
	w.silence.Stop()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the server is too slow: %w", err)
	}
	return n, err
}

func (w *watched) Close() error {
	w.silence.Stop()
	w.cancel()
	return w.ReadCloser.Close()
}
