package clientcert

import (
	"context"
	"crypto/hmac"
	"crypto/x509"
	"embed"
	"errors"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

//go:embed schema/*.sql
var schema embed.FS

// Schema is the table of tries.
func Schema() store.Schema { return store.Schema{Room: "clientcert", Files: schema} }

const (
	// life is how long a try may be answered, and how long its answer may be used.
	life = 2 * time.Minute
	// mostTries bounds the tries of one sign-in.
	mostTries = 60
	// keptFor is how long a try is remembered after its end.
	keptFor = time.Hour
	// mostChain bounds what is kept of a chain, in bytes.
	mostChain = 64 << 10
)

// Attempts keeps the tries to show a certificate.
type Attempts struct{ db *store.DB }

// NewAttempts gives access to the tries in db.
func NewAttempts(db *store.DB) *Attempts { return &Attempts{db} }

// Open begins a try for a sign-in, known by a label: the first part of a host name
// that no browser has seen. Earlier tries of the sign-in end. With a host that serves
// many people, host is its name and client the address of the browser.
func (x *Attempts) Open(ctx context.Context, transaction, label, host, client string) error {
	return x.db.Write(ctx, func(tx *store.Tx) error {
		var n int64
		if err := tx.QueryRow("SELECT COUNT(*) FROM clientcert_attempt WHERE transaction_id = $1", transaction).Scan(&n); err != nil {
			return err
		}
		if n >= mostTries {
			return authn.NewFault("O1.busy")
		}
		now := store.Millis(tx.Now)
		_, err := tx.Exec("UPDATE clientcert_attempt SET expires_at = $2 WHERE transaction_id = $1 AND answered_at = 0 AND expires_at > $2", transaction, now)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO clientcert_attempt (label, transaction_id, code, chain, how, stranded, created_at, expires_at, answered_at, used_at, host, client)
			VALUES ($1, $2, $3, $4, '', 0, $5, $6, 0, 0, $7, $8)`, label, transaction, []byte{}, []byte{}, now, store.Millis(tx.Now.Add(life)), host, client)
		return err
	})
}

// Live tells whether a try may still be answered.
func (x *Attempts) Live(ctx context.Context, label string) bool {
	live := false
	err := x.db.Read(ctx, func(tx *store.Tx) error {
		var n int64
		err := tx.QueryRow("SELECT COUNT(*) FROM clientcert_attempt WHERE label = $1 AND answered_at = 0 AND expires_at > $2", label, store.Millis(tx.Now)).Scan(&n)
		live = n == 1
		return err
	})
	return err == nil && live
}

// Record keeps the chain (DER, leaf first; none when no certificate was chosen) that
// was shown for a try, once, and returns the sign-in and a one-time code to bring
// back to it. The code is empty when the try is over, the sign-in when there is no
// such try.
func (x *Attempts) Record(ctx context.Context, label string, chain [][]byte, how string) (transaction, code string, err error) {
	token, hash := authn.NewToken()
	var kept []byte
	for _, der := range chain {
		if len(kept)+len(der) > mostChain {
			break
		}
		kept = append(kept, der...)
	}
	err = x.db.Write(ctx, func(tx *store.Tx) error {
		transaction, code = "", ""
		err := tx.QueryRow("SELECT transaction_id FROM clientcert_attempt WHERE label = $1", label).Scan(&transaction)
		if errors.Is(err, store.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		now := store.Millis(tx.Now)
		n, err := tx.Exec(`UPDATE clientcert_attempt SET answered_at = $2, expires_at = $3, code = $4, chain = $5, how = $6
			WHERE label = $1 AND answered_at = 0 AND expires_at > $2`, label, now, store.Millis(tx.Now.Add(life)), hash, notNil(kept), how)
		if n == 1 {
			code = token
		}
		return err
	})
	return transaction, code, err
}

// notNil keeps an empty value from being stored as NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// shown is the answer to a try.
type shown struct {
	label string
	chain []*x509.Certificate
	how   string
	spent bool
	// refused is the cause for which it did not count, once it was judged.
	refused authn.Code
}

// errLate says that a code belongs to no answer of this sign-in that may still be used.
var errLate = errors.New("clientcert: no such answer")

// find reads the answer that a code belongs to. The code of another sign-in is errLate.
func find(tx *store.Tx, transaction, code string) (s shown, err error) {
	if code == "" || len(code) > 100 {
		return s, errLate
	}
	hash := authn.HashToken(code)
	var kept, raw []byte
	var used int64
	err = tx.QueryRow(`SELECT label, code, chain, how, used_at, refused FROM clientcert_attempt
		WHERE transaction_id = $1 AND answered_at > 0 AND expires_at > $2 AND code = $3`, transaction, store.Millis(tx.Now), hash).
		Scan(&s.label, &kept, &raw, &s.how, &used, &s.refused)
	if errors.Is(err, store.ErrNoRows) || err == nil && !hmac.Equal(kept, hash) {
		return shown{}, errLate
	}
	if err != nil {
		return shown{}, err
	}
	s.spent = used != 0
	if s.chain, err = x509.ParseCertificates(raw); err != nil {
		err = authn.NewFault("C7.chain").Because(err)
	}
	return s, err
}

// spend uses an answer up; false when another request was first or it is too late.
func spend(tx *store.Tx, label string) (bool, error) {
	n, err := tx.Exec("UPDATE clientcert_attempt SET used_at = $2 WHERE label = $1 AND used_at = 0 AND answered_at > 0 AND expires_at > $2",
		label, store.Millis(tx.Now))
	return n == 1, err
}

// refuse notes why an answer does not count.
func refuse(tx *store.Tx, transaction, code string, why authn.Code) error {
	_, err := tx.Exec("UPDATE clientcert_attempt SET refused = $3 WHERE transaction_id = $1 AND code = $2 AND used_at = 0 AND answered_at > 0",
		transaction, authn.HashToken(code), string(why))
	return err
}

// wait is how long a browser is given before a try counts as one that did not come back.
const wait = 5 * time.Second

// last tells what became of the newest try of a sign-in.
type last struct {
	label    string
	stranded bool // the browser came, and no connection was made; or nothing was seen of it
	broken   bool // nor was that the browser's own doing
	late     bool // nothing came in time
	refused  authn.Code
}

// untold tells whether it broke and nobody was told why.
func (l last) untold() bool { return l.broken && l.refused == "" }

func newest(tx *store.Tx, transaction string) (l last, err error) {
	var stranded, broken, created, expires, answered int64
	err = tx.QueryRow(`SELECT label, stranded, broken_at, created_at, expires_at, answered_at, refused FROM clientcert_attempt WHERE transaction_id = $1
		ORDER BY created_at DESC, label LIMIT 1`, transaction).Scan(&l.label, &stranded, &broken, &created, &expires, &answered, &l.refused)
	if errors.Is(err, store.ErrNoRows) {
		return l, nil
	}
	l.late = answered == 0 && expires <= store.Millis(tx.Now)
	// Behind a proxy that ends TLS nothing is seen of a connection that breaks.
	l.stranded = answered == 0 && (stranded > 0 || !l.late && tx.Now.Sub(store.Time(created)) >= wait)
	l.broken = answered == 0 && broken > 0
	return l, err
}

// Sweep removes tries that ended a while ago; a job calls it.
func (x *Attempts) Sweep(tx *store.Tx) error {
	_, err := tx.Exec("DELETE FROM clientcert_attempt WHERE expires_at < $1", store.Millis(tx.Now.Add(-keptFor)))
	return err
}
