package mailcode

import (
	"crypto/hmac"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/mail"
	"seimon/internal/store"
)

// code is one row: a code that was sent.
type code struct {
	ID          string
	Account     authn.AccountID
	Transaction string
	Binding     string
	Hash        []byte
	Mail        string // id of the message
	Number      int64  // counts the codes of an account
	Sent        time.Time
	Expires     time.Time
	Used        time.Time
}

// draft is a code that was drawn and not yet sent. It is made outside transactions.
type draft struct {
	id, digits string
	hash       []byte
}

func (f *Factor) draw() draft {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(digits), nil)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	d := draft{id: authn.NewID("mco"), digits: fmt.Sprintf("%0*d", digits, n)}
	d.hash = f.hash(d.id, d.digits)
	return d
}

// hash binds a code to its row with a key that is not in the database: eight digits
// alone could be found by trying them all.
func (f *Factor) hash(id, digits string) []byte {
	return f.mac("mailcode", []byte(id+":"+digits))
}

func (f *Factor) matches(c code, typed string) bool {
	return hmac.Equal(f.hash(c.ID, typed), c.Hash)
}

const columns = "id, account, trx, binding, hash, mail, number, sent, expires, used"

// recent lists the newest codes of an account, newest first.
func recent(tx *store.Tx, account authn.AccountID) ([]code, error) {
	var out []code
	rows, err := tx.Query("SELECT "+columns+" FROM mailcode_code WHERE account = $1 ORDER BY number DESC LIMIT 32", string(account))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var c code
		var sent, expires, used int64
		if err := rows.Scan(&c.ID, &c.Account, &c.Transaction, &c.Binding, &c.Hash, &c.Mail, &c.Number, &sent, &expires, &used); err != nil {
			return err
		}
		c.Sent, c.Expires, c.Used = store.Time(sent), store.Time(expires), store.Time(used)
		out = append(out, c)
		return nil
	})
	return out, err
}

// newest finds the code that counts in a transaction.
func newest(codes []code, transaction string) (code, bool) {
	for _, c := range codes {
		if c.Transaction == transaction {
			return c, true
		}
	}
	return code{}, false
}

// parcel says what is sent where.
type parcel struct {
	attempt  factor.Attempt
	binding  factor.Binding
	address  string
	template string
	draft    draft
}

// send stores a code and queues its mail in one transaction. Fault M1.wait when
// this account has been sent too many.
func (f *Factor) send(tx *store.Tx, p parcel, codes []code) (code, error) {
	life := lifetime(p.attempt.Settings)
	c := code{
		ID: p.draft.id, Account: p.attempt.Subject.Account, Transaction: p.attempt.Transaction, Binding: p.binding.ID,
		Hash: p.draft.hash, Number: 1, Sent: tx.Now, Expires: tx.Now.Add(life),
	}
	if len(codes) > 0 {
		c.Number = codes[0].Number + 1
	}
	if len(codes) >= perHour {
		if free := codes[perHour-1].Sent.Add(time.Hour); free.After(tx.Now) {
			return c, wait(free.Sub(tx.Now), p.address)
		}
	}
	template, facts := p.message(life)
	var err error
	c.Mail, err = f.queue.Enqueue(tx, mail.Message{
		To: p.address, Lang: p.attempt.Lang, Template: template, Facts: facts,
		Account: c.Account, Purpose: string(Kind), Expires: c.Expires,
	})
	if err != nil {
		return c, err
	}
	_, err = tx.Exec("INSERT INTO mailcode_code ("+columns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)",
		c.ID, string(c.Account), c.Transaction, c.Binding, c.Hash, c.Mail, c.Number, store.Millis(c.Sent), store.Millis(c.Expires))
	return c, err
}

// message picks the words for the mail; long lifetimes are told in hours.
func (p parcel) message(life time.Duration) (template string, facts map[string]string) {
	half := digits / 2
	facts = map[string]string{
		"code": p.draft.digits[:half] + " " + p.draft.digits[half:],
		"user": p.attempt.Subject.UserName,
	}
	if life%time.Hour == 0 {
		facts["hours"] = strconv.Itoa(int(life / time.Hour))
		return p.template + ".hours", facts
	}
	facts["minutes"] = strconv.Itoa(int(life / time.Minute))
	return p.template, facts
}

func wait(d time.Duration, address string) *authn.Fault {
	return authn.NewFault("M1.wait", "seconds", seconds(d), "to", mail.MaskAddress(address))
}

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// use makes a code final: of all requests that bring it exactly one succeeds, and
// none once a newer one has been sent in its transaction.
func use(tx *store.Tx, c code) error {
	codes, err := recent(tx, c.Account)
	if err != nil {
		return err
	}
	if last, ok := newest(codes, c.Transaction); !ok || last.ID != c.ID {
		return authn.NewFault("M2").Because(errors.New("mailcode: a newer code was sent meanwhile"))
	}
	n, err := tx.Exec("UPDATE mailcode_code SET used = $1 WHERE id = $2 AND used = 0 AND expires > $3", store.Millis(tx.Now), c.ID, store.Millis(tx.Now))
	if err == nil && n == 0 {
		err = authn.NewFault("M2.used", "used", factor.TimeFact(tx.Now))
	}
	return err
}

// Codes are remembered for a week, so that an old one can be named; a round of
// clearing removes no more than sweepRows.
const (
	remembered = 7 * 24 * time.Hour
	sweepRows  = 5000
)

// Sweep erases codes that nobody will ask about any more.
func (f *Factor) Sweep(tx *store.Tx) error {
	_, err := tx.Exec("DELETE FROM mailcode_code WHERE id IN (SELECT id FROM mailcode_code WHERE expires < $1 LIMIT $2)",
		store.Millis(tx.Now.Add(-remembered)), sweepRows)
	return err
}
