package rp

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Reveal is a request to learn who is behind an identifier that a service knows, after
// an incident there. One person asks with a reason, another one approves; the answer
// is given once.
type Reveal struct {
	ID         string      `json:"id"`
	Party      string      `json:"party"`
	Identifier string      `json:"identifier"`
	Reason     string      `json:"reason"`
	State      RevealState `json:"state"`
	AskedBy    string      `json:"asked_by"`
	Asked      time.Time   `json:"asked"`
	DecidedBy  string      `json:"decided_by,omitempty"`
	Decided    time.Time   `json:"decided,omitzero"`
}

// RevealState is where a request stands.
type RevealState string

// The states of a request.
const (
	RevealWaiting  RevealState = "waiting"
	RevealApproved RevealState = "approved"
	RevealDenied   RevealState = "denied"
	RevealAnswered RevealState = "answered"
	RevealExpired  RevealState = "expired" // nobody decided, or nobody fetched the answer, in time
)

// How long people have to decide, and to fetch the answer.
const (
	revealDecide = 3 * 24 * time.Hour
	revealAnswer = 24 * time.Hour
)

// Errors of requests, in words for the people at the desk.
var (
	ErrNoReveal  = errors.New("there is no such request")
	ErrSameActor = errors.New("whoever asked cannot approve: another person must")
)

const revealColumns = "id, party, identifier, reason, state, asked_by, asked_at, decided_by, decided_at"

func scanReveal(scan func(...any) error, now time.Time) (Reveal, error) {
	var r Reveal
	var asked, decided int64
	err := scan(&r.ID, &r.Party, &r.Identifier, &r.Reason, &r.State, &r.AskedBy, &asked, &r.DecidedBy, &decided)
	r.Asked, r.Decided = store.Time(asked), store.Time(decided)
	switch {
	case r.State == RevealWaiting && now.After(r.Asked.Add(revealDecide)), r.State == RevealApproved && now.After(r.Decided.Add(revealAnswer)):
		r.State = RevealExpired
	}
	return r, err
}

// AskReveal writes a request down.
func (b *Book) AskReveal(tx *store.Tx, r Reveal) (Reveal, error) {
	r.Identifier, r.Reason = strings.TrimSpace(r.Identifier), strings.TrimSpace(r.Reason)
	switch {
	case r.Identifier == "" || len(r.Identifier) > 1024:
		return Reveal{}, errors.New("the identifier is missing or too long")
	case len(r.Reason) < 8 || len(r.Reason) > 1000:
		return Reveal{}, errors.New("the reason needs 8 to 1,000 characters: what happened, and who asks")
	}
	if _, err := b.Get(tx, r.Party); err != nil {
		return Reveal{}, named(err, r.Party)
	}
	r.ID, r.State, r.Asked, r.DecidedBy, r.Decided = authn.NewID("rev"), RevealWaiting, tx.Now, "", time.Time{}
	_, err := tx.Exec("INSERT INTO rp_reveal ("+revealColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, '', 0)",
		r.ID, r.Party, r.Identifier, r.Reason, string(r.State), r.AskedBy, store.Millis(r.Asked))
	return r, err
}

// GetReveal reads a request.
func (b *Book) GetReveal(tx *store.Tx, id string) (Reveal, error) {
	r, err := scanReveal(tx.QueryRow("SELECT "+revealColumns+" FROM rp_reveal WHERE id = $1", id).Scan, tx.Now)
	if errors.Is(err, store.ErrNoRows) {
		return Reveal{}, ErrNoReveal
	}
	return r, err
}

// Reveals lists the requests of the last year, the newest first.
func (b *Book) Reveals(tx *store.Tx) ([]Reveal, error) {
	var out []Reveal
	rows, err := tx.Query("SELECT "+revealColumns+" FROM rp_reveal WHERE asked_at > $1 ORDER BY asked_at DESC, id LIMIT 200",
		store.Millis(tx.Now.Add(-365*24*time.Hour)))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		r, err := scanReveal(rows.Scan, tx.Now)
		out = append(out, r)
		return err
	})
	return out, err
}

// DecideReveal approves or denies a waiting request. Approval by whoever asked is
// refused (ErrSameActor); taking it back oneself is not.
func (b *Book) DecideReveal(tx *store.Tx, id, actor string, approve bool) (Reveal, error) {
	r, err := b.GetReveal(tx, id)
	switch {
	case err != nil:
		return Reveal{}, err
	case r.State != RevealWaiting:
		return Reveal{}, fmt.Errorf("the request is %s already", r.State)
	case approve && r.AskedBy == actor:
		return Reveal{}, ErrSameActor
	}
	r.State, r.DecidedBy, r.Decided = RevealDenied, actor, tx.Now
	if approve {
		r.State = RevealApproved
	}
	return r, b.moveReveal(tx, r, RevealWaiting)
}

// AnswerReveal uses an approval up. Only the two people may fetch the answer.
func (b *Book) AnswerReveal(tx *store.Tx, id, actor string) (Reveal, error) {
	r, err := b.GetReveal(tx, id)
	switch {
	case err != nil:
		return Reveal{}, err
	case r.State == RevealWaiting:
		return Reveal{}, errors.New("nobody has approved the request yet")
	case r.State != RevealApproved:
		return Reveal{}, fmt.Errorf("the request is %s", r.State)
	case actor != r.AskedBy && actor != r.DecidedBy:
		return Reveal{}, errors.New("only the two people of the request may fetch the answer")
	}
	r.State = RevealAnswered
	return r, b.moveReveal(tx, r, RevealApproved)
}

func (b *Book) moveReveal(tx *store.Tx, r Reveal, from RevealState) error {
	n, err := tx.Exec("UPDATE rp_reveal SET state = $1, decided_by = $2, decided_at = $3 WHERE id = $4 AND state = $5",
		string(r.State), r.DecidedBy, store.Millis(r.Decided), r.ID, string(from))
	if err == nil && n == 0 {
		err = errors.New("somebody else was faster")
	}
	return err
}
