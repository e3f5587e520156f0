package login_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"seimon/internal/app/demo/vcard"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/card"
	"seimon/internal/card/piv"
	"seimon/internal/directory"
	"seimon/internal/login/logintest"
	"seimon/internal/store"
)

// hand is a card held at a desk.
type hand struct{ *vcard.Card }

// Close resets the card, as a reader does.
func (h hand) Close() error { h.Reset(); return nil }

// brought is a card that another house made, whose issuer is trusted by pins, and says
// that its keys are in hardware.
func (v *tour) brought() (hand, *x509.Certificate) {
	v.T.Helper()
	must := func(err error) {
		v.T.Helper()
		if err != nil {
			v.T.Fatal(err)
		}
	}
	const inHardware = "1.3.6.1.4.1.99999.7"
	policy, err := x509.ParseOID(inHardware)
	must(err)
	issuer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	made := func(c, parent *x509.Certificate, public any) *x509.Certificate {
		c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(77), v.DB.Now().Add(-time.Hour), v.DB.Now().AddDate(2, 0, 0)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, public, issuer)
		must(err)
		out, err := x509.ParseCertificate(der)
		must(err)
		return out
	}
	root := &x509.Certificate{Subject: pkix.Name{CommonName: "Open Domain CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	root = made(root, root, issuer.Public())
	anchor, err := trust.NewAnchor("", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}),
		trust.Rules{Status: trust.StatusNone, Map: []trust.Rule{{Kind: trust.BySerial}}, Hardware: []string{inHardware}})
	must(err)
	v.Write(func(tx *store.Tx) error {
		err := v.Trust.Add(tx, anchor)
		if err == nil {
			_, err = v.Trust.Try(tx, anchor.ID, nil)
		}
		if err == nil {
			err = v.Trust.Switch(tx, anchor.ID, true)
		}
		return err
	})
	chip, err := vcard.New("", 3, 3)
	must(err)
	c, err := piv.Open(chip)
	must(err)
	must(c.Manage(piv.FactoryKey()))
	public, err := c.Generate(piv.P256)
	must(err)
	cert := made(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Card 77"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, Policies: []x509.OID{policy},
	}, root, public)
	must(c.SetCertificate(cert))
	must(c.ChangePIN(piv.FactoryPIN, "903812"))
	chip.Reset()
	return hand{chip}, cert
}

// TestACardOfAnotherHouseHasALifeHere: adopted at the desk it signs in; suspended, lost
// or returned it does not, although its issuer knows nothing of that.
func TestACardOfAnotherHouseHasALifeHere(t *testing.T) {
	v := firstTour(t, logintest.Policy)
	v.Found()
	chip, cert := v.brought()
	office := card.Office{
		DB: v.DB, Book: v.Cards, CA: v.CA, People: v.People, Seal: v.Ring, Actor: "desk", Houses: v.Houses(),
		Insert: func(context.Context, string) (card.Slot, error) { return chip, nil },
		Note:   func(*store.Tx, string, authn.AccountID, map[string]string) error { return nil },
	}
	c, err := office.Adopt(t.Context(), card.Adoption{User: student, Label: "NII-77", Document: "passport", PIN: "903812"})
	if err != nil {
		t.Fatal(err)
	}
	again := func(want ...string) {
		t.Helper()
		v.Browser = v.gate.browser(logintest.Home)
		v.certified(cert)
		if len(want) == 0 {
			v.arrived(v.Browser, "webmail", student)
			return
		}
		v.Want(want...)
	}
	again()
	if o := v.front.Last(); o.Assurance.Level != authn.AAL3 {
		t.Errorf("%+v", o.Assurance)
	}
	inside := v.Browser
	act := func(fn func() (card.Card, error)) {
		t.Helper()
		if c, err = fn(); err != nil {
			t.Fatal(err)
		}
	}
	v.Certificate(v.account) // a laptop, so that certificates are still asked for
	act(func() (card.Card, error) { return office.Suspend(t.Context(), c.ID, "left at home") })
	if inside.Get("/enter/webmail"); inside.Left() {
		t.Error("a session that rests on the card goes on")
	}
	again("一時停止しています")
	act(func() (card.Card, error) { return office.Resume(t.Context(), c.ID, "found") })
	again()
	act(func() (card.Card, error) { return office.Lose(t.Context(), c.ID, "lost in a train") })
	again("紛失の届け")
	act(func() (card.Card, error) { return office.Return(t.Context(), c, "found", nil) })
	again("返されたものです")
}

// TestASuspendedCardIsNamedWhereNothingElseIsLeft: whoever has nothing but a card that the
// desk suspended is told so, and not that nothing was ever registered.
func TestASuspendedCardIsNamedWhereNothingElseIsLeft(t *testing.T) {
	v := firstTour(t, logintest.Policy)
	v.Found()
	chip, err := vcard.New("", 10, 10)
	if err != nil {
		t.Fatal(err)
	}
	office := card.Office{
		DB: v.DB, Book: v.Cards, CA: v.CA, People: v.People, Seal: v.Ring, Actor: "desk", Houses: v.Houses(),
		Insert: func(context.Context, string) (card.Slot, error) { return hand{chip}, nil },
		Holder: func(a directory.Account, p directory.Person) ca.Holder {
			return ca.Holder{Account: a.ID, Person: p.ID, Name: "Yamada Taro"}
		},
		Note: func(*store.Tx, string, authn.AccountID, map[string]string) error { return nil },
	}
	ctx := t.Context()
	c, err := office.Stock(ctx, card.Supply{Label: "IC-0001"})
	for _, step := range []func() error{
		func() error { _, err := office.Personalise(ctx, card.Order{User: student}); return err },
		func() error { _, err := office.Print(ctx, c.ID); return err },
		func() error { _, err := office.HandOver(ctx, c.ID, "passport"); return err },
		func() error { _, err := office.Suspend(ctx, c.ID, "left at home"); return err },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	denied := func(want string) {
		t.Helper()
		v.Browser = v.gate.browser(logintest.Home)
		v.from(logintest.Home).signIn("webmail", student, logintest.Password)
		v.Want(want, "窓口").Refuse("まだ登録されていません", "もう一度選ぶ")
	}
	denied("一時停止しています")
	if _, err := office.Lose(ctx, c.ID, "lost in a train"); err != nil {
		t.Fatal(err)
	}
	denied("紛失の届け")

	// Before anything is proved nobody hears of anybody's card, and a stranger's password neither.
	b := v.gate.browser(logintest.Home)
	v.Browser = b
	v.from(logintest.Home).signIn("webmail", student, "not the password")
	v.Refuse("紛失の届け", "ICカード")
}
