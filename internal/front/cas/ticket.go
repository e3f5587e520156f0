package cas

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/session"
	"seimon/internal/store"
)

// The kinds of tickets, which are also their prefixes (CAS Protocol 3.0, 3).
const (
	kindService = "ST"
	kindProxy   = "PT"
	kindGrant   = "PGT"
	kindReceipt = "PGTIOU"
)

// content is what a ticket stands for. It is sealed, for it holds what the service is
// told about a person.
type content struct {
	// Ticket is the ticket itself: services are told of the end of a session by it.
	Ticket     string
	Service    string // the address that it was made for
	Subject    authn.Subject
	User       string // cas:user
	Attributes map[string][]string
	At         time.Time // when the person proved who they are
	Renewed    bool      // that was for this ticket
	ACR        string
	AMR        []string
	// Proxies are the callback addresses of those who act for the person, the last first.
	Proxies []string
}

// ticket is a row of cas_ticket.
type ticket struct {
	hash                        []byte
	kind, party, session, visit string
	content
}

func sealContext(hash []byte) string { return "cas:" + hex.EncodeToString(hash) }

// issue makes a ticket. It returns the text, which is stored nowhere in clear.
func (f *Front) issue(tx *store.Tx, t ticket, until time.Time) (string, error) {
	t.Ticket = t.kind + "-" + secret()
	t.hash = authn.HashToken(t.Ticket)
	plain, err := json.Marshal(t.content)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec("INSERT INTO cas_ticket (hash, kind, party, session, visit, sealed, used_at, until) VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
		t.hash, t.kind, t.party, t.session, t.visit, f.Ring.Seal(sealContext(t.hash), plain), store.Millis(until))
	return t.Ticket, err
}

// errTicket says that a ticket is unknown, spent, over, or its session has ended. The
// answer does not tell which.
var errTicket = errors.New("cas: no such ticket")

// spend takes a service or proxy ticket out of use, whatever is wrong with the rest of
// the request (CAS Protocol 3.0, 3.1.1), and gives it when it was still good. One
// statement decides, so that it serves once on any node.
func (f *Front) spend(tx *store.Tx, text string) (ticket, error) {
	if !formed(text, kindService) && !formed(text, kindProxy) {
		return ticket{}, errTicket
	}
	hash := authn.HashToken(text)
	n, err := tx.Exec("UPDATE cas_ticket SET used_at = $2 WHERE hash = $1 AND used_at = 0 AND kind <> $3", hash, store.Millis(tx.Now), kindGrant)
	if err != nil {
		return ticket{}, err
	}
	if n == 0 {
		return ticket{}, f.replayed(tx, hash)
	}
	t, err := f.read(tx, hash)
	if err != nil {
		return t, err
	}
	return t, f.alive(tx, t)
}

// replayed puts on record that a spent ticket came again.
func (f *Front) replayed(tx *store.Tx, hash []byte) error {
	t, err := f.read(tx, hash)
	if err != nil {
		return err
	}
	e := t.event("cas.ticket.reused", nil)
	if _, room := f.Audit.Afford(audit.Few(), e); room { // whoever holds a spent ticket can send it for ever
		if err := f.Audit.Append(tx, e); err != nil {
			return err
		}
	}
	return errTicket
}

// grant reads a proxy-granting ticket, which serves as long as its session lives.
func (f *Front) grant(tx *store.Tx, text string) (ticket, error) {
	if !formed(text, kindGrant) {
		return ticket{}, errTicket
	}
	t, err := f.read(tx, authn.HashToken(text))
	if err == nil && t.kind != kindGrant {
		err = errTicket
	}
	if err != nil {
		return t, err
	}
	return t, f.alive(tx, t)
}

// alive tells whether the session behind a ticket still is.
func (f *Front) alive(tx *store.Tx, t ticket) error {
	_, err := f.Sessions.Get(tx, t.session)
	if errors.Is(err, session.ErrNone) {
		return errTicket
	}
	return err
}

const ticketColumns = "hash, kind, party, session, visit, sealed, until"

// read opens a ticket that is not over.
func (f *Front) read(tx *store.Tx, hash []byte) (ticket, error) {
	var t ticket
	var sealed []byte
	var until int64
	err := tx.QueryRow("SELECT "+ticketColumns+" FROM cas_ticket WHERE hash = $1", hash).
		Scan(&t.hash, &t.kind, &t.party, &t.session, &t.visit, &sealed, &until)
	if errors.Is(err, store.ErrNoRows) || err == nil && !tx.Now.Before(store.Time(until)) {
		return ticket{}, errTicket
	}
	if err != nil {
		return ticket{}, err
	}
	return t, f.open(&t, sealed)
}

func (f *Front) open(t *ticket, sealed []byte) error {
	plain, err := f.Ring.Unseal(sealContext(t.hash), sealed)
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, &t.content)
}

// secret is the random part of a ticket: 260 bits in capital letters and digits. CAS
// Protocol 3.0, 3.7 allows no underscore, which services take by its word.
func secret() string { return rand.Text() + rand.Text() }

// formed tells whether a text can be a ticket of a kind: its prefix, a hyphen and what
// secret makes.
func formed(text, kind string) bool {
	token, ok := strings.CutPrefix(text, kind+"-")
	if !ok || len(token) != 52 {
		return false
	}
	return !strings.ContainsFunc(token, func(r rune) bool { return !('A' <= r && r <= 'Z' || '2' <= r && r <= '7') })
}
