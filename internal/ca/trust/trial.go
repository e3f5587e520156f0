package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust/chain"
	"seimon/internal/store"
)

// Report is what a trial of an anchor's rules found.
type Report struct {
	At           time.Time  `json:"at,omitzero"`
	Rules        string     `json:"rules,omitempty"` // digest of what was tried
	Accounts     int        `json:"accounts"`
	Certificates int        `json:"certificates"`
	Mapped       int        `json:"mapped"`
	Conflicts    []Conflict `json:"conflicts,omitempty"`
	// More is how many conflicts there are beyond those that are listed.
	More int `json:"more,omitempty"`
}

// Conflict is one thing that speaks against a rule.
type Conflict struct {
	What   string `json:"what"`   // an address, a certificate or an issuer
	Detail string `json:"detail"` // what is wrong with it
}

// maxConflicts is how many conflicts a report lists.
const maxConflicts = 100

// ErrUntried says that an anchor was not tried with its present rules, or that the
// trial found conflicts.
var ErrUntried = errors.New("trust: the rules were not tried, or the trial found conflicts")

func (r *Report) conflict(what, detail string, args ...any) {
	if len(r.Conflicts) == maxConflicts {
		r.More++
		return
	}
	r.Conflicts = append(r.Conflicts, Conflict{what, fmt.Sprintf(detail, args...)})
}

// Try runs an anchor's rules against every account, every certificate that the house
// issued and every one known of the anchor, together with those given, and stores the
// report. Nobody signs in by an anchor before a trial without conflicts.
func (t *Trust) Try(tx *store.Tx, id string, given []*x509.Certificate) (Report, error) {
	list, err := t.parsed(tx)
	if err != nil {
		return Report{}, err
	}
	i := slices.IndexFunc(list, func(p *parsed) bool { return p.ID == id })
	if i < 0 {
		return Report{}, ErrNone
	}
	a := list[i]
	r := Report{At: tx.Now, Rules: a.digest()}
	t.tryIssuers(tx, a, list, &r)
	for _, step := range []func() error{
		func() error { return t.tryAccounts(tx, a, &r) },
		func() error { return t.tryOwn(tx, a, &r) },
		func() error { return t.tryPins(tx, a, &r) },
		func() error { return t.tryKnown(tx, a, given, &r) },
	} {
		if err := step(); err != nil {
			return r, err
		}
	}
	text, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	return r, touched(tx.Exec("UPDATE trust_anchor SET checked = $1 WHERE id = $2", string(text), id))
}

// digest names the rules of an anchor and its certificates.
func (p *parsed) digest() string {
	rules, err := json.Marshal(p.Rules)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(append(append(rules, p.DER...), slices.Concat(p.Between...)...))
	return hex.EncodeToString(sum[:])
}

// tryIssuers looks for another issuer of the same name with another key.
func (t *Trust) tryIssuers(tx *store.Tx, a *parsed, list []*parsed, r *Report) {
	var others []*x509.Certificate
	for _, p := range list {
		if p.ID != a.ID {
			others = append(append(others, p.certificate), p.between...)
		}
	}
	issuers, err := t.own.Issuers(tx)
	if err == nil {
		for _, i := range issuers {
			others = append(others, i.Certificate, i.Root)
		}
	}
	for _, c := range append([]*x509.Certificate{a.certificate}, a.between...) {
		mine, err := chain.Name(c.RawSubject)
		if err != nil {
			r.conflict(c.Subject.String(), "the name of the issuer cannot be read")
			continue
		}
		for _, o := range others {
			theirs, err := chain.Name(o.RawSubject)
			if err == nil && slices.Equal(mine, theirs) && string(c.RawSubjectPublicKeyInfo) != string(o.RawSubjectPublicKeyInfo) {
				r.conflict(c.Subject.String(), "another issuer that is trusted has this name with another key")
			}
		}
	}
}

// tryAccounts looks for addresses and names that would lead to several accounts.
func (t *Trust) tryAccounts(tx *store.Tx, a *parsed, r *Report) error {
	domains := map[string]bool{}
	for _, m := range a.Rules.Map {
		if m.Kind == ByMail {
			domains[strings.ToLower(m.Domain)] = true
		}
	}
	owners := map[string]string{} // user name by address
	for after := ""; ; {
		page, err := t.people.Page(tx, after, 1000)
		if err != nil {
			return err
		}
		for _, k := range page {
			r.Accounts++
			after = k.UserName
			_, domain, _ := strings.Cut(strings.ToLower(k.Mail), "@")
			if k.Mail == "" || !domains[domain] {
				continue
			}
			address := strings.ToLower(k.Mail)
			if first, taken := owners[address]; taken {
				r.conflict(k.Mail, "belongs to the accounts %s and %s", first, k.UserName)
				continue
			}
			owners[address] = k.UserName
		}
		if len(page) < 1000 {
			return nil
		}
	}
}

// tryOwn runs the rules over the certificates that the house issued: for those it is
// known whose they are.
func (t *Trust) tryOwn(tx *store.Tx, a *parsed, r *Report) error {
	for before := ""; ; {
		page, err := t.own.List(tx, ca.Filter{State: ca.Active, Before: before, Limit: 500})
		if err != nil {
			return err
		}
		for _, c := range page {
			before = c.ID
			parsed := c.Parsed()
			if parsed == nil {
				continue
			}
			r.Certificates++
			account, err := t.named(tx, a.Rules, parsed)
			if err != nil && !errors.Is(err, errConflict) {
				return err
			}
			r.judge(c.Name+" "+c.Tail(), account, c.Account, err)
		}
		if len(page) < 500 {
			return nil
		}
	}
}

// judge compares where a certificate leads with whose it is, if that is known.
func (r *Report) judge(what string, got, want authn.AccountID, err error) {
	switch {
	case err != nil:
		r.conflict(what, "its names lead to more than one account")
	case got != "" && want != "" && got != want:
		r.conflict(what, "belongs to the account %s and would open %s", want, got)
	case got != "":
		r.Mapped++
	}
}

// tryPins looks for pins that the rules do not use.
func (t *Trust) tryPins(tx *store.Tx, a *parsed, r *Report) error {
	rows, err := tx.Query("SELECT kind, value, account FROM trust_pin WHERE anchor = $1 ORDER BY kind, value", a.ID)
	return store.Each(rows, err, func(rows *sql.Rows) error {
		var kind, value, account string
		err := rows.Scan(&kind, &value, &account)
		if !a.Rules.has(kind) {
			r.conflict(value, "is pinned to %s by %s, and no rule looks at that", account, kind)
		}
		return err
	})
}

// tryKnown runs the rules over certificates of the anchor: those kept from earlier
// trials and sign-ins, and those given, which are kept from now on.
func (t *Trust) tryKnown(tx *store.Tx, a *parsed, given []*x509.Certificate, r *Report) error {
	for _, c := range given {
		if err := a.issued(c, given[:min(len(given), chain.MaxCertificates)]); err != nil {
			r.conflict(read(c).Name+" "+read(c).Tail, "is not of this issuer: %s", chain.ReasonOf(err))
			continue
		}
		if err := t.Seen(tx, a.ID, c, ""); err != nil {
			return err
		}
	}
	list, err := t.known(tx, a.ID)
	if err != nil {
		return err
	}
	for _, k := range list {
		c := k.certificate
		r.Certificates++
		what := read(c).Name + " " + read(c).Tail
		account, err := t.account(tx, a, c)
		if err != nil && !errors.Is(err, errConflict) {
			return err
		}
		r.judge(what, account, k.account, err)
	}
	return nil
}

// seen is a certificate of an anchor that was kept, and whose it is, if that is known.
type seen struct {
	certificate *x509.Certificate
	account     authn.AccountID
}

// known lists the kept certificates of an anchor.
func (t *Trust) known(tx *store.Tx, anchor string) (list []seen, err error) {
	rows, err := tx.Query("SELECT der, account FROM trust_seen WHERE anchor = $1 ORDER BY digest", anchor)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var k seen
		var der []byte
		err := rows.Scan(&der, &k.account)
		if err == nil {
			if k.certificate, err = x509.ParseCertificate(der); err != nil {
				err = fmt.Errorf("trust: a kept certificate is damaged: %w", err)
			}
		}
		list = append(list, k)
		return err
	})
	return list, err
}

// issued tells whether a certificate is of the anchor; more may stand between them.
// Its dates do not matter.
func (p *parsed) issued(c *x509.Certificate, more []*x509.Certificate) error {
	_, err := chain.Validate(c, chain.Options{Now: c.NotAfter, Anchors: []chain.Anchor{p.anchor()}, Between: slices.Concat(p.between, more)})
	return err
}

// Leads tells to which account a certificate of an anchor leads by the anchor's rules;
// "" for none.
func (t *Trust) Leads(tx *store.Tx, anchor string, c *x509.Certificate) (authn.AccountID, error) {
	list, err := t.parsed(tx)
	if err != nil {
		return "", err
	}
	for _, p := range list {
		if p.ID == anchor {
			account, err := t.account(tx, p, c)
			if errors.Is(err, errConflict) {
				err = nil
			}
			return account, err
		}
	}
	return "", ErrNone
}

// Seen keeps a certificate of an anchor, with the account it belongs to if that is
// known, so that later rules are tried against it.
func (t *Trust) Seen(tx *store.Tx, anchor string, c *x509.Certificate, account authn.AccountID) error {
	sum := sha256.Sum256(c.Raw)
	_, err := tx.Exec(`INSERT INTO trust_seen (anchor, digest, der, account, seen_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (anchor, digest) DO UPDATE SET account = CASE WHEN excluded.account = '' THEN trust_seen.account ELSE excluded.account END`,
		anchor, hex.EncodeToString(sum[:]), c.Raw, string(account), store.Millis(tx.Now))
	return err
}

// Switch turns an anchor on or off. It goes on only after a trial of its present rules
// without conflicts.
func (t *Trust) Switch(tx *store.Tx, id string, on bool) error {
	a, err := t.Get(tx, id)
	if err != nil {
		return err
	}
	enabled := int64(0)
	if on {
		p := parsed{Anchor: a}
		if a.Checked.At.IsZero() || a.Checked.Rules != p.digest() || len(a.Checked.Conflicts) > 0 {
			return ErrUntried
		}
		enabled = 1
	}
	return touched(tx.Exec("UPDATE trust_anchor SET enabled = $1, changed_at = $2 WHERE id = $3", enabled, store.Millis(tx.Now), id))
}
