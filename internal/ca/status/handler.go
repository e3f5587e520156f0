package status

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Handler answers on the status listener:
//
//	/crl/ISSUER/SHARD.crl, /crl/ISSUER/full.crl, /crl/ISSUER/full.pem
//	/ocsp/ISSUER (POST), /ocsp/ISSUER/REQUEST (GET), and /ocsp for any issuer
//	/ca/ISSUER.cer, /ca/ISSUER.pem (with its root)
//
// It takes neither cookies nor credentials and speaks plain HTTP, since what it gives
// is signed and is needed to judge certificates of HTTPS servers (RFC 5280 8).
func (s *Status) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Paths are taken as they were sent: a request in base64 may hold two slashes,
		// which a router would make one.
		path := r.URL.EscapedPath()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !s.allow(w, r, costAnswer) {
			return
		}
		if rest, ok := strings.CutPrefix(path, "/ocsp"); ok && (rest == "" || rest[0] == '/') {
			s.ocsp(w, r, strings.TrimPrefix(rest, "/"))
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
			return
		}
		if err := s.current(r); err != nil {
			s.fail(w, err)
			return
		}
		switch {
		case strings.HasPrefix(path, "/crl/"):
			s.crl(w, r, path[len("/crl/"):])
		case strings.HasPrefix(path, "/ca/"):
			s.certificate(w, r, path[len("/ca/"):])
		default:
			http.NotFound(w, r)
		}
	})
}

// Server is a server with limits that suit the handler.
func (s *Status) Server() *http.Server {
	return &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 2 * time.Minute,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

func (s *Status) fail(w http.ResponseWriter, err error) {
	s.cfg.Log.Error("status is not answered", "error", err)
	w.Header().Set("Retry-After", "5")
	http.Error(w, "try later", http.StatusServiceUnavailable)
}

// crl gives a list. Caches may keep it for a minute, so that a revocation spreads.
func (s *Status) crl(w http.ResponseWriter, r *http.Request, path string) {
	id, name, _ := strings.Cut(path, "/")
	base, kind, _ := strings.Cut(name, ".")
	shard := full
	if base != "full" {
		n, err := strconv.Atoi(base)
		if err != nil || n < 1 || strconv.Itoa(n) != base || kind == "pem" {
			http.NotFound(w, r)
			return
		}
		shard = n
	}
	s.mu.RLock()
	l := s.lists[listKey{id, shard}]
	s.mu.RUnlock()
	if l == nil || kind != "crl" && kind != "pem" {
		http.NotFound(w, r)
		return
	}
	tag := l.etag
	if kind == "pem" {
		tag = strings.TrimSuffix(l.etag, `"`) + `-pem"`
	}
	same := r.Header.Get("If-None-Match") == tag
	// PEM is made for each request, also for one that asks for its head alone.
	costly := !same && (r.Method == http.MethodGet || kind == "pem")
	if more := len(l.der) / costChunk; more > 0 && costly && !s.allow(w, r, float64(more)) {
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=60, no-transform")
	h.Set("ETag", tag)
	content := l.der
	h.Set("Content-Type", "application/pkix-crl") // RFC 2585 4.2
	if kind == "pem" {
		h.Set("Content-Type", "application/x-pem-file")
		if !same {
			content = pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: l.der})
		}
	}
	http.ServeContent(w, r, "", l.this, bytes.NewReader(content))
}

// certificate gives the certificate of an issuer or root.
func (s *Status) certificate(w http.ResponseWriter, r *http.Request, name string) {
	id, kind, _ := strings.Cut(name, ".")
	s.mu.RLock()
	i := s.issuers[id]
	s.mu.RUnlock()
	if i == nil || kind != "cer" && kind != "pem" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=86400")
	content := i.Certificate.Raw
	w.Header().Set("Content-Type", "application/pkix-cert") // RFC 2585 4.1
	if kind == "pem" {
		content = i.pem
		w.Header().Set("Content-Type", "application/x-pem-file")
	}
	http.ServeContent(w, r, "", i.Certificate.NotBefore, bytes.NewReader(content))
}

// ocsp takes a request by POST or GET (RFC 6960 A.1, RFC 5019 5).
func (s *Status) ocsp(w http.ResponseWriter, r *http.Request, path string) {
	id, encoded, _ := strings.Cut(path, "/")
	var raw []byte
	switch r.Method {
	case http.MethodPost:
		if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/ocsp-request") || encoded != "" {
			http.Error(w, "application/ocsp-request is expected", http.StatusUnsupportedMediaType)
			return
		}
		var err error
		if raw, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest)); err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
	case http.MethodGet, http.MethodHead:
		if !strings.HasPrefix(id, "iss_") { // the common address: all of the path is the request
			id, encoded = "", path
		}
		raw = decodePath(encoded)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "only GET and POST", http.StatusMethodNotAllowed)
		return
	}
	if err := s.current(r); err != nil {
		s.cfg.Log.Error("status is not answered", "error", err)
		give(w, r, refusal(tryLater))
		return
	}
	s.mu.RLock()
	known := id == "" || s.issuers[id] != nil
	s.mu.RUnlock()
	if !known {
		http.NotFound(w, r)
		return
	}
	s.answer(w, r, id, raw)
}

// decodePath reads a request from a path: base64, then percent-encoding; some clients
// leave out either the encoding of "/" and "+" or the padding. What cannot be read is
// empty.
func decodePath(path string) []byte {
	if len(path) > 2*maxRequest {
		return nil
	}
	text, err := url.PathUnescape(path)
	if err != nil {
		return nil
	}
	text = strings.TrimRight(strings.ReplaceAll(text, " ", "+"), "=")
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return raw
}

// answer answers a request about certificates of an issuer, or of whichever issuer it
// names when id is empty.
func (s *Status) answer(w http.ResponseWriter, r *http.Request, id string, raw []byte) {
	q, err := parseRequest(raw)
	if err != nil {
		give(w, r, refusal(malformedRequest))
		return
	}
	i, k := s.responsible(id, q.asked[0])
	if i == nil { // RFC 5019 2.2.3: not an issuer that this responder answers for
		give(w, r, refusal(unauthorized))
		return
	}
	if k == nil {
		give(w, r, refusal(tryLater))
		return
	}
	if q.nonce == nil && len(q.asked) == 1 {
		one, err := s.held(r.Context(), i, k, q.asked[0])
		if err != nil {
			s.cfg.Log.Error("status is not answered", "error", err)
			give(w, r, refusal(tryLater))
			return
		}
		one.give(w, r, s.db.Now())
		return
	}
	if !s.allow(w, r, costSigned) {
		return
	}
	der, err := s.fresh(r.Context(), i, k, q)
	if err != nil {
		s.cfg.Log.Error("status is not answered", "error", err)
		der = refusal(tryLater)
	}
	give(w, r, der)
}

// responsible finds the issuer that a request means and who signs for it.
func (s *Status) responsible(id string, asked certID) (*issuer, *signer) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, i := range s.issuers {
		if (id == "" || id == i.ID) && !i.root && i.names(asked) {
			return i, s.signers[i.ID]
		}
	}
	return nil, nil
}

// fresh signs an answer for one request alone, with its nonce.
func (s *Status) fresh(ctx context.Context, i *issuer, k *signer, q *request) ([]byte, error) {
	var all []single
	for _, id := range q.asked {
		one := single{id: id}
		if i.names(id) {
			serial := serialText(id)
			state, err := s.standing(ctx, i, serial)
			if err != nil {
				return nil, err
			}
			one.standing = state
		}
		all = append(all, one)
	}
	this := s.db.Now().Truncate(time.Second)
	return k.sign(all, q.nonce, this, this.Add(s.cfg.AnswerLife))
}

// give sends an answer that must not be kept.
func give(w http.ResponseWriter, r *http.Request, der []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/ocsp-response")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(der)))
	if r.Method != http.MethodHead {
		w.Write(der) //nolint:errcheck // the client is gone
	}
}

// give sends a signed answer with the headers of RFC 5019 6.2. Caches keep it for a
// minute at most, so that a revocation spreads.
func (a *answer) give(w http.ResponseWriter, r *http.Request, now time.Time) {
	h := w.Header()
	if r.Method == http.MethodPost {
		give(w, r, a.der)
		return
	}
	age := min(int64(a.next.Sub(now).Seconds()), 60)
	h.Set("Content-Type", "application/ocsp-response")
	h.Set("Last-Modified", a.this.UTC().Format(http.TimeFormat))
	h.Set("Expires", a.next.UTC().Format(http.TimeFormat))
	h.Set("ETag", a.etag)
	h.Set("Cache-Control", "max-age="+strconv.FormatInt(age, 10)+", public, no-transform, must-revalidate")
	if match := r.Header.Get("If-None-Match"); match == a.etag || match == "*" {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(a.der)))
	if r.Method != http.MethodHead {
		w.Write(a.der) //nolint:errcheck // the client is gone
	}
}
