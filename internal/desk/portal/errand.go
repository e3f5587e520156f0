package portal

import (
	"encoding/json"
	"errors"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/policy"
	"seimon/internal/store"
	"seimon/internal/web"
)

// errandLife is how long a set-up may stand still before it must be begun again.
const errandLife = 30 * time.Minute

const sealErrand = "portal.errand:"

// errand is a set-up between its first question and its end. It belongs to one
// session; no other session, of whomever, can go on with it.
type errand struct {
	id     string
	kind   authn.Kind
	memory map[string]string
}

// begin finds the errand of this session for a kind, or starts one.
func (g *guest) begin(kind authn.Kind) (errand, error) {
	var e errand
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		var err error
		if e, err = g.errandOf(tx, kind); !errors.Is(err, store.ErrNoRows) {
			return err
		}
		e = errand{id: authn.NewID("errand"), kind: kind, memory: map[string]string{}}
		sealed, err := g.sealed(e)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO portal_errand (id, session, account, kind, memory, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (session, kind) DO UPDATE SET id = excluded.id, account = excluded.account, memory = excluded.memory, expires_at = excluded.expires_at`,
			e.id, g.Session.ID, string(g.Account.ID), string(kind), sealed, store.Millis(tx.Now.Add(errandLife)))
		return err
	})
	return e, err
}

// errandOf reads the live errand of this session for a kind, or store.ErrNoRows.
func (g *guest) errandOf(tx *store.Tx, kind authn.Kind) (errand, error) {
	e := errand{kind: kind}
	var sealed []byte
	err := tx.QueryRow("SELECT id, memory FROM portal_errand WHERE session = $1 AND kind = $2 AND account = $3 AND expires_at > $4",
		g.Session.ID, string(kind), string(g.Account.ID), store.Millis(tx.Now)).Scan(&e.id, &sealed)
	if err != nil {
		return e, err
	}
	raw, err := g.Ring.Unseal(sealErrand+e.id, sealed)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(raw, &e.memory); err != nil {
		return e, err
	}
	if e.memory == nil {
		e.memory = map[string]string{}
	}
	return e, nil
}

func (g *guest) sealed(e errand) ([]byte, error) {
	raw, err := json.Marshal(e.memory)
	if err != nil {
		return nil, err
	}
	return g.Ring.Seal(sealErrand+e.id, raw), nil
}

// keep stores what the factor noted for itself.
func (g *guest) keep(e errand) error {
	sealed, err := g.sealed(e)
	if err != nil {
		return err
	}
	return g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE portal_errand SET memory = $1, expires_at = $2 WHERE id = $3", sealed, store.Millis(tx.Now.Add(errandLife)), e.id)
		return err
	})
}

// close ends an errand in the transaction of its success. Of two answers that
// arrive together only one closes it; the other gets false.
func (g *guest) close(tx *store.Tx, e errand) (bool, error) {
	n, err := tx.Exec("DELETE FROM portal_errand WHERE id = $1 AND session = $2", e.id, g.Session.ID)
	return n == 1, err
}

// attempt is what a factor is told about the person and this errand.
func (g *guest) attempt(doc *policy.Document, e errand) factor.Attempt {
	var own []factor.Binding
	for _, b := range g.bindings {
		if b.Kind == e.kind {
			own = append(own, b)
		}
	}
	rule := doc.Rule(policy.Question{Service: name, Groups: g.Account.Groups, Zone: g.Zone})
	return factor.Attempt{
		Subject: g.Account.Subject(), Person: factor.ProfileOf(g.Account, g.Person), Bindings: own, Transaction: e.id,
		Requirement: rule.Requirement, Settings: doc.Settings(e.kind), Lang: web.Lang(g.r).Tag(), Now: g.DB.Now(), Memory: e.memory,
	}
}
