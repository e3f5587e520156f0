package directory

import (
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// LetterLife is how long an activation letter is good for unless said otherwise.
const LetterLife = 60 * 24 * time.Hour

// letterAlphabet has no characters that look alike on paper.
const letterAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

// letterLength is the number of characters in a letter code: 80 bits.
const letterLength = 16

// NewActivation makes the code of an activation letter, four groups of four
// characters, good for LetterLife. It voids the codes made before. Only its hash
// is kept.
func (d *Directory) NewActivation(tx *store.Tx, account authn.AccountID) (string, error) {
	return d.NewActivationFor(tx, account, LetterLife)
}

// NewActivationFor is NewActivation with another life.
func (d *Directory) NewActivationFor(tx *store.Tx, account authn.AccountID, life time.Duration) (string, error) {
	a, _, err := d.ByID(tx, account)
	if err != nil {
		return "", err
	}
	if a.State != Pending {
		return "", errors.New("the account is not waiting for activation")
	}
	code := letterCode()
	if _, err := tx.Exec("DELETE FROM directory_activation WHERE account = $1 AND used = 0", string(account)); err != nil {
		return "", err
	}
	_, err = tx.Exec("INSERT INTO directory_activation (hash, account, made, expires, used) VALUES ($1, $2, $3, $4, $5)",
		letterHash(code), string(account), store.Millis(tx.Now), store.Millis(tx.Now.Add(life)), int64(0))
	return code, err
}

// Letter finds the account that a code would activate, without using the code up.
// The fault is P6.code (no such code, or replaced by a newer letter), P6.used or
// P6.expired.
func (d *Directory) Letter(tx *store.Tx, code string) (Account, Person, error) {
	var account authn.AccountID
	var expires, used int64
	err := tx.QueryRow("SELECT account, expires, used FROM directory_activation WHERE hash = $1", letterHash(code)).
		Scan(&account, &expires, &used)
	switch {
	case errors.Is(err, store.ErrNoRows):
		return Account{}, Person{}, authn.NewFault("P6.code")
	case err != nil:
		return Account{}, Person{}, err
	case used != 0:
		return Account{}, Person{}, authn.NewFault("P6.used", "when", store.Time(used).Format(time.RFC3339))
	case !tx.Now.Before(store.Time(expires)):
		return Account{}, Person{}, authn.NewFault("P6.expired", "when", store.Time(expires).Format(time.RFC3339))
	}
	return d.ByID(tx, account)
}

// Activate uses a code up and makes its account active. Faults are those of Letter.
func (d *Directory) Activate(tx *store.Tx, code string) (Account, error) {
	a, _, err := d.Letter(tx, code)
	if err != nil {
		return a, err
	}
	n, err := tx.Exec("UPDATE directory_activation SET used = $2 WHERE hash = $1 AND used = 0", letterHash(code), store.Millis(tx.Now))
	if err != nil {
		return a, err
	}
	if n == 0 {
		return a, authn.NewFault("P6.used", "when", tx.Now.Format(time.RFC3339))
	}
	if a.State == Pending {
		if err := d.SetState(tx, a.ID, Active, "activation letter", string(a.ID)); err != nil {
			return a, err
		}
	}
	a, _, err = d.ByID(tx, a.ID)
	return a, err
}

func letterCode() string {
	raw := make([]byte, letterLength)
	rand.Read(raw) //nolint:errcheck // never fails (crypto/rand.Read)
	var b strings.Builder
	for i, x := range raw {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(letterAlphabet[int(x)%len(letterAlphabet)])
	}
	return b.String()
}

// letterHash accepts a code as people type it: full-width, lower case, with or
// without hyphens and spaces.
func letterHash(code string) []byte {
	code = strings.Map(func(r rune) rune {
		if strings.ContainsRune("-‐‑‒–—―−ーー \t\u3000", r) {
			return -1
		}
		return r
	}, strings.ToUpper(norm.NFKC.String(code)))
	return authn.HashToken("activation:" + code)
}
