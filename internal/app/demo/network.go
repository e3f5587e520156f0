package demo

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"seimon/internal/lang"
	"seimon/internal/web"
)

// network is a place that a visitor can stand in. The gate believes the address
// because the demo rewrites where the connection comes from; no other program does.
type network struct {
	name    string
	address string
	words   string // id of its name; ".why" follows
}

// networks lists the places; the first is where visitors begin. The addresses lie
// in the zones of the example policy (policy.Example).
func networks() []network {
	return []network{
		{"campus", "10.12.34.56", "demo.network.campus"},
		{"vpn", "10.250.7.8", "demo.network.vpn"},
		{"eduroam", "10.240.9.10", "demo.network.eduroam"},
		{"relay", "198.51.100.23", "demo.network.relay"},
		{"home", "203.0.113.45", "demo.network.home"},
	}
}

func networkNamed(name string) (network, bool) {
	for _, n := range networks() {
		if n.name == name {
			return n, true
		}
	}
	return network{}, false
}

const (
	networkCookie = "demo-network"
	networkHeader = "X-Demo-Network"
	networkPath   = "/demo/network/"
)

// networkOf tells where a request stands: the header for scripts, else the cookie.
func networkOf(r *http.Request) network {
	if n, ok := networkNamed(r.Header.Get(networkHeader)); ok {
		return n
	}
	if n, ok := networkNamed(web.Cookie(r, networkCookie)); ok {
		return n
	}
	return networks()[0]
}

// standing lets the gate see each request come from its network.
func (t *Town) standing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutPrefix(r.URL.Path, networkPath); ok && r.Method == http.MethodGet {
			t.move(w, r, 0, name)
			return
		}
		_, port, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			port = "1"
		}
		seen := r.Clone(r.Context())
		seen.RemoteAddr = net.JoinHostPort(networkOf(r).address, port)
		seen.Header.Del(networkHeader)
		next.ServeHTTP(w, seen)
	})
}

// move sets the network at one of the demo's hosts and leads to the next host, so
// that in the end every page knows it; the last one leads back.
func (t *Town) move(w http.ResponseWriter, r *http.Request, host int, name string) {
	if _, ok := networkNamed(name); !ok {
		http.Error(w, "There is no such network.", http.StatusNotFound)
		return
	}
	web.SetCookie(w, networkCookie, name, 30*24*time.Hour)
	w.Header().Set("Cache-Control", "no-store")
	back := r.URL.Query().Get("return")
	if host+1 < len(hosts()) {
		to := t.origin(hosts()[host+1]) + networkPath + name
		if back != "" {
			to += "?return=" + url.QueryEscape(back)
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, t.inside(back), http.StatusSeeOther)
}

// inside keeps an address only if it belongs to the demo.
func (t *Town) inside(address string) string {
	u, err := url.Parse(address)
	if err == nil && u.Scheme == "https" && u.User == nil {
		for _, h := range hosts() {
			if t.origin(h) == "https://"+u.Host {
				return u.String()
			}
		}
	}
	return t.origin(demoHost) + "/"
}

// switchTo is the address that moves the browser to a network and comes back.
func (t *Town) switchTo(name, back string) string {
	return t.origin(ssoHost) + networkPath + name + "?return=" + url.QueryEscape(back)
}

// networkLink is the entry of a navigation that names the present network.
func (t *Town) networkLink(r *http.Request, p lang.Printer, back string) web.Link {
	return web.Link{
		Label: p.T("demo.nav.network", "Network", p.T(networkOf(r).words)),
		URL:   t.origin(demoHost) + "/network?return=" + url.QueryEscape(back),
	}
}
