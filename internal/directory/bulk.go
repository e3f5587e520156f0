package directory

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// chunk is how many rows one INSERT carries.
const chunk = 6

// AddMany adds accounts and, for each entry whose person has no id, that person.
// It fills in the ids. On an error nothing may be committed: ErrTaken says that a
// user name or a number of a person is in use.
func (d *Directory) AddMany(tx *store.Tx, entries []Entry) error {
	var people, accounts, members [][]any
	for i := range entries {
		e := &entries[i]
		if err := check(&e.Account, &e.Person); err != nil {
			return err
		}
		if e.Person.ID == "" {
			e.Person.ID = authn.PersonID(newID("per", tx.Now))
			people = append(people, personRow(e.Person, tx.Now))
		}
		a, err := fillAccount(e, tx.Now)
		if err != nil {
			return err
		}
		accounts = append(accounts, a)
		for _, g := range e.Account.Groups {
			members = append(members, []any{string(e.Account.ID), g})
		}
	}
	for _, table := range []struct {
		into string
		rows [][]any
	}{
		{`directory_person (id, number, family, given, family_kana, given_kana, family_latin, given_latin,
			name_key, kana_key, latin_key, mail_key, mail, mail_verified, notify, notify_verified, recovery, recovery_verified,
			lang, notices, created, updated)`, people},
		{`directory_account (id, person, user_name, user_key, kind, state, state_since, state_why, state_by,
			valid_from, valid_until, affiliations, attributes, agreed, agreed_at, last_factor, created, updated)`, accounts},
		{`directory_member (account, name)`, members},
	} {
		if err := insert(tx, table.into, table.rows); err != nil {
			return err
		}
	}
	return nil
}

func personRow(p Person, now time.Time) []any {
	n, at := p.Name, store.Millis(now)
	return []any{string(p.ID), orNull(p.Number), n.Family, n.Given, n.FamilyKana, n.GivenKana, n.FamilyLatin, n.GivenLatin,
		searchKey(n.Family, n.Given), searchKey(n.FamilyKana, n.GivenKana), searchKey(n.FamilyLatin, n.GivenLatin), searchKey(p.Mail),
		p.Mail, store.Millis(p.MailVerified), p.Notify, store.Millis(p.NotifyVerified), p.Recovery, store.Millis(p.RecoveryVerified),
		string(p.Lang), string(p.Notices), at, at}
}

func fillAccount(e *Entry, now time.Time) ([]any, error) {
	a := &e.Account
	if a.ID == "" {
		a.ID = authn.AccountID(newID("acc", now))
	}
	a.Person = e.Person.ID
	a.StateSince, a.Created = orNow(a.StateSince, now), orNow(a.Created, now)
	a.Groups = slices.Compact(slices.Sorted(slices.Values(a.Groups)))
	attributes, err := encode(a.Attributes)
	return []any{string(a.ID), string(a.Person), a.UserName, []byte(Key(a.UserName)), a.Kind,
		string(a.State), store.Millis(a.StateSince), a.StateWhy, a.StateBy,
		store.Millis(a.ValidFrom), store.Millis(a.ValidUntil), strings.Join(a.Affiliations, " "), attributes,
		a.AgreedVersion, store.Millis(a.AgreedAt), string(a.LastFactor), store.Millis(a.Created), store.Millis(now)}, err
}

// insert writes rows of equal length, many with each statement.
func insert(tx *store.Tx, into string, rows [][]any) error {
	for part := range slices.Chunk(rows, chunk) {
		args := make([]any, 0, len(part)*len(part[0]))
		for _, row := range part {
			args = append(args, row...)
		}
		_, err := tx.Exec("INSERT INTO "+into+" VALUES "+places(len(part), len(part[0])), args...)
		if store.IsUnique(err) {
			return ErrTaken
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// places writes ($1, $2), ($3, $4) ...
func places(rows, columns int) string {
	var b strings.Builder
	for i := range rows * columns {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	return b.String() + ")"
}

// newID makes a lasting name for a row: the moment, then 80 random bits. Names
// made one after the other lie side by side in the index, which keeps a large
// import quick; they are never a secret.
func newID(prefix string, now time.Time) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now.UnixMilli())<<16)
	rand.Read(raw[6:]) //nolint:errcheck // never fails (crypto/rand.Read)
	return prefix + "_" + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:]))
}
