package card

import (
	"database/sql"
	"embed"
	"errors"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

//go:embed schema/*.sql
var schema embed.FS

// Schema is the tables of the room.
func Schema() store.Schema { return store.Schema{Room: "card", Files: schema} }

// ErrNone says that there is no such card.
var ErrNone = errors.New("card: no such card")

// ErrTaken says that the card is registered already.
var ErrTaken = errors.New("card: registered already")

// Card is one card during one life; a returned card that is used again begins a new one.
type Card struct {
	ID     string
	Serial string // what the card says of itself: "Y" and the maker's number, or its GUID (CHUID)
	Label  string // what is printed on it
	State  State
	Since  time.Time
	Why    string // reason of the state, as the desk wrote it
	By     string // who brought it into this state

	Account     authn.AccountID
	Person      authn.PersonID
	Certificate string // id at ca; empty before the certificate is issued
	Algorithm   string // "P-256", "RSA-2048", "RSA-3072"
	PublicKey   []byte // SubjectPublicKeyInfo of the key made on the card

	PINMade time.Time // when the card got its present PIN; zero: never, or interrupted
	Printed time.Time // when its letter was printed; zero: not yet
	Tries   int       // PIN tries left when the card was last in a reader of the desk; -1: unknown
	Seen    time.Time // when that was; zero: never

	Replaces, ReplacedBy string
	Used                 time.Time // last sign-in with it; zero: never
	Created              time.Time

	LockAfter int    // how many wrong PINs in a row lock it; 0: the card did not tell
	Brought   []byte // certificate of another house, on a card that was personalised elsewhere

	pin, puk []byte // sealed
	pinMAC   []byte
	given    []byte // sealed: what the maker told
	givenMAC []byte
}

// Elsewhere tells whether the card was personalised elsewhere: nobody here knows its PUK
// or its management key.
func (c Card) Elsewhere() bool { return len(c.puk) == 0 && (c.Certificate != "" || len(c.Brought) > 0) }

// Called is how people call the card: what is printed on it, or its own number.
func (c Card) Called() string {
	if c.Label != "" {
		return c.Label
	}
	return c.Serial
}

// Letter tells whether a PIN letter waits to be printed: the card surely has this PIN.
func (c Card) Letter() bool {
	return len(c.pin) > 0 && c.Printed.IsZero() && !c.PINMade.IsZero() && c.State != Personalising
}

// Past is an earlier state.
type Past struct {
	State        State
	Since, Until time.Time
	Why, By      string
}

// Proof is one look at a person's document.
type Proof struct {
	Card     string
	Account  authn.AccountID
	Person   authn.PersonID
	Act      string // "handover", "unblock"
	Document string // kind of document; never its number
	At       time.Time
	By       string
}

// Book is the register of cards.
type Book struct{}

// NewBook opens the register.
func NewBook() *Book { return &Book{} }

const columns = `id, serial, label, state, since, why, by_whom, account, person, certificate, algorithm, public_key,
	pin, pin_mac, pin_made, printed, puk, tries, seen, replaces, replaced_by, used, created, given, given_mac, lock_after, brought`

func scan(rows *sql.Rows) (c Card, err error) {
	var since, pinMade, printed, seen, used, created int64
	err = rows.Scan(&c.ID, &c.Serial, &c.Label, &c.State, &since, &c.Why, &c.By, &c.Account, &c.Person, &c.Certificate,
		&c.Algorithm, &c.PublicKey, &c.pin, &c.pinMAC, &pinMade, &printed, &c.puk, &c.Tries, &seen, &c.Replaces, &c.ReplacedBy,
		&used, &created, &c.given, &c.givenMAC, &c.LockAfter, &c.Brought)
	c.Since, c.PINMade, c.Printed = store.Time(since), store.Time(pinMade), store.Time(printed)
	c.Seen, c.Used, c.Created = store.Time(seen), store.Time(used), store.Time(created)
	return c, err
}

func (b *Book) list(tx *store.Tx, where string, args ...any) (out []Card, err error) {
	rows, err := tx.Query("SELECT "+columns+" FROM card_card "+where, args...)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		c, err := scan(rows)
		out = append(out, c)
		return err
	})
	return out, err
}

func (b *Book) one(tx *store.Tx, where string, args ...any) (Card, error) {
	found, err := b.list(tx, where, args...)
	if err == nil && len(found) == 0 {
		err = ErrNone
	}
	if err != nil {
		return Card{}, err
	}
	return found[0], nil
}

// Get finds a card by its id, or says ErrNone.
func (b *Book) Get(tx *store.Tx, id string) (Card, error) { return b.one(tx, "WHERE id = $1", id) }

// BySerial finds the card in its present life by what it says of itself, or says ErrNone.
func (b *Book) BySerial(tx *store.Tx, serial string) (Card, error) {
	return b.one(tx, "WHERE serial = $1 AND state <> 'returned'", serial)
}

// ByAccount lists the cards of an account, the newest first.
func (b *Book) ByAccount(tx *store.Tx, account authn.AccountID) ([]Card, error) {
	return b.list(tx, "WHERE account = $1 AND account <> '' ORDER BY created DESC, id DESC", string(account))
}

// broughtBy begins the name of a certificate of another house; its SHA-256 follows.
const broughtBy = "x509:"

// ByCertificate finds the card that holds a certificate, or says ErrNone. The name is
// the id of one of ours, or "x509:" and the SHA-256 of one of another house.
func (b *Book) ByCertificate(tx *store.Tx, certificate string) (Card, error) {
	if print, ok := strings.CutPrefix(certificate, broughtBy); ok {
		return b.one(tx, "WHERE fingerprint = $1 AND fingerprint <> '' ORDER BY CASE WHEN state = 'returned' THEN 1 ELSE 0 END, created DESC, id", print)
	}
	return b.one(tx, "WHERE certificate = $1 AND certificate <> ''", certificate)
}

// CardOf gives the state of the card that holds a certificate and since when: what a
// sign-in has to know. The state is "" for a certificate that is on no card of ours,
// and "active" for every card that may sign in, used already or not.
func (b *Book) CardOf(tx *store.Tx, certificate string) (state string, since time.Time, err error) {
	c, err := b.ByCertificate(tx, certificate)
	switch {
	case errors.Is(err, ErrNone):
		return "", time.Time{}, nil
	case err != nil:
		return "", time.Time{}, err
	case c.State.Usable():
		return string(Active), c.Since, nil
	}
	return string(c.State), c.Since, nil
}

// Reading gives the PIN tries that the desk last read from the card that holds a
// certificate, and when: 0 for a locked card, -1 when nothing is known, or when the card
// has signed in since, which gives all tries back.
func (b *Book) Reading(tx *store.Tx, certificate string) (tries int, at time.Time, err error) {
	c, err := b.ByCertificate(tx, certificate)
	switch {
	case errors.Is(err, ErrNone):
		return unknownTries, time.Time{}, nil
	case err != nil:
		return unknownTries, time.Time{}, err
	case c.Seen.IsZero(), c.Used.After(c.Seen):
		return unknownTries, c.Seen, nil
	}
	return c.Tries, c.Seen, nil
}

// Filter chooses cards.
type Filter struct {
	State State
	After string // id
	Limit int    // at most 500; 0 means 100
}

// List gives cards in the order of their ids.
func (b *Book) List(tx *store.Tx, f Filter) ([]Card, error) {
	limit := f.Limit
	if limit <= 0 || limit > 500 {
		limit = 100
	}
	if f.State == "" {
		return b.list(tx, "WHERE id > $1 ORDER BY id LIMIT $2", f.After, limit)
	}
	return b.list(tx, "WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3", string(f.State), f.After, limit)
}

// Find finds a card by its id, its own number or what is printed on it. The present
// life comes before returned ones; two cards with one label are refused.
func (b *Book) Find(tx *store.Tx, word string) (Card, error) {
	list, err := b.list(tx, `WHERE id = $1 OR serial = $1 OR label = $1 AND label <> ''
		ORDER BY CASE WHEN state = 'returned' THEN 1 ELSE 0 END, created DESC, id`, word)
	switch {
	case err != nil:
		return Card{}, err
	case len(list) == 0:
		return Card{}, ErrNone
	case len(list) > 1 && list[1].State != Returned && list[0].Serial != list[1].Serial:
		return Card{}, ErrAmbiguous
	}
	return list[0], nil
}

// ErrAmbiguous says that several cards carry the same label.
var ErrAmbiguous = errors.New("card: several cards carry this label; use the card's own number")

// History lists the earlier states of a card, the oldest first.
func (b *Book) History(tx *store.Tx, id string) (out []Past, err error) {
	rows, err := tx.Query("SELECT state, since, until, why, by_whom FROM card_past WHERE card = $1 ORDER BY number", id)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var p Past
		var since, until int64
		err := rows.Scan(&p.State, &since, &until, &p.Why, &p.By)
		p.Since, p.Until = store.Time(since), store.Time(until)
		out = append(out, p)
		return err
	})
	return out, err
}

// Proofs lists when a person's documents were looked at, the oldest first.
func (b *Book) Proofs(tx *store.Tx, person authn.PersonID) (out []Proof, err error) {
	rows, err := tx.Query("SELECT card, account, person, act, document, at, by_whom FROM card_proof WHERE person = $1 ORDER BY number", string(person))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var p Proof
		var at int64
		err := rows.Scan(&p.Card, &p.Account, &p.Person, &p.Act, &p.Document, &at, &p.By)
		p.At = store.Time(at)
		out = append(out, p)
		return err
	})
	return out, err
}
