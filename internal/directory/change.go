package directory

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// Add makes an account and, when p.ID is empty, its person. It returns both with
// their ids. ErrTaken says that the user name, or the number of a new person, is
// in use. Mail addresses given with a verified time are taken as verified.
func (d *Directory) Add(tx *store.Tx, p Person, a Account) (Account, Person, error) {
	entries := []Entry{{a, p}}
	if err := d.AddMany(tx, entries); err != nil {
		return a, p, err
	}
	return entries[0].Account, entries[0].Person, nil
}

// Update writes what is known about a person and what an account is: names,
// number, language of the person; user name, kind, validity, affiliations and
// attributes of the account. States, groups and mail addresses change by their
// own functions.
func (d *Directory) Update(tx *store.Tx, a Account, p Person) error {
	if err := check(&a, &p); err != nil {
		return err
	}
	n := p.Name
	err := one(tx, `UPDATE directory_person SET number = $2, family = $3, given = $4, family_kana = $5, given_kana = $6,
		family_latin = $7, given_latin = $8, name_key = $9, kana_key = $10, latin_key = $11, lang = $12, updated = $13 WHERE id = $1`,
		string(p.ID), orNull(p.Number), n.Family, n.Given, n.FamilyKana, n.GivenKana, n.FamilyLatin, n.GivenLatin,
		searchKey(n.Family, n.Given), searchKey(n.FamilyKana, n.GivenKana), searchKey(n.FamilyLatin, n.GivenLatin),
		string(p.Lang), store.Millis(tx.Now))
	if err != nil {
		return err
	}
	attributes, err := encode(a.Attributes)
	if err != nil {
		return err
	}
	if err := d.leaveName(tx, a); err != nil {
		return err
	}
	return one(tx, `UPDATE directory_account SET user_name = $2, user_key = $3, kind = $4, valid_from = $5, valid_until = $6,
		affiliations = $7, attributes = $8, updated = $9 WHERE id = $1`,
		string(a.ID), a.UserName, []byte(Key(a.UserName)), a.Kind, store.Millis(a.ValidFrom), store.Millis(a.ValidUntil),
		strings.Join(a.Affiliations, " "), attributes, store.Millis(tx.Now))
}

// SetState changes the state of an account and keeps the one before, with who
// changed it and why.
func (d *Directory) SetState(tx *store.Tx, account authn.AccountID, state State, why, by string) error {
	if state != Pending && state != Active && state != Suspended {
		return fmt.Errorf("directory: there is no state %q", state)
	}
	a, _, err := d.ByID(tx, account)
	if err != nil {
		return err
	}
	now := store.Millis(tx.Now)
	_, err = tx.Exec(`INSERT INTO directory_past_state (account, state, since, until, why, by_whom) VALUES ($1, $2, $3, $4, $5, $6)`,
		string(account), string(a.State), store.Millis(a.StateSince), now, a.StateWhy, a.StateBy)
	if err != nil {
		return err
	}
	return one(tx, `UPDATE directory_account SET state = $2, state_since = $3, state_why = $4, state_by = $5, updated = $3 WHERE id = $1`,
		string(account), string(state), now, why, by)
}

// Affirm notes that the affiliations of an account were confirmed just now.
func (d *Directory) Affirm(tx *store.Tx, account authn.AccountID) error {
	return one(tx, "UPDATE directory_account SET affirmed = $2 WHERE id = $1", string(account), store.Millis(tx.Now))
}

// SetGroups replaces the groups of an account.
func (d *Directory) SetGroups(tx *store.Tx, account authn.AccountID, groups []string) error {
	groups = slices.Compact(slices.Sorted(slices.Values(groups)))
	for _, g := range groups {
		if err := checkWord("group", g); err != nil {
			return err
		}
	}
	a, _, err := d.ByID(tx, account)
	if err != nil {
		return err
	}
	for _, g := range a.Groups {
		if _, err := tx.Exec("DELETE FROM directory_member WHERE name = $1 AND account = $2", g, string(account)); err != nil {
			return err
		}
	}
	for _, g := range groups {
		if _, err := tx.Exec("INSERT INTO directory_member (name, account) VALUES ($1, $2)", g, string(account)); err != nil {
			return err
		}
	}
	return one(tx, "UPDATE directory_account SET groups = $2, updated = $3 WHERE id = $1",
		string(account), strings.Join(groups, " "), store.Millis(tx.Now))
}

// Use is what one of a person's mail addresses is for.
type Use string

// The uses. They are also the names of the columns.
const (
	UseMail     Use = "mail"
	UseNotify   Use = "notify"
	UseRecovery Use = "recovery"
)

// SetMail replaces an address, which is not verified afterwards unless it was
// this address before. An empty address removes it. The university's former addresses
// are remembered (FormerMail).
func (d *Directory) SetMail(tx *store.Tx, person authn.PersonID, use Use, address string) error {
	address, err := CheckMail(address)
	if err != nil {
		return err
	}
	column, err := use.column()
	if err != nil {
		return err
	}
	keys := ""
	args := []any{string(person), address, store.Millis(tx.Now)}
	if use == UseMail {
		if err := d.leaveMail(tx, person, address); err != nil {
			return err
		}
		keys = ", mail_key = $4"
		args = append(args, searchKey(address))
	}
	return one(tx, fmt.Sprintf(`UPDATE directory_person SET %[1]s_verified = CASE WHEN %[1]s = $2 THEN %[1]s_verified ELSE 0 END,
		%[1]s = $2%[2]s, updated = $3 WHERE id = $1`, column, keys), args...)
}

// leaveMail remembers the address that the university gave to a person until now,
// unless the next one is the same.
func (d *Directory) leaveMail(tx *store.Tx, person authn.PersonID, next string) error {
	var old string
	err := tx.QueryRow("SELECT mail FROM directory_person WHERE id = $1", string(person)).Scan(&old)
	switch {
	case errors.Is(err, store.ErrNoRows):
		return ErrNone
	case err != nil || old == "" || strings.EqualFold(old, next):
		return err
	}
	_, err = tx.Exec("INSERT INTO directory_past_mail (person, address, until) VALUES ($1, $2, $3)", string(person), old, store.Millis(tx.Now))
	return err
}

// FormerMail tells until when an address was the one that the university gave to a
// person; the zero time when nothing is known of that.
func (d *Directory) FormerMail(tx *store.Tx, person authn.PersonID, address string) (until time.Time, err error) {
	rows, err := tx.Query("SELECT address, until FROM directory_past_mail WHERE person = $1 ORDER BY number", string(person))
	err = store.Each(rows, err, func(r *sql.Rows) error {
		var was string
		var at int64
		err := r.Scan(&was, &at)
		if strings.EqualFold(was, address) {
			until = store.Time(at)
		}
		return err
	})
	return until, err
}

// VerifyMail notes that the person has shown to read the address. It returns
// ErrNone when the address is no longer the one kept.
func (d *Directory) VerifyMail(tx *store.Tx, person authn.PersonID, use Use, address string) error {
	column, err := use.column()
	if err != nil {
		return err
	}
	return one(tx, fmt.Sprintf("UPDATE directory_person SET %[1]s_verified = $3, updated = $3 WHERE id = $1 AND %[1]s = $2", column),
		string(person), address, store.Millis(tx.Now))
}

func (u Use) column() (string, error) {
	switch u {
	case UseMail, UseNotify, UseRecovery:
		return string(u), nil
	}
	return "", fmt.Errorf("directory: there is no use of mail called %q", u)
}

// Agree notes the version of the agreement that the account's owner accepted.
func (d *Directory) Agree(tx *store.Tx, account authn.AccountID, version string) error {
	return one(tx, "UPDATE directory_account SET agreed = $2, agreed_at = $3 WHERE id = $1", string(account), version, store.Millis(tx.Now))
}

// NoteFactor remembers the second step used last, if it is another one.
func (d *Directory) NoteFactor(tx *store.Tx, account authn.AccountID, kind authn.Kind) error {
	_, err := tx.Exec("UPDATE directory_account SET last_factor = $2 WHERE id = $1 AND last_factor <> $2", string(account), string(kind))
	return err
}

// SetLang keeps the language a person chose.
func (d *Directory) SetLang(tx *store.Tx, person authn.PersonID, tag lang.Tag) error {
	return one(tx, "UPDATE directory_person SET lang = $2, updated = $3 WHERE id = $1", string(person), string(tag), store.Millis(tx.Now))
}

// SetNotices keeps when a person wants to be told about a sign-in.
func (d *Directory) SetNotices(tx *store.Tx, person authn.PersonID, choice NoticeChoice) error {
	if choice != NoticeEvery && choice != NoticeNew {
		return fmt.Errorf("directory: there is no choice of notices %q", choice)
	}
	return one(tx, "UPDATE directory_person SET notices = $2, updated = $3 WHERE id = $1", string(person), string(choice), store.Millis(tx.Now))
}

// one runs a statement that must touch exactly one row.
func one(tx *store.Tx, query string, args ...any) error {
	n, err := tx.Exec(query, args...)
	switch {
	case store.IsUnique(err):
		return ErrTaken
	case err != nil:
		return err
	case n == 0:
		return ErrNone
	}
	return nil
}

// check refuses what must not be stored and puts the rest into its clean form.
func check(a *Account, p *Person) error {
	var err error
	if a.UserName, err = CheckUserName(a.UserName); err != nil {
		return err
	}
	for _, address := range []*string{&p.Mail, &p.Notify, &p.Recovery} {
		if *address, err = CheckMail(*address); err != nil {
			return err
		}
	}
	p.MailVerified = verifiedAt(p.Mail, p.MailVerified)
	p.NotifyVerified = verifiedAt(p.Notify, p.NotifyVerified)
	p.RecoveryVerified = verifiedAt(p.Recovery, p.RecoveryVerified)
	if err := checkWord("kind", a.Kind); err != nil {
		return err
	}
	for _, g := range a.Groups {
		if err := checkWord("group", g); err != nil {
			return err
		}
	}
	for _, g := range a.Affiliations {
		if err := checkWord("affiliation", g); err != nil {
			return err
		}
	}
	if a.State = cmp.Or(a.State, Pending); a.State != Pending && a.State != Active && a.State != Suspended {
		return fmt.Errorf("there is no state %q (pending, active, suspended)", a.State)
	}
	if p.Notices = cmp.Or(p.Notices, NoticeNew); p.Notices != NoticeNew && p.Notices != NoticeEvery {
		return fmt.Errorf("there is no choice of notices %q (every, new)", p.Notices)
	}
	if p.Lang != "" && p.Lang != lang.JA && p.Lang != lang.EN {
		return fmt.Errorf("there is no language %q (ja, en)", p.Lang)
	}
	if !a.ValidUntil.IsZero() && !a.ValidUntil.After(a.ValidFrom) {
		return errors.New("the account ends before it begins")
	}
	if (p.Name == Names{}) {
		return errors.New("the person has no name")
	}
	return checkText(*a, *p)
}

// textLimit bounds each text that is kept about a person, in bytes.
const textLimit = 1000

func checkText(a Account, p Person) error {
	n := p.Name
	texts := []string{n.Family, n.Given, n.FamilyKana, n.GivenKana, n.FamilyLatin, n.GivenLatin, p.Number, a.StateWhy}
	for name, values := range a.Attributes {
		texts = append(append(texts, name), values...)
	}
	for _, s := range texts {
		if len(s) > textLimit {
			return fmt.Errorf("a text is longer than %d bytes", textLimit)
		}
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
			return fmt.Errorf("the text %q holds characters that cannot be printed", s)
		}
	}
	return nil
}

// verifiedAt keeps an address that is not there from being verified.
func verifiedAt(address string, at time.Time) time.Time {
	if address == "" {
		return time.Time{}
	}
	return at
}

func encode(attributes map[string][]string) (string, error) {
	if len(attributes) == 0 {
		return "", nil
	}
	b, err := json.Marshal(attributes)
	return string(b), err
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orNow(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
}
