package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"seimon/internal/lang"
)

// longestURI is the greatest length of a request target, in bytes; it leaves room
// for a signed request object (RFC 9101) passed by value.
const longestURI = 16 << 10

// visit is what the frame knows about one request.
type visit struct {
	id      string
	client  Client
	words   *lang.Words
	printer lang.Printer
	chosen  bool // the person chose the language
	machine bool
	notes   []slog.Attr
}

// visitKey is where a request carries its visit.
type visitKey struct{}

// visitOf finds the visit of a request; outside a site it is an empty one.
func visitOf(r *http.Request) *visit {
	if v, ok := r.Context().Value(visitKey{}).(*visit); ok {
		return v
	}
	return &visit{}
}

// RequestID is the random name of this request, as the log and the person see it.
func RequestID(r *http.Request) string { return visitOf(r).id }

// Note adds a fact to the access log line of this request. Never a secret.
func Note(r *http.Request, name, value string) {
	v := visitOf(r)
	v.notes = append(v.notes, slog.String(name, value))
}

// Handler gives the whole site. No route or template may be added afterwards.
func (s *Site) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Server gives an http.Server with the limits that fit the site; the caller sets
// Addr, TLS and the handler around it.
func (s *Site) Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// serve leads one request through the house.
func (s *Site) serve(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	v := &visit{id: strings.ToLower(rand.Text()[:16]), client: s.client.read(r), words: s.cfg.Words, printer: s.cfg.Words.In(lang.JA)}
	r = r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
	out := &answer{ResponseWriter: w}
	s.secure(out.Header(), v.id)
	defer s.record(out, r, v, begun)
	defer func() {
		if p := recover(); p != nil {
			s.recovered(out, r, p)
		}
	}()
	if len(r.RequestURI) > longestURI {
		s.chooseLang(out, r)
		s.plain(out, r, http.StatusRequestURITooLong, "web.toolong")
		return
	}
	if _, pattern := s.mux.Handler(r); pattern == "" {
		s.noRoute(out, r)
		return
	}
	s.mux.ServeHTTP(out, r)
}

// recovered turns a panic into a calm page, and stops only this request.
func (s *Site) recovered(w *answer, r *http.Request, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.cfg.Log.Error("panic", "request", RequestID(r), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // half an answer is out: the peer must see that it is broken
	}
	s.broken(w, r)
}

// noRoute answers a request that no pattern matches, as http.ServeMux would decide.
func (s *Site) noRoute(w *answer, r *http.Request) {
	verdict := &verdict{header: http.Header{}}
	h, _ := s.mux.Handler(r)
	h.ServeHTTP(verdict, r)
	if verdict.status < http.StatusBadRequest { // on to the tidy form of the path
		h.ServeHTTP(w, r)
		return
	}
	if allow := verdict.header.Get("Allow"); allow != "" { // RFC 9110 15.5.6
		w.Header().Set("Allow", allow)
	}
	s.chooseLang(w, r)
	id := "web.notfound"
	if verdict.status == http.StatusMethodNotAllowed {
		id = "web.method"
	}
	s.plain(w, r, verdict.status, id)
}

// fail shows an error of a handler.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		Note(r, "gone", "true")
		return
	}
	if a, ok := w.(*answer); ok && a.status != 0 {
		s.cfg.Log.Error("handler failed after its answer began", "request", RequestID(r), "error", err)
		return
	}
	if s.closed != nil {
		if t, out := s.closed(r, err); out {
			s.cfg.Log.Error("out of order", "request", RequestID(r), "support", t.Support, "error", err)
			s.out(w, r, t)
			return
		}
	}
	if s.failed != nil && !visitOf(r).machine && s.failed(w, r, err) {
		return
	}
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		s.plain(w, r, http.StatusRequestEntityTooLarge, "web.toolong")
		return
	}
	s.cfg.Log.Error("request failed", "request", RequestID(r), "error", err)
	s.broken(w, r)
}

// record writes the access log: the route instead of the address, so that nothing
// a person typed or a service sent gets in.
func (s *Site) record(w *answer, r *http.Request, v *visit, begun time.Time) {
	took := time.Since(begun)
	pattern := r.Pattern
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	if s.cfg.Observe != nil {
		s.cfg.Observe(pattern, status, took)
	}
	attrs := append([]slog.Attr{
		slog.String("id", v.id), slog.String("method", shorten(r.Method, 16)), slog.String("route", pattern),
		slog.Int("status", status), slog.Int64("bytes", w.bytes),
		slog.Float64("ms", float64(took.Microseconds())/1000), slog.String("from", v.client.Addr.String()),
	}, v.notes...)
	s.cfg.Log.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
}

// shorten keeps foreign text in the log small.
func shorten(text string, most int) string {
	if len(text) > most {
		return text[:most]
	}
	return text
}

// answer remembers what was written.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader remembers the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write counts bytes.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// verdict hears what http.ServeMux would answer without sending it.
type verdict struct {
	header http.Header
	status int
}

func (v *verdict) Header() http.Header         { return v.header }
func (v *verdict) Write(p []byte) (int, error) { return len(p), nil }
func (v *verdict) WriteHeader(status int)      { v.status = status }
