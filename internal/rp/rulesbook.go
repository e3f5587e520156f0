package rp

import (
	"errors"
	"fmt"

	"seimon/internal/store"
)

// Rules gives the rules of release in force: those applied last, else the built-in
// ones.
func (b *Book) Rules(tx *store.Tx) (*Rules, error) {
	var number int64
	err := tx.QueryRow("SELECT number FROM rp_rules ORDER BY number DESC LIMIT 1").Scan(&number)
	if errors.Is(err, store.ErrNoRows) {
		number = 0
	} else if err != nil {
		return nil, err
	}
	if r := b.rules.Load(); r != nil && r.Version == number {
		return r, nil
	}
	text, err := b.RulesText(tx)
	if err != nil {
		return nil, err
	}
	r, err := ParseRules("rules", text)
	if err != nil {
		return nil, fmt.Errorf("rp: the release rules %d are damaged: %w", number, err)
	}
	r.Version = number
	b.rules.Store(r)
	return r, nil
}

// RulesText is the text of the rules in force.
func (b *Book) RulesText(tx *store.Tx) ([]byte, error) {
	var text string
	err := tx.QueryRow("SELECT text FROM rp_rules ORDER BY number DESC LIMIT 1").Scan(&text)
	if errors.Is(err, store.ErrNoRows) {
		return builtin, nil
	}
	return []byte(text), err
}

// ApplyRules puts new rules in force, after they were read without fault.
func (b *Book) ApplyRules(tx *store.Tx, file string, text []byte) error {
	if _, err := ParseRules(file, text); err != nil {
		return err
	}
	_, err := tx.Exec("INSERT INTO rp_rules (text, applied_at) VALUES ($1, $2)", string(text), store.Millis(tx.Now))
	return err
}
