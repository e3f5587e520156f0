package rp

import (
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Item is one attribute that a party may receive about an account.
type Item struct {
	Attribute string
	Values    []string
	Required  bool // sent to whoever goes on; of a service that only informs, everything
	Chosen    bool // the person agreed to it earlier, or has not said no yet
	// News tells why somebody who agreed for this party before is asked again.
	News News
}

// News is how an attribute differs from what the person agreed to before.
type News string

// What is new about an attribute.
const (
	Changed News = "changed" // it has other values
	Added   News = "added"   // the service did not ask for it
)

// Released is what may leave the house for a party about an account.
type Released struct {
	// Values is what the party may have now. What the person has not agreed to,
	// or has agreed to with other values, is not in it.
	Values map[string][]string
	// Ask tells that the person must be shown the Items before the party gets more.
	Ask bool
	// Given tells that the person has agreed for this party, if that is needed at all.
	Given bool
	Items []Item
}

// Shown names what the person is asked about, as a page shows it: which attributes with which
// values, and which of them are not for choosing. An answer counts only for the same.
func (r Released) Shown() string {
	h := sha256.New()
	for _, i := range r.Items {
		fmt.Fprintf(h, "%s %t\n", digest(i.Attribute, i.Values), i.Required)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// remembered is one attribute in the consent on record.
type remembered struct {
	Digest string `json:"digest"`
	Chosen bool   `json:"chosen"`
}

// Release works out what p may have from attrs, the account's attributes as the
// directory gives them now. It is asked again for every assertion: what was
// agreed with other values waits until the person has seen the new ones.
func (b *Book) Release(tx *store.Tx, p Party, account authn.AccountID, attrs map[string][]string) (Released, error) {
	out := Released{Values: map[string][]string{}, Given: true}
	var given map[string]remembered
	if p.Consent != ConsentNone {
		var err error
		if given, err = consentOf(tx, p.ID, account); err != nil {
			return Released{}, err
		}
		out.Given = given != nil
		out.Ask = given == nil
	}
	for _, r := range p.Release {
		values := r.values(attrs[r.Attribute], attrs["groups"])
		if len(values) == 0 {
			continue
		}
		item := Item{Attribute: r.Attribute, Values: values, Required: r.Required || p.Consent == ConsentInform, Chosen: true}
		old, known := given[r.Attribute]
		if known && !item.Required {
			item.Chosen = old.Chosen
		}
		agreed := p.Consent == ConsentNone || known && old.Chosen && old.Digest == digest(r.Attribute, values)
		if agreed {
			out.Values[r.Attribute] = values
		} else if item.Chosen {
			out.Ask = true
			item.News = news(given != nil, known, old.Chosen)
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

// news tells why an attribute that was not agreed to as it is now is asked about.
func news(before, known, chosen bool) News {
	switch {
	case !before:
		return ""
	case known && chosen:
		return Changed
	}
	return Added
}

func consentOf(tx *store.Tx, party string, account authn.AccountID) (map[string]remembered, error) {
	var text string
	err := tx.QueryRow("SELECT items FROM rp_consent WHERE party = $1 AND account = $2", party, string(account)).Scan(&text)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	given := map[string]remembered{}
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		return nil, fmt.Errorf("rp: consent for %s is damaged: %w", party, err)
	}
	return given, nil
}

// digest binds an agreement to the values that were shown. The order of values
// does not count.
func digest(attribute string, values []string) string {
	h := sha256.New()
	for _, v := range append([]string{attribute}, slices.Sorted(slices.Values(values))...) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(v)))
		h.Write(n[:])
		h.Write([]byte(v))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Consent remembers that the person has seen items and agreed to those named in
// chosen; required items are agreed to by going on. What was remembered about
// other attributes stays, because a party may ask for less this time than the
// last. A name in chosen that is not among items is an error.
func (b *Book) Consent(tx *store.Tx, p Party, account authn.AccountID, chosen []string, items []Item) error {
	keep, err := consentOf(tx, p.ID, account)
	if err != nil {
		return err
	}
	if keep == nil {
		keep = map[string]remembered{}
	}
	offered := map[string]bool{}
	for _, it := range items {
		offered[it.Attribute] = true
		free := p.Consent == ConsentAsk && !it.Required
		keep[it.Attribute] = remembered{
			Digest: digest(it.Attribute, it.Values),
			Chosen: !free || slices.Contains(chosen, it.Attribute),
		}
	}
	for _, c := range chosen {
		if !offered[c] {
			return fmt.Errorf("rp: %q was not offered to party %s", c, p.ID)
		}
	}
	text, err := json.Marshal(keep)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO rp_consent (party, account, items, given_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (party, account) DO UPDATE SET items = $3, given_at = $4`, p.ID, string(account), string(text), store.Millis(tx.Now))
	return err
}

// Given is an agreement on record.
type Given struct {
	Party      string
	Attributes []string // agreed to, sorted
	At         time.Time
}

// Consents lists what an account has agreed to, in the order of the parties' ids.
func (b *Book) Consents(tx *store.Tx, account authn.AccountID) ([]Given, error) {
	var out []Given
	rows, err := tx.Query("SELECT party, items, given_at FROM rp_consent WHERE account = $1 ORDER BY party", string(account))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var g Given
		var text string
		var at int64
		if err := rows.Scan(&g.Party, &text, &at); err != nil {
			return err
		}
		items := map[string]remembered{}
		if err := json.Unmarshal([]byte(text), &items); err != nil {
			return fmt.Errorf("rp: consent for %s is damaged: %w", g.Party, err)
		}
		for name, it := range items {
			if it.Chosen {
				g.Attributes = append(g.Attributes, name)
			}
		}
		slices.Sort(g.Attributes)
		g.At = store.Time(at)
		out = append(out, g)
		return nil
	})
	return out, err
}

// Withdraw forgets what an account agreed to for a party; it is no error if there
// was nothing. Fronts stop giving out attributes and refresh nothing from then on.
func (b *Book) Withdraw(tx *store.Tx, party string, account authn.AccountID) error {
	_, err := tx.Exec("DELETE FROM rp_consent WHERE party = $1 AND account = $2", party, string(account))
	return err
}
