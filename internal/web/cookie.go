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

// SetPathCookie sets a cookie that comes back to the addresses under path alone. A
// neighbour under the same domain can plant one of that name (RFC 6265bis 4.1.3.1), so its
// value must prove itself.
func SetPathCookie(w http.ResponseWriter, name, value, path string, maxAge time.Duration) {
	c := hostCookie(name, value, int(maxAge/time.Second))
	c.Name, c.Path = securePrefix+name, path
	http.SetCookie(w, c)
}

// PathCookie reads a cookie set with SetPathCookie; "" when there is none.
func PathCookie(r *http.Request, name string) string {
	c, err := r.Cookie(securePrefix + name)
	if err != nil {
		return ""
	}
	return c.Value
}

const securePrefix = "__Secure-"

// hostCookie is the shape of every cookie in the house but for the path.
func hostCookie(name, value string, seconds int) *http.Cookie {
	return &http.Cookie{
		Name: hostPrefix + name, Value: value, Path: "/", MaxAge: seconds,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
