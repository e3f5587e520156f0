package certificates

import (
	"encoding/json"
	"errors"
	"time"

	"seimon/internal/ca"
	"seimon/internal/desk"
	"seimon/internal/store"
)

// logPage lists every certificate ever issued in the person's name, each with its
// place in the issuance log, which nobody can change afterwards.
type logPage struct {
	view
	Entries []entry
	Size    uint64    // entries of the whole log
	At      time.Time // of the newest signed head
	Bad     int       // entries whose proof does not hold
	Waiting int
}

// entry is one certificate in the log.
type entry struct {
	ca.Certificate
	User  string
	Own   bool // of the account that is signed in
	Leaf  uint64
	State string // proven, waiting, bad: words certificates.log.STATE
}

// history shows the log with each proof checked just now.
func (d *Desk) history(v desk.Visit) error {
	page := &logPage{}
	err := d.DB.Read(v.R.Context(), func(tx *store.Tx) error {
		*page = logPage{}
		accounts, err := d.People.AccountsOf(tx, v.Person.ID)
		if err != nil {
			return err
		}
		for _, a := range accounts {
			all, err := d.CA.Of(tx, a.ID)
			if err != nil {
				return err
			}
			for _, c := range all {
				e, err := d.entry(tx, c)
				if err != nil {
					return err
				}
				e.User, e.Own = a.UserName, a.ID == v.Account.ID
				page.add(e)
			}
		}
		head, err := d.CA.Head(tx)
		if errors.Is(err, ca.ErrSoon) {
			return nil
		}
		page.Size, page.At = head.Size, time.UnixMilli(head.Millis)
		return err
	})
	if err != nil {
		return err
	}
	return d.show(v, "certificates.log", page)
}

func (page *logPage) add(e entry) {
	page.Entries = append(page.Entries, e)
	switch e.State {
	case "bad":
		page.Bad++
	case "waiting":
		page.Waiting++
	}
}

// entry checks the proof of one certificate.
func (d *Desk) entry(tx *store.Tx, c ca.Certificate) (entry, error) {
	e := entry{Certificate: c, State: "waiting"}
	p, err := d.CA.Proof(tx, c.ID)
	if errors.Is(err, ca.ErrSoon) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	e.Leaf, e.State = p.Leaf, "proven"
	if p.Check(nil) != nil {
		e.State = "bad"
	}
	return e, nil
}

// evidence gives the proof of one certificate, to be checked anywhere.
func (d *Desk) evidence(v desk.Visit) error {
	var p ca.LogProof
	var i item
	err := d.DB.Read(v.R.Context(), func(tx *store.Tx) (err error) {
		if i, err = d.own(tx, v); err != nil {
			return err
		}
		p, err = d.CA.Proof(tx, i.ID)
		return err
	})
	if errors.Is(err, ca.ErrNone) || errors.Is(err, ca.ErrSoon) {
		return d.missing(v)
	}
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return attach(v.W, "application/json", fileName(i.Certificate)+"-proof.json", append(text, '\n'))
}
