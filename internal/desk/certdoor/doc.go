// Package certdoor is the door at which browsers show a client certificate: hosts
// of their own, apart from the gate, where nothing else is served.
//
// It owns the names of these hosts, the TLS settings of their listener, the PROXY
// protocol and the Client-Cert header that declared proxies speak, the way from a
// sign-in to such a host and back, and the page that tells how managed computers
// choose without asking. It does not own the tries (factor/clientcert keeps them),
// what a certificate is worth (ca/trust), the step of the sign-in (login) or the
// listener itself (app).
package certdoor
