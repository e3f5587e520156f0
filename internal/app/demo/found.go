package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"seimon/internal/app/demo/campus"
	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/factor/password"
	"seimon/internal/factor/totp"
	"seimon/internal/lang"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// found puts services, rules and people in place. Data kept from an earlier start
// stays; the services are registered anew, because the port may have changed.
func (t *Town) found(ctx context.Context) error {
	var parties []rp.Party
	for _, o := range catalogue() {
		p, err := t.party(o)
		if err != nil {
			return err
		}
		parties = append(parties, p)
	}
	h := t.house
	err := h.DB.Write(ctx, func(tx *store.Tx) error {
		for _, p := range parties {
			if _, err := h.Parties.Register(tx, p); err != nil {
				return err
			}
		}
		if _, version, err := h.Policy.Active(tx); err != nil || version > 0 {
			return err
		}
		_, err := h.Policy.Apply(tx, "demo", "campus.toml", policy.Example(), func(string) bool { return true })
		return err
	})
	if err != nil {
		return fmt.Errorf("demo: services and rules: %w", err)
	}
	if err := h.DB.Write(ctx, t.settle); err != nil {
		return fmt.Errorf("demo: people: %w", err)
	}
	plan := ca.Plan{Organization: "Seimon University (demo)", Country: "JP", Issuer: "Seimon University User CA G1 (demo)", Actor: "demo"}
	if _, err := h.CA.Found(ctx, plan); err != nil && !errors.Is(err, ca.ErrFounded) {
		return fmt.Errorf("demo: certificates: %w", err)
	}
	if err := t.federate(ctx); err != nil {
		return fmt.Errorf("demo: federation: %w", err)
	}
	return t.write(ctx)
}

// settle adds the people to an empty directory.
func (t *Town) settle(tx *store.Tx) error {
	if n, err := t.house.People.Count(tx); err != nil || n > 0 {
		return err
	}
	people := campus.People()
	persons := map[string]authn.PersonID{}
	for i, p := range people {
		e := directory.Entry{Account: account(p, i, tx.Now), Person: person(p, tx.Now)}
		e.Person.ID = persons[p.Number]
		entries := []directory.Entry{e}
		if err := t.house.People.AddMany(tx, entries); err != nil {
			return fmt.Errorf("%s: %w", p.User, err)
		}
		a := entries[0].Account
		persons[p.Number] = a.Person
		if err := t.equip(tx, a, p); err != nil {
			return fmt.Errorf("%s: %w", p.User, err)
		}
		err := t.house.Audit.Append(tx, audit.Event{Type: "account.added", Account: a.ID, Actor: "demo", Facts: map[string]string{"user": a.UserName}})
		if err != nil {
			return err
		}
	}
	return nil
}

func person(p campus.Person, now time.Time) directory.Person {
	out := directory.Person{
		Number: p.Number, Lang: lang.JA, Notices: directory.NoticeNew,
		Name: directory.Names{
			Family: p.Family, Given: p.Given, FamilyKana: p.FamilyKana, GivenKana: p.GivenKana,
			FamilyLatin: p.FamilyLatin, GivenLatin: p.GivenLatin,
		},
		Mail: p.Mail, MailVerified: now.AddDate(0, -2, 0),
		Notify: p.User + "@mail.example", NotifyVerified: now.AddDate(0, -2, 0),
	}
	if p.English {
		out.Lang = lang.EN
	}
	return out
}

// account gives the account its state. Those in trouble got into it some days ago.
func account(p campus.Person, i int, now time.Time) directory.Account {
	day := 24 * time.Hour
	a := directory.Account{
		UserName: p.User, Kind: p.Kind, Groups: p.Groups, State: directory.Active, StateSince: now.Add(-60 * day), Created: now.Add(-60 * day),
		Affiliations: affiliations(p.Kind), ValidFrom: now.Add(-90 * day), ValidUntil: now.Add(1000 * day),
	}
	if i%10 != 3 { // the others meet the agreement at their first sign-in
		a.AgreedVersion, a.AgreedAt = agreement(), now.Add(-59*day)
	}
	switch p.Trouble {
	case campus.Pending:
		a.State, a.StateSince, a.AgreedVersion = directory.Pending, now.Add(-10*day), ""
	case campus.Suspended:
		a.State, a.StateSince, a.StateWhy = directory.Suspended, now.Add(-3*day), "reported as stolen"
	case campus.Expired:
		a.ValidUntil = now.Add(-20 * day)
	case campus.Early:
		a.ValidFrom = now.Add(30 * day)
	}
	return a
}

func agreement() string {
	d, err := policy.Parse("campus.toml", policy.Example())
	if err != nil {
		return ""
	}
	version, _, _ := d.Agreement()
	return version
}

func affiliations(kind string) []string {
	switch kind {
	case "student":
		return []string{"student", "member"}
	case "parttime":
		return []string{"affiliate"}
	}
	return []string{kind, "employee", "member"}
}

// equip gives an account its password and its app, and the traces of earlier ones.
func (t *Town) equip(tx *store.Tx, a directory.Account, p campus.Person) error {
	day := 24 * time.Hour
	if p.FormerHash != "" {
		if err := t.retire(tx, func() (factor.Binding, error) { return password.Import(a.ID, p.FormerHash, tx.Now.Add(-200*day)) }); err != nil {
			return err
		}
	}
	set := tx.Now.Add(-60 * day)
	if p.Trouble == campus.Changed {
		set = tx.Now.Add(-2 * day)
	}
	b, err := password.Import(a.ID, p.Hash, set)
	if err != nil {
		return err
	}
	if _, err := t.house.Bindings.Add(tx, b); err != nil {
		return err
	}
	if p.OldSecret != "" {
		err := t.retire(tx, func() (factor.Binding, error) {
			return totp.Import(totp.Config{}, a.ID, formerPhone, p.OldSecret, tx.Now.Add(-400*day))
		})
		if err != nil {
			return err
		}
	}
	if p.Secret == "" && p.Trouble != campus.Unfinished {
		return nil
	}
	return t.addApp(tx, a, p)
}

func (t *Town) addApp(tx *store.Tx, a directory.Account, p campus.Person) error {
	day := 24 * time.Hour
	secret, created := p.Secret, tx.Now.Add(-50*day)
	if p.Trouble == campus.Replaced {
		created = tx.Now.Add(-5 * day)
	}
	if p.Trouble == campus.Unfinished {
		secret, created = strings.Repeat("SEIMONABCD234567", 2), tx.Now.Add(-4*day)
	}
	b, err := totp.Import(totp.Config{}, a.ID, phoneOf(p), secret, created)
	if err != nil {
		return err
	}
	if p.Trouble == campus.Unfinished {
		b.State = factor.Pending
	}
	_, err = t.house.Bindings.Add(tx, b)
	return err
}

// formerPhone is what people had before they registered again.
const formerPhone = "iPhone 12"

func phoneOf(p campus.Person) string {
	names := []string{"iPhone 15", "Pixel 9", "AQUOS sense9", "Xperia 10"}
	return names[(len(p.User)+int(p.User[len(p.User)-1]))%len(names)]
}

// retire adds a binding and takes it out of use at once.
func (t *Town) retire(tx *store.Tx, imported func() (factor.Binding, error)) error {
	b, err := imported()
	if err != nil {
		return err
	}
	if b, err = t.house.Bindings.Add(tx, b); err != nil {
		return err
	}
	return t.house.Bindings.Remove(tx, b.ID)
}

// write makes new activation letters for those who wait for one.
func (t *Town) write(ctx context.Context) error {
	letters := map[string]string{}
	err := t.house.DB.Write(ctx, func(tx *store.Tx) error {
		clear(letters)
		list, err := t.house.People.List(tx, directory.Filter{State: directory.Pending, Limit: 100})
		for _, e := range list {
			if letters[e.Account.UserName], err = t.house.People.NewActivation(tx, e.Account.ID); err != nil {
				return err
			}
		}
		return err
	})
	t.letters = letters
	return err
}
