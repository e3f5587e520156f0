package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// patient reloads a page until the program is back, as a person would, and sends
// a form again only if it never left: a form whose answer was lost is not repeated.
type patient struct{ base http.RoundTripper }

// patience is how long one request is tried.
const patience = 30 * time.Second

// RoundTrip implements http.RoundTripper.
func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	begun := time.Now()
	for {
		res, err := p.base.RoundTrip(r)
		if err == nil || time.Since(begun) > patience || r.Context().Err() != nil || r.Method != http.MethodGet && !unsent(err) {
			return res, err
		}
		if r.GetBody != nil {
			body, berr := r.GetBody()
			if berr != nil {
				return nil, berr
			}
			r.Body = body
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// unsent tells whether a request failed before anything of it was sent.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// lost tells whether an error means that the answer did not arrive.
func lost(err error) bool {
	var way *url.Error
	return errors.As(err, &way) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(*net.OpError))
}
