package card

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/store"
)

// add registers a card in stock.
func (b *Book) add(tx *store.Tx, c Card) (Card, error) {
	c.ID, c.State, c.Since, c.Created, c.Tries = authn.NewID("card"), Stock, tx.Now, tx.Now, -1
	n := store.Millis(tx.Now)
	_, err := tx.Exec(`INSERT INTO card_card (`+columns+`)
		VALUES ($1,$2,$3,$4,$5,$6,$7,'','','','',$8,$9,$10,0,0,$11,-1,0,'','',0,$12,$13,$14,10,$15)`,
		c.ID, c.Serial, c.Label, string(c.State), n, c.Why, c.By, []byte{}, []byte{}, []byte{}, notNil(c.puk), n,
		notNil(c.given), notNil(c.givenMAC), []byte{})
	if store.IsUnique(err) {
		err = ErrTaken
	}
	return c, err
}

// save writes everything of a card but its state.
func (b *Book) save(tx *store.Tx, c Card) error {
	_, err := tx.Exec(`UPDATE card_card SET label=$2, account=$3, person=$4, certificate=$5, algorithm=$6, public_key=$7,
		pin=$8, pin_mac=$9, pin_made=$10, printed=$11, puk=$12, tries=$13, seen=$14, replaces=$15, replaced_by=$16, used=$17,
		given=$18, given_mac=$19, lock_after=$20, brought=$21, fingerprint=$22
		WHERE id=$1`,
		c.ID, c.Label, string(c.Account), string(c.Person), c.Certificate, c.Algorithm, notNil(c.PublicKey),
		notNil(c.pin), notNil(c.pinMAC), store.Millis(c.PINMade), store.Millis(c.Printed), notNil(c.puk), c.Tries,
		store.Millis(c.Seen), c.Replaces, c.ReplacedBy, store.Millis(c.Used),
		notNil(c.given), notNil(c.givenMAC), c.LockAfter, notNil(c.Brought), fingerprint(c.Brought))
	return err
}

// fingerprint is the SHA-256 by which a brought certificate is found.
func fingerprint(der []byte) string {
	if len(der) == 0 {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// move brings a card into a state and remembers the one before. Another node or
// desk that was first makes it fail.
func (b *Book) move(tx *store.Tx, c Card, to State, why, by string) (Card, error) {
	if err := c.may(to); err != nil {
		return c, err
	}
	n := store.Millis(tx.Now)
	done, err := tx.Exec("UPDATE card_card SET state=$1, since=$2, why=$3, by_whom=$4 WHERE id=$5 AND state=$6",
		string(to), n, why, by, c.ID, string(c.State))
	if err != nil {
		return c, err
	}
	if done != 1 {
		return c, fmt.Errorf("card %s was changed by somebody else: %w", c.Called(), ErrNone)
	}
	_, err = tx.Exec("INSERT INTO card_past (card, state, since, until, why, by_whom) VALUES ($1,$2,$3,$4,$5,$6)",
		c.ID, string(c.State), store.Millis(c.Since), n, c.Why, c.By)
	c.State, c.Since, c.Why, c.By = to, tx.Now, why, by
	return c, err
}

// Used notes a sign-in with the card that holds a certificate. The first one makes a
// card that was handed over active; a certificate that is on no card is none of ours.
func (b *Book) Used(tx *store.Tx, certificate string) error {
	c, err := b.ByCertificate(tx, certificate)
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.State == Handed {
		if c, err = b.move(tx, c, Active, "first sign-in", string(c.Account)); err != nil {
			return err
		}
	}
	if tx.Now.Sub(c.Used) < time.Minute {
		return nil
	}
	c.Used = tx.Now
	return b.save(tx, c)
}

// Revoked follows a certificate that was revoked elsewhere, by its person or with the
// account: the card that holds it cannot go on as if it were in use.
func (b *Book) Revoked(tx *store.Tx, cert ca.Certificate) error {
	c, err := b.ByCertificate(tx, cert.ID)
	if errors.Is(err, ErrNone) || err == nil && !c.State.Usable() {
		return nil
	}
	if err != nil {
		return err
	}
	to := Suspended
	if cert.Reason == ca.KeyCompromise {
		to = Lost
	}
	_, err = b.move(tx, c, to, "its certificate was revoked: "+string(cert.Reason), byCertificate)
	return err
}

// Restored follows a certificate whose hold has ended: a card that was suspended only
// because of it works again. One that the desk suspended waits for the desk.
func (b *Book) Restored(tx *store.Tx, cert ca.Certificate) error {
	c, err := b.ByCertificate(tx, cert.ID)
	if errors.Is(err, ErrNone) || err == nil && (c.State != Suspended || c.By != byCertificate) {
		return nil
	}
	if err != nil {
		return err
	}
	to := Active
	if c.Used.IsZero() {
		to = Handed
	}
	_, err = b.move(tx, c, to, "the hold on its certificate has ended", byCertificate)
	return err
}

// byCertificate stands in a card's history for what followed its certificate.
const byCertificate = "certificates"
