package portal

import (
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/mail"
	"seimon/internal/store"
	"seimon/internal/throttle"
	"seimon/internal/web"
)

// Limits of showing that mail arrives at an address.
const (
	codeDigits = 8
	codeLife   = 30 * time.Minute
	codeTries  = 5
	codeWait   = time.Minute // between two mails for the same use
)

// addressPage is where an address for notices or for a forgotten password is set.
type addressPage struct {
	view
	Use      directory.Use
	Address  string
	Verified time.Time
	Waiting  *waiting
	Typed    string
}

// waiting is an address that a code was sent to. Until the code comes back the
// address before stays in use.
type waiting struct {
	Address string
	Sent    time.Time
	Expires time.Time
	code    []byte
	tries   int64
}

// use is what the address of this request is for; false when it is none of ours.
func (g *guest) use() (directory.Use, bool) {
	use := directory.Use(g.r.PathValue("use"))
	return use, use == directory.UseNotify || use == directory.UseRecovery
}

// kept is the address in use and since when it counts as verified.
func (g *guest) kept(use directory.Use) (string, time.Time) {
	if use == directory.UseRecovery {
		return g.Person.Recovery, g.Person.RecoveryVerified
	}
	return g.Person.Notify, g.Person.NotifyVerified
}

func (g *guest) address() error {
	use, ok := g.use()
	if !ok {
		return g.missing()
	}
	return g.addressPage(use, g.top(), http.StatusOK)
}

func (g *guest) addressPage(use directory.Use, v view, status int) error {
	g.here = "/portal/settings"
	page := &addressPage{view: v, Use: use, Typed: g.r.PostFormValue("address")}
	page.Address, page.Verified = g.kept(use)
	err := g.DB.Read(g.r.Context(), func(tx *store.Tx) error {
		w, err := g.waiting(tx, use)
		if err == nil && w.tries < codeTries {
			page.Waiting = &w
		}
		if errors.Is(err, store.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return g.showAt(status, "portal.address."+string(use), page)
}

// waiting reads the address that waits for its code, or store.ErrNoRows.
func (g *guest) waiting(tx *store.Tx, use directory.Use) (waiting, error) {
	var w waiting
	var sent, expires int64
	err := tx.QueryRow("SELECT address, code, tries, sent_at, expires_at FROM portal_address WHERE person = $1 AND use_for = $2 AND expires_at > $3",
		string(g.Person.ID), string(use), store.Millis(tx.Now)).Scan(&w.Address, &w.code, &w.tries, &sent, &expires)
	w.Sent, w.Expires = store.Time(sent), store.Time(expires)
	return w, err
}

// setAddress is every form of the page: send a code, check it, give up, remove.
func (g *guest) setAddress() error {
	use, ok := g.use()
	if !ok {
		return g.missing()
	}
	var err error
	switch g.r.PostFormValue("act") {
	case "send":
		err = g.sendCode(use)
	case "check":
		err = g.checkCode(use)
	case "drop":
		err = g.dropWaiting(use)
	case "remove":
		err = g.removeAddress(use)
	default:
		return g.to(g.r.URL.Path)
	}
	if f := authn.AsFault(err); f != nil {
		return g.addressPage(use, g.wrong(f), http.StatusUnprocessableEntity)
	}
	return err
}

// sendCode writes to the new address. How often is bounded, so that nobody's
// mailbox can be filled from here.
func (g *guest) sendCode(use directory.Use) error {
	address, err := directory.CheckMail(norm.NFKC.String(g.r.PostFormValue("address")))
	if err != nil || address == "" {
		return authn.NewFault("M3.form")
	}
	if use == directory.UseRecovery && g.Loop(address) {
		_, domain, _ := strings.Cut(address, "@")
		return authn.NewFault("M3", "domain", domain)
	}
	code, err := newCode()
	if err != nil {
		return err
	}
	try := throttle.Try{Who: string(g.Account.ID), Factor: "mail.setup", Source: web.ClientOf(g.r).Addr, Known: true}
	err = g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		w, err := g.waiting(tx, use)
		if err != nil && !errors.Is(err, store.ErrNoRows) {
			return err
		}
		if left := codeWait - tx.Now.Sub(w.Sent); err == nil && left > 0 {
			return authn.NewFault("M1.wait", "seconds", strconv.Itoa(int(left.Seconds())+1), "to", mail.MaskAddress(w.Address))
		}
		if err := g.Throttle.Begin(tx, try); err != nil {
			return err
		}
		return g.sendTo(tx, use, address, code)
	})
	if errors.Is(err, mail.ErrAddress) {
		return authn.NewFault("M3.form")
	}
	if err != nil {
		return err
	}
	return g.to(g.r.URL.Path)
}

func (g *guest) sendTo(tx *store.Tx, use directory.Use, address, code string) error {
	expires := tx.Now.Add(codeLife)
	_, err := tx.Exec(`INSERT INTO portal_address (person, use_for, address, code, tries, sent_at, expires_at) VALUES ($1, $2, $3, $4, 0, $5, $6)
		ON CONFLICT (person, use_for) DO UPDATE SET address = excluded.address, code = excluded.code, tries = 0,
			sent_at = excluded.sent_at, expires_at = excluded.expires_at`,
		string(g.Person.ID), string(use), address, g.codeMark(use, address, code), store.Millis(tx.Now), store.Millis(expires))
	if err != nil {
		return err
	}
	reader := g.p()
	_, err = g.Mail.Enqueue(tx, mail.Message{
		To: address, Lang: reader.Tag(), Template: "portal.mail.code." + string(use), Account: g.Account.ID, Purpose: "address." + string(use), Expires: expires,
		Facts: map[string]string{"name": g.Person.Name.Full(reader.Tag()), "code": code[:4] + " " + code[4:], "until": reader.Clock(expires), "user": g.Account.UserName},
	})
	return err
}

// newCode makes the digits of a code.
func newCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1e8))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%0*d", codeDigits, n), nil
}

// codeMark is what is kept of a code: it fits only this person, use and address.
func (g *guest) codeMark(use directory.Use, address, code string) []byte {
	return g.Ring.MAC("portal.address", []byte(string(g.Person.ID)+"\x00"+string(use)+"\x00"+address+"\x00"+code))
}

// checkCode makes the new address the one in use. A wrong code is counted even
// though nothing else is written.
func (g *guest) checkCode(use directory.Use) error {
	code := factor.Digits(g.r.PostFormValue("code"))
	if len(code) != codeDigits {
		return authn.NewFault("M2.form", "digits", strconv.Itoa(codeDigits))
	}
	var fault *authn.Fault
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		fault = nil
		w, err := g.waiting(tx, use)
		if errors.Is(err, store.ErrNoRows) {
			fault = authn.NewFault("M1.none")
			return nil
		}
		if err != nil {
			return err
		}
		if w.tries >= codeTries {
			fault = authn.NewFault("M2.expired", "to", mail.MaskAddress(w.Address), "sent", factor.TimeFact(w.Sent), "expired", factor.TimeFact(tx.Now))
			return nil
		}
		if !hmac.Equal(w.code, g.codeMark(use, w.Address, code)) {
			fault = authn.NewFault("M2.wrong", "to", mail.MaskAddress(w.Address), "sent", factor.TimeFact(w.Sent))
			_, err := tx.Exec("UPDATE portal_address SET tries = tries + 1 WHERE person = $1 AND use_for = $2", string(g.Person.ID), string(use))
			return err
		}
		return g.adopt(tx, use, w.Address)
	})
	if err != nil {
		return err
	}
	if fault != nil {
		return fault
	}
	return g.done("/portal/settings", "address")
}

// adopt writes a verified address, its record and the notices to old and new.
func (g *guest) adopt(tx *store.Tx, use directory.Use, address string) error {
	if _, err := tx.Exec("DELETE FROM portal_address WHERE person = $1 AND use_for = $2", string(g.Person.ID), string(use)); err != nil {
		return err
	}
	if err := g.People.SetMail(tx, g.Person.ID, use, address); err != nil {
		return err
	}
	if err := g.People.VerifyMail(tx, g.Person.ID, use, address); err != nil {
		return err
	}
	return g.addressChanged(tx, use, address)
}

func (g *guest) addressChanged(tx *store.Tx, use directory.Use, address string) error {
	old, verified := g.kept(use)
	c := change{event: "address.changed", template: "portal.mail.address." + string(use), to: []string{address}, facts: map[string]string{
		"use": string(use), "before": mail.MaskAddress(old), "after": mail.MaskAddress(address),
	}}
	if old == "" {
		c.facts["before"] = "-"
	}
	if address == "" {
		c.facts["after"] = "-"
	}
	if !verified.IsZero() {
		c.to = append(c.to, old)
	}
	return g.record(tx, c)
}

// dropWaiting gives up on an address that waits for its code.
func (g *guest) dropWaiting(use directory.Use) error {
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE portal_address SET code = $3, tries = $4 WHERE person = $1 AND use_for = $2",
			string(g.Person.ID), string(use), []byte{}, int64(codeTries))
		return err
	})
	if err != nil {
		return err
	}
	return g.to("/portal/settings")
}

// removeAddress takes an address out of use.
func (g *guest) removeAddress(use directory.Use) error {
	if old, _ := g.kept(use); old == "" {
		return g.to("/portal/settings")
	}
	err := g.DB.Write(g.r.Context(), func(tx *store.Tx) error {
		if err := g.People.SetMail(tx, g.Person.ID, use, ""); err != nil {
			return err
		}
		return g.addressChanged(tx, use, "")
	})
	if err != nil {
		return err
	}
	return g.done("/portal/settings", "noaddress")
}

// noticeTo is the address that notices go to now, masked, or empty.
func (g *guest) noticeTo() string {
	to := g.Person.NoticeAddress()
	if to == "" {
		return ""
	}
	return mail.MaskAddress(to)
}
