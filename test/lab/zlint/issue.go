package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/zmap/zlint/v3/lint"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/keyring"
	"seimon/internal/store"
	"seimon/test/lab/stand"
)

// run judges authorities of every algorithm.
func run(r *stand.Report) error {
	registry, err := rules()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "zlint-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	keys, err := holders()
	if err != nil {
		return err
	}
	for _, algorithm := range ca.KeyAlgorithms() {
		r.Check("authority, issuers and 48 certificates over "+algorithm, func() error {
			return house(filepath.Join(dir, algorithm+".db"), algorithm, keys, registry)
		})
	}
	return nil
}

// holders are the kinds of key that people bring.
func holders() ([]crypto.Signer, error) {
	var out []crypto.Signer
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	for _, bits := range []int{2048, 3072} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	return out, nil
}

// allowed are findings about a root that are meant: a root without a limit of the
// length of paths may have issuers below issuers.
func allowed(finding string) bool {
	return strings.Contains(finding, "root_ca_contains_path_len_constraint") || strings.Contains(finding, "path_len_constraint_not_recommended")
}

// house founds an authority, issues certificates and has everything judged.
func house(file, algorithm string, keys []crypto.Signer, registry lint.Registry) error {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{URL: "sqlite:" + file})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Migrate(ctx, ca.Schema(), keyring.Schema()); err != nil {
		return err
	}
	ring, err := keyring.Open(ctx, db, keyring.Config{Master: bytes.Repeat([]byte("k"), 32)})
	if err != nil {
		return err
	}
	a, err := ca.Open(ctx, db, ca.Config{Seal: ring, Base: "http://pki.example.ac.jp", Realm: "example.ac.jp"})
	if err != nil {
		return err
	}
	issuer, err := a.Found(ctx, ca.Plan{Organization: "例大学 Example University", Country: "JP", Algorithm: algorithm})
	if err != nil {
		return err
	}
	next, err := a.PrepareIssuer(ctx, ca.Plan{Algorithm: algorithm, Organization: "Example University"}, true)
	if err != nil {
		return err
	}
	var wrong []string
	applied := 0
	look := func(what string, der []byte) error {
		findings, n, err := judge(der, registry)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		applied += n
		for _, f := range findings {
			if !allowed(f) {
				wrong = append(wrong, what+": "+f)
			}
		}
		return nil
	}
	for what, cert := range map[string][]byte{"root": issuer.Root.Raw, "issuer": issuer.Certificate.Raw, "next root": next.Root.Raw, "next issuer": next.Certificate.Raw} {
		if err := look(what, cert); err != nil {
			return err
		}
	}
	for n, o := range orders(keys) {
		p, err := a.Prepare(ctx, o)
		if err != nil {
			return fmt.Errorf("order %d: %w", n, err)
		}
		c, err := a.Issue(ctx, p)
		if err != nil {
			return fmt.Errorf("order %d: %w", n, err)
		}
		if err := look(c.Profile+" "+c.Name, c.DER); err != nil {
			return err
		}
	}
	if applied < 1000 {
		return fmt.Errorf("only %d rules were applied", applied)
	}
	return list(wrong)
}

// orders are certificates of every profile over every key, with names as people have them.
func orders(keys []crypto.Signer) []ca.Order {
	names := []string{"Kokuritsu Taro", "国立 太郎", "O'Brien-Müller Zoë", strings.Repeat("Long ", 20) + "Name"}
	var out []ca.Order
	for i, key := range keys {
		for _, profile := range []string{ca.PersonDevice, ca.CardProfile, ca.WiFiPseudonym} {
			for j, name := range names {
				holder := ca.Holder{Account: authn.AccountID(fmt.Sprint("acc_", i)), Person: "per_1", Name: name}
				if j%2 == 0 {
					holder.Mail, holder.UPN = fmt.Sprintf("s26%04d@example.ac.jp", i), fmt.Sprintf("s26%04d@example.ac.jp", i)
				}
				out = append(out, ca.Order{Profile: profile, Holder: holder, Key: key.Public(), Label: "研究室の laptop"})
			}
		}
	}
	return out
}
