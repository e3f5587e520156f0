package directory

import (
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// entry is the columns of an account beside its person, in the order of scan.
const entry = `a.id, a.person, a.user_name, a.kind, a.state, a.state_since, a.state_why, a.state_by,
	a.valid_from, a.valid_until, a.groups, a.affiliations, a.attributes, a.agreed, a.agreed_at, a.last_factor, a.created,
	p.id, p.number, p.family, p.given, p.family_kana, p.given_kana, p.family_latin, p.given_latin,
	p.mail, p.mail_verified, p.notify, p.notify_verified, p.recovery, p.recovery_verified, p.lang, p.notices,
	a.affirmed, p.proofs FROM directory_account a JOIN directory_person p ON p.id = a.person`

type scanner interface{ Scan(dest ...any) error }

func scanEntry(row scanner) (Account, Person, error) {
	var a Account
	var p Person
	var since, from, until, agreed, created, mail, notify, recovery, affirmed int64
	var groups, affiliations, attributes, tag, notices, proofs string
	var number sql.NullString
	err := row.Scan(&a.ID, &a.Person, &a.UserName, &a.Kind, &a.State, &since, &a.StateWhy, &a.StateBy,
		&from, &until, &groups, &affiliations, &attributes, &a.AgreedVersion, &agreed, &a.LastFactor, &created,
		&p.ID, &number, &p.Name.Family, &p.Name.Given, &p.Name.FamilyKana, &p.Name.GivenKana, &p.Name.FamilyLatin, &p.Name.GivenLatin,
		&p.Mail, &mail, &p.Notify, &notify, &p.Recovery, &recovery, &tag, &notices, &affirmed, &proofs)
	if errors.Is(err, store.ErrNoRows) {
		return a, p, ErrNone
	}
	if err != nil {
		return a, p, err
	}
	a.StateSince, a.ValidFrom, a.ValidUntil = store.Time(since), store.Time(from), store.Time(until)
	a.AgreedAt, a.Created = store.Time(agreed), store.Time(created)
	a.Groups = strings.Fields(groups)
	a.Affiliations = strings.Fields(affiliations)
	if attributes != "" {
		err = json.Unmarshal([]byte(attributes), &a.Attributes)
	}
	if proofs != "" {
		err = errors.Join(err, json.Unmarshal([]byte(proofs), &p.Proofs))
	}
	a.Affirmed = store.Time(affirmed)
	p.Number, p.Lang, p.Notices = number.String, lang.Tag(tag), NoticeChoice(notices)
	p.MailVerified, p.NotifyVerified, p.RecoveryVerified = store.Time(mail), store.Time(notify), store.Time(recovery)
	return a, p, err
}

// ByUserName finds the account that a person means by what was typed. It returns
// ErrNone when there is none, after the same work.
func (d *Directory) ByUserName(tx *store.Tx, name string) (Account, Person, error) {
	key := Key(name)
	if len(key) > nameLimit {
		key = ""
	}
	return scanEntry(tx.QueryRow("SELECT "+entry+" WHERE a.user_key = $1", []byte(key)))
}

// ByID finds an account by its lasting name, or ErrNone.
func (d *Directory) ByID(tx *store.Tx, id authn.AccountID) (Account, Person, error) {
	return scanEntry(tx.QueryRow("SELECT "+entry+" WHERE a.id = $1", string(id)))
}

// AccountsOf lists the accounts of a person, oldest first.
func (d *Directory) AccountsOf(tx *store.Tx, person authn.PersonID) ([]Account, error) {
	rows, err := tx.Query("SELECT "+entry+" WHERE a.person = $1 ORDER BY a.created, a.id", string(person))
	var out []Account
	err = store.Each(rows, err, func(r *sql.Rows) error {
		a, _, err := scanEntry(r)
		out = append(out, a)
		return err
	})
	return out, err
}

// personBy finds a person by the number other systems use, or ErrNone.
func (d *Directory) personBy(tx *store.Tx, number string) (authn.PersonID, error) {
	var id authn.PersonID
	err := tx.QueryRow("SELECT id FROM directory_person WHERE number = $1", number).Scan(&id)
	if errors.Is(err, store.ErrNoRows) {
		return "", ErrNone
	}
	return id, err
}

// Past is a state that an account was in before.
type Past struct {
	State        State
	Since, Until time.Time
	Why, By      string
}

// PastStates lists the earlier states of an account, newest first.
func (d *Directory) PastStates(tx *store.Tx, account authn.AccountID) ([]Past, error) {
	rows, err := tx.Query(`SELECT state, since, until, why, by_whom FROM directory_past_state
		WHERE account = $1 ORDER BY number DESC`, string(account))
	var out []Past
	err = store.Each(rows, err, func(r *sql.Rows) error {
		var p Past
		var since, until int64
		err := r.Scan(&p.State, &since, &until, &p.Why, &p.By)
		p.Since, p.Until = store.Time(since), store.Time(until)
		out = append(out, p)
		return err
	})
	return out, err
}

// Count tells how many accounts there are.
func (d *Directory) Count(tx *store.Tx) (int64, error) {
	var n int64
	err := tx.QueryRow("SELECT COUNT(*) FROM directory_account").Scan(&n)
	return n, err
}
