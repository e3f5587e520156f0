package mail

import (
	"context"
	"fmt"
	"strings"
)

// Transport carries a message to a mail server and gives its reply. The error is
// a *Refusal if the server was spoken to and did not take it; anything else means
// that it could not be spoken to. It must honour ctx and be safe for concurrent
// use. If it has a method Server() string, that names the server in delivery facts.
type Transport interface {
	Send(ctx context.Context, from, to string, message []byte) (reply string, err error)
}

// Refusal is a mail server's answer that it does not take a message.
type Refusal struct {
	Code  int    // of SMTP
	Reply string // its words
	Final bool   // it would say the same again
}

// Error gives the reply as the server worded it.
func (r *Refusal) Error() string { return fmt.Sprintf("%d %s", r.Code, r.Reply) }

func serverOf(t Transport) string {
	if named, ok := t.(interface{ Server() string }); ok {
		return named.Server()
	}
	return ""
}

// hideAddress masks the recipient where a server repeats it.
func hideAddress(reply, to string) string {
	for {
		i := strings.Index(strings.ToLower(reply), strings.ToLower(to))
		if i < 0 || len(strings.ToLower(reply)) != len(reply) {
			return reply
		}
		reply = reply[:i] + MaskAddress(to) + reply[i+len(to):]
	}
}
