package audit

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

//go:embed schema
var schemaFiles embed.FS

// Schema is the tables of the room.
func Schema() store.Schema { return store.Schema{Room: "audit", Files: schemaFiles} }

// Event is one thing that happened. It holds no secret, code or PIN.
type Event struct {
	ID      int64     // given by the database; stable, not gapless
	At      time.Time // when; the transaction's Now if zero
	Type    string    // "signin.failed", "factor.added", ...
	Account authn.AccountID
	Actor   string // who did it, if not the owner of the account

	Session, Transaction, Support, Party, Address string

	Facts map[string]string
}

// FactsLimit is the greatest size in bytes of an event's facts as JSON.
const FactsLimit = 256 << 10

// Log writes, finds, seals and verifies events.
type Log struct {
	db    *store.DB
	mac   func(data []byte) []byte
	crowd crowd
}

// New returns the log in db. mac is a keyed hash whose key lives outside the
// database and outlives every event (keyring.Ring.MAC).
func New(db *store.DB, mac func(data []byte) []byte) *Log { return &Log{db: db, mac: mac} }

// Append writes the event in the caller's transaction.
func (l *Log) Append(tx *store.Tx, e Event) error {
	if e.Type == "" {
		return errors.New("audit: an event needs a type")
	}
	if e.At.IsZero() {
		e.At = tx.Now
	}
	facts := []byte("{}")
	if len(e.Facts) > 0 {
		var err error
		if facts, err = json.Marshal(e.Facts); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	if len(facts) > FactsLimit {
		return fmt.Errorf("audit: the facts of %s take %d bytes, more than %d", e.Type, len(facts), FactsLimit)
	}
	_, err := tx.Exec(`INSERT INTO audit_fresh (at, type, account, actor, session, txn, support, party, address, facts)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		store.Millis(e.At), clean(e.Type), clean(string(e.Account)), clean(e.Actor), clean(e.Session),
		clean(e.Transaction), clean(e.Support), clean(e.Party), clean(e.Address), string(facts))
	if err != nil {
		return fmt.Errorf("audit: append %s: %w", e.Type, err)
	}
	return nil
}

// clean makes foreign text storable: PostgreSQL takes neither NUL nor broken UTF-8.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// row is an event as it is stored.
type row struct {
	id, at                                                        int64
	kind, account, actor, session, txn, support, party, addr, fct string
}

const rowColumns = "id, at, type, account, actor, session, txn, support, party, address, facts"

func (r *row) fields() []any {
	return []any{&r.id, &r.at, &r.kind, &r.account, &r.actor, &r.session, &r.txn, &r.support, &r.party, &r.addr, &r.fct}
}

func (r *row) event() (Event, error) {
	e := Event{
		ID: r.id, At: store.Time(r.at), Type: r.kind, Account: authn.AccountID(r.account), Actor: r.actor,
		Session: r.session, Transaction: r.txn, Support: r.support, Party: r.party, Address: r.addr,
	}
	if r.fct == "{}" {
		return e, nil
	}
	if err := json.Unmarshal([]byte(r.fct), &e.Facts); err != nil {
		return e, fmt.Errorf("audit: facts of event %d: %w", r.id, err)
	}
	return e, nil
}
