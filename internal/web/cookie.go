package web

import (
	"net/http"
	"time"
)

// hostPrefix makes browsers accept a cookie only over TLS, for this host alone, on
// every path (RFC 6265bis 4.1.3.2), so that a neighbour under the same domain
// cannot plant one.
const hostPrefix = "__Host-"

// SetCookie sets a cookie that scripts cannot read. A maxAge of 0 lasts as long as
// the browser runs.
func SetCookie(w http.ResponseWriter, name, value string, maxAge time.Duration) {
	http.SetCookie(w, hostCookie(name, value, int(maxAge/time.Second)))
}

// ClearCookie removes a cookie.
func ClearCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, hostCookie(name, "", -1))
}

// Cookie reads a cookie set with SetCookie; "" when there is none.
func Cookie(r *http.Request, name string) string {
	c, err := r.Cookie(hostPrefix + name)
	if err != nil {
		return ""
	}
	return c.Value
}

// hostCookie is the only shape of cookie in the house.
func hostCookie(name, value string, seconds int) *http.Cookie {
	return &http.Cookie{
		Name: hostPrefix + name, Value: value, Path: "/", MaxAge: seconds,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
