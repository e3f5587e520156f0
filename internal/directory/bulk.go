package directory

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// rows is how many rows one INSERT carries: a round trip costs most in
// PostgreSQL, the parameters of a long statement cost most in SQLite.
func (d *Directory) rows() int {
	if d.db.Flavour() == store.SQLite {
		return 4
	}
	return 100
}

// Bulk lets fill add very many accounts to a directory that has few: the indexes
// that only searches need are taken away before and built again after, in the
// same transaction.
func (d *Directory) Bulk(tx *store.Tx, fill func() error) error {
	text, err := schema.ReadFile("schema/001_directory.sql")
	if err != nil {
		return err
	}
	indexes := regexp.MustCompile(`(?m)^CREATE INDEX (\w+) ON directory_(?:person|account) .*$`).FindAllStringSubmatch(string(text), -1)
	for _, index := range indexes {
		if _, err := tx.Exec("DROP INDEX " + index[1]); err != nil {
			return err
		}
	}
	if err := fill(); err != nil {
		return err
	}
	for _, index := range indexes {
		if _, err := tx.Exec(strings.TrimSuffix(index[0], ";")); err != nil {
			return err
		}
	}
	return nil
}

// AddMany adds accounts and, for each entry whose person has no id, that person.
// It fills in the ids. On an error nothing may be committed: ErrTaken says that a
// user name or a number of a person is in use.
func (d *Directory) AddMany(tx *store.Tx, entries []Entry) error {
	var people, accounts, members [][]any
	ids := newMint(tx.Now)
	for i := range entries {
		e := &entries[i]
		if err := check(&e.Account, &e.Person); err != nil {
			return err
		}
		if e.Person.ID == "" {
			e.Person.ID = authn.PersonID(ids.next("per"))
			people = append(people, personRow(e.Person, tx.Now))
		}
		if e.Account.ID == "" {
			e.Account.ID = authn.AccountID(ids.next("acc"))
		}
		a, err := fillAccount(e, tx.Now)
		if err != nil {
			return err
		}
		accounts = append(accounts, a)
		for _, g := range e.Account.Groups {
			members = append(members, []any{g, string(e.Account.ID)})
		}
	}
	if err := freeNames(tx, entries); err != nil {
		return err
	}
	for _, table := range []struct {
		into string
		rows [][]any
	}{
		{`directory_person (id, number, family, given, family_kana, given_kana, family_latin, given_latin,
			name_key, kana_key, latin_key, mail_key, mail, mail_verified, notify, notify_verified, recovery, recovery_verified,
			lang, notices, created, updated)`, people},
		{`directory_account (id, person, user_name, user_key, kind, state, state_since, state_why, state_by,
			valid_from, valid_until, groups, affiliations, attributes, agreed, agreed_at, last_factor, created, updated, affirmed)`, accounts},
		{`directory_member (name, account)`, members},
	} {
		if err := insert(tx, d.rows(), table.into, table.rows); err != nil {
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
	a.Person = e.Person.ID
	a.StateSince, a.Created = orNow(a.StateSince, now), orNow(a.Created, now)
	a.Groups = slices.Compact(slices.Sorted(slices.Values(a.Groups)))
	var affirmed time.Time
	if len(a.Affiliations) > 0 {
		affirmed = now
	}
	a.Affirmed = affirmed
	attributes, err := encode(a.Attributes)
	return []any{string(a.ID), string(a.Person), a.UserName, []byte(Key(a.UserName)), a.Kind,
		string(a.State), store.Millis(a.StateSince), a.StateWhy, a.StateBy,
		store.Millis(a.ValidFrom), store.Millis(a.ValidUntil), strings.Join(a.Groups, " "), strings.Join(a.Affiliations, " "), attributes,
		a.AgreedVersion, store.Millis(a.AgreedAt), string(a.LastFactor), store.Millis(a.Created), store.Millis(now), store.Millis(affirmed)}, err
}

// insert writes rows of equal length, many with each statement.
func insert(tx *store.Tx, each int, into string, rows [][]any) error {
	for part := range slices.Chunk(rows, each) {
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

// mint makes lasting names for rows: the moment, then 80 bits that begin at
// random and grow at random. Names made together lie side by side in the index,
// which keeps a large import quick; they are never a secret.
type mint struct{ raw [16]byte }

func newMint(now time.Time) *mint {
	m := &mint{}
	rand.Read(m.raw[6:]) //nolint:errcheck // never fails (crypto/rand.Read)
	m.raw[6] &= 0x7f     // room to grow
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(now.UnixMilli()))
	copy(m.raw[:6], at[2:])
	return m
}

func (m *mint) next(prefix string) string {
	var step [4]byte
	rand.Read(step[:]) //nolint:errcheck // never fails (crypto/rand.Read)
	low := binary.BigEndian.Uint64(m.raw[8:])
	grown := low + uint64(binary.BigEndian.Uint32(step[:])) + 1
	if grown < low {
		binary.BigEndian.PutUint16(m.raw[6:], binary.BigEndian.Uint16(m.raw[6:])+1)
	}
	binary.BigEndian.PutUint64(m.raw[8:], grown)
	return prefix + "_" + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(m.raw[:]))
}
