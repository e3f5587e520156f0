package oidc

import (
	"net/http"
	"net/url"
)

// preflight answers a browser's question before a script's request. It promises
// nothing yet: whether the script may read the answer depends on the client.
// Cookies are never part of it.
func preflight(w http.ResponseWriter, r *http.Request) error {
	if origin := r.Header.Get("Origin"); origin != "" {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
		h.Add("Vary", "Origin")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// allowOrigin lets a script read the answer when it runs at an origin to which a
// public client has a redirect address: those clients are the scripts.
func (f *Front) allowOrigin(w http.ResponseWriter, r *http.Request, c *client) {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !c.public() {
		return
	}
	for _, address := range c.RedirectURIs {
		u, err := url.Parse(address)
		if err == nil && u.Host != "" && u.Scheme+"://"+u.Host == origin {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
			return
		}
	}
}
