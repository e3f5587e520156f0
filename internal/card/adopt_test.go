package card_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/app/demo/vcard"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/card"
	"seimon/internal/card/piv"
	"seimon/internal/keyring"
	"seimon/internal/store"
)

// people is the register as rules of other houses see it: nobody proved an address.
type people struct{ *counter }

func (p people) ByMail(*store.Tx, string) ([]authn.AccountID, error) { return nil, nil }
func (p people) ByUserName(tx *store.Tx, name string) (authn.AccountID, error) {
	a, _, err := p.People.ByUserName(tx, name)
	return a.ID, err
}
func (p people) Page(*store.Tx, string, int) ([]trust.Known, error) { return nil, nil }

// houses is the room of other houses, and a list of what was cut off and joined again.
type houses struct {
	*trust.Trust
	did []string
}

func (x *houses) Pin(tx *store.Tx, house string, c *x509.Certificate, a authn.AccountID) error {
	return x.Trust.Pin(tx, house, trust.BySerial, c, a)
}

func (x *houses) Cut(_ *store.Tx, _ authn.AccountID, c *x509.Certificate) error {
	x.did = append(x.did, "cut "+c.Subject.CommonName)
	return nil
}

func (x *houses) Join(_ *store.Tx, c *x509.Certificate) error {
	x.did = append(x.did, "join "+c.Subject.CommonName)
	return nil
}

// elsewhere is another office that personalises cards, with an issuer of its own.
type elsewhere struct {
	*counter
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// shops opens the other office; trusted with a rule, its issuer is switched on.
func shop(h *counter, name string, rule ...trust.Rule) *elsewhere {
	h.t.Helper()
	if h.Houses == nil {
		h.Houses = &houses{Trust: trust.New(h.db, h.CA, people{h}, trust.Config{})}
	}
	e := &elsewhere{counter: h}
	var err error
	e.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.must(err)
	e.cert = e.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, e.key.Public())
	if len(rule) == 0 {
		return e
	}
	a, err := trust.NewAnchor("", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.cert.Raw}), trust.Rules{Status: trust.StatusNone, Map: rule})
	h.must(err)
	t := h.Houses.(*houses).Trust
	h.must(h.db.Write(h.t.Context(), func(tx *store.Tx) error {
		err := t.Add(tx, a)
		if err == nil {
			_, err = t.Try(tx, a.ID, nil)
		}
		if err == nil {
			err = t.Switch(tx, a.ID, true)
		}
		return err
	}))
	return e
}

func (e *elsewhere) sign(c *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	e.t.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = e.clock.Now().Add(-time.Hour), e.clock.Now().AddDate(2, 0, 0)
	parent := e.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, e.key)
	e.must(err)
	out, err := x509.ParseCertificate(der)
	e.must(err)
	return out
}

// blank is a card with a name, a PIN and a management key of the other office, and a key
// pair; certificate gives what is written on it.
func (h *counter) blank(vendor bool, certificate func(public crypto.PublicKey) *x509.Certificate) *vcard.Card {
	h.t.Helper()
	v := h.fresh()
	c, err := piv.Open(v)
	h.must(err)
	h.must(c.Manage(piv.FactoryKey()))
	var guid [16]byte
	rand.Read(guid[:])
	h.must(c.SetCHUID(piv.CHUID{GUID: guid, Expires: h.clock.Now().AddDate(2, 0, 0)}))
	public, err := c.Generate(piv.P256)
	h.must(err)
	if certificate != nil {
		h.must(c.SetCertificate(certificate(public)))
	}
	h.must(c.ChangePIN(piv.FactoryPIN, "903812"))
	h.must(c.SetManagementKey(piv.ManagementKey{Type: piv.AES192, Key: []byte("the key of another house")}))
	v.Vendor = vendor
	v.Reset()
	h.in = v
	h.files["pin"] = "903812\n"
	return v
}

// person is a certificate of the other house for somebody.
func (e *elsewhere) person(name string) func(public crypto.PublicKey) *x509.Certificate {
	return func(public crypto.PublicKey) *x509.Certificate {
		return e.sign(&x509.Certificate{
			Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, public)
	}
}

// ours is a certificate of our own for the key of a card that is personalised elsewhere.
func (h *counter) ours(user, profile string) func(public crypto.PublicKey) *x509.Certificate {
	return func(public crypto.PublicKey) *x509.Certificate {
		h.t.Helper()
		var holder ca.Holder
		h.must(h.db.Read(h.t.Context(), func(tx *store.Tx) error {
			a, p, err := h.People.ByUserName(tx, user)
			holder = h.Holder(a, p)
			return err
		}))
		p, err := h.CA.Prepare(h.t.Context(), ca.Order{Profile: profile, Holder: holder, Key: public, Label: "card"})
		h.must(err)
		c, err := h.CA.Issue(h.t.Context(), p)
		h.must(err)
		return c.Parsed()
	}
}

func TestACardPersonalisedElsewhereIsAdopted(t *testing.T) {
	h := open(t)
	e := shop(h, "Open Domain CA", trust.Rule{Kind: trust.BySerial})
	h.person("s2600002", "正門", "次郎")
	adopt := func(user string, more ...string) []string {
		return append([]string{"adopt", user, "--document", "passport", "--pin", "pin"}, more...)
	}
	h.blank(false, e.person("Card 77"))
	h.files["wrong"] = "111119"
	h.fails("the PIN or PUK is wrong; tries left: 2", "adopt", "s2600001", "--document", "passport", "--pin", "wrong")
	h.fails(`no account "nobody"`, adopt("nobody")...)
	if out := h.ok(adopt("s2600001", "--label", "NII-77")...); !strings.Contains(out, "active") {
		t.Error(out)
	}
	c := h.find("NII-77")
	if c.State != card.Active || !c.Elsewhere() || c.Certificate != "" || !strings.HasPrefix(c.Serial, "G") {
		t.Fatalf("%+v", c)
	}
	h.fails("registered already", adopt("s2600001")...)
	if out := h.ok("status"); !strings.Contains(out, "CN=Card 77, of CN=Open Domain CA") || !strings.Contains(out, "elsewhere") || strings.Contains(out, "Warning") {
		t.Error(out)
	}
	h.fails("only the office that did it can unblock it", "unblock", "NII-77", "--why", "forgot", "--document", "passport")
	h.fails("its PIN was never known here", "letter", "NII-77", "--out", "letter.txt")
	h.fails("personalised elsewhere", "return", "NII-77", "--wipe")
	h.ok("suspend", "NII-77", "--why", "left at home")
	h.ok("resume", "NII-77")
	h.ok("lost", "NII-77", "--why", "lost in a train")
	if did := h.Houses.(*houses).did; !slices.Equal(did, []string{"join Card 77", "cut Card 77", "join Card 77", "cut Card 77"}) {
		t.Errorf("%q", did)
	}
	if len(h.events("card.adopted")) != 1 {
		t.Error("nothing on record")
	}
	h.must(h.db.Read(t.Context(), func(tx *store.Tx) error {
		proofs, err := h.Book.Proofs(tx, c.Person)
		if len(proofs) != 1 || proofs[0].Act != "adopt" || proofs[0].Document != "passport" {
			t.Errorf("%+v", proofs)
		}
		return err
	}))
	h.fails("it is lost", adopt("s2600001")...)
	h.ok("return", "NII-77")
	h.fails("belongs to another account than s2600002", adopt("s2600002")...)
	h.ok(adopt("s2600001", "--label", "NII-77b")...) // found again, and judged again
}

func TestACertificateOfOursOnACardMadeElsewhere(t *testing.T) {
	h := open(t)
	shop(h, "nobody asks it")
	h.blank(false, h.ours("s2600001", ca.CardProfile))
	h.ok("adopt", "s2600001", "--label", "0001", "--document", "passport", "--pin", "pin")
	c := h.find("0001")
	if c.Certificate == "" || len(c.Brought) > 0 || !c.Elsewhere() {
		t.Fatalf("%+v", c)
	}
	h.ok("lost", "0001", "--why", "lost in a train")
	if got := h.certificate(c); got.State != ca.Revoked || got.Reason != ca.KeyCompromise {
		t.Errorf("%s %s", got.State, got.Reason)
	}
	h.ok("return", "0001")
	h.fails("does not count here: C4", "adopt", "s2600001", "--document", "passport", "--pin", "pin")
	h.blank(false, h.ours("s2600001", ca.PersonDevice))
	h.fails("in software", "adopt", "s2600001", "--document", "passport", "--pin", "pin")
}

// TestWhatCannotBeAdopted: certificates of strangers, of nobody, copied from a card to
// another, and houses whose rules pin nothing.
func TestWhatCannotBeAdopted(t *testing.T) {
	h := open(t)
	e := shop(h, "Open Domain CA", trust.Rule{Kind: trust.BySerial})
	named := shop(h, "Named CA", trust.Rule{Kind: trust.ByMail, Domain: "example.ac.jp"})
	args := []string{"adopt", "s2600001", "--document", "passport", "--pin", "pin"}
	for want, certificate := range map[string]func(crypto.PublicKey) *x509.Certificate{
		"is of a house that is not trusted here": shop(h, "Stranger CA").person("Card 1"),
		"no certificate on this card":            nil,
		"no rule of Named CA":                    named.person("Card 2"),
		"does not have the key": func(crypto.PublicKey) *x509.Certificate {
			other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			h.must(err)
			return e.person("Card 3")(other.Public())
		},
	} {
		h.blank(false, certificate)
		h.fails(want, args...)
	}
	var shared *x509.Certificate
	h.blank(true, func(public crypto.PublicKey) *x509.Certificate { shared = e.person("Card 4")(public); return shared })
	h.ok(args...)
	h.must(h.db.Read(t.Context(), func(tx *store.Tx) error {
		if list, err := h.Book.List(tx, card.Filter{}); err != nil || len(list) != 1 {
			t.Errorf("what was refused is in the register: %v %v", list, err)
		}
		return nil
	}))
	if out := h.ok("list", "s2600001", "--json"); !strings.Contains(out, `"personalised_elsewhere": true`) {
		t.Error(out)
	}
}

// TestACardWithAKeyOfItsOwn: a plain card cannot change its management key. With the one
// that its maker gave to it alone, it has a whole life.
func TestACardWithAKeyOfItsOwn(t *testing.T) {
	h := open(t)
	v := h.blank(false, nil)
	h.ok("stock", "--label", "OTHER")
	h.fails("personalised elsewhere", "personalise", "s2600001")
	h.ok("return", "OTHER")

	given := "management " + hex.EncodeToString([]byte("the key of another house")) + "\npin 903812\n"
	for text, want := range map[string]string{
		"management 0102": "line 1", "pin 12": "line 1", "pin 123456\npuk 1": "line 2", "key 1": "line 1", "": "says nothing",
		"management " + hex.EncodeToString(piv.FactoryKey().Key):                     "protects nothing",
		"management " + hex.EncodeToString([]byte("the key of another card!")):       "not the one of this card",
		"management " + hex.EncodeToString([]byte("the key of another house")) + "0": "line 1",
	} {
		h.files["given"] = text
		h.fails(want, "stock", "--label", "BAD", "--given", "given")
	}
	h.files["given"] = given
	h.ok("stock", "--label", "PLAIN", "--given", "given")
	h.ok("personalise", "s2600001")
	if !slices.Equal(v.ManagementKey(), []byte("the key of another house")) {
		t.Error("a plain card has another key now")
	}
	pin := h.letter("PLAIN")
	h.must(h.signs(pin))
	for _, name := range h.files {
		if strings.Contains(name, "Ten wrong PINs") || strings.Contains(name, "10 wrong PINs") {
			t.Error("the letter promises ten tries of a card that has three")
		}
	}
	h.ok("handover", "PLAIN", "--document", "passport")
	for range 3 {
		if err := h.signs("111112"); !refused(err) {
			t.Fatal(err)
		}
	}
	h.files["new"] = "271934"
	h.ok("unblock", "PLAIN", "--why", "three wrong PINs", "--document", "passport", "--pin", "new")
	h.must(h.signs("271934"))
	h.ok("return", "PLAIN", "--wipe")

	// What the maker told outlives the card's first life and a change of the master key.
	h.ok("stock", "--label", "AGAIN")
	var err error
	h.ring, err = keyring.Open(t.Context(), h.db, keyring.Config{Master: []byte(strings.Repeat("n", 32)), Old: [][]byte{[]byte(strings.Repeat("k", 32))}})
	h.must(err)
	if n, err := h.Book.Reseal(t.Context(), h.db, h.ring, h.ring.Head()); n != 1 || err != nil {
		t.Fatalf("%d cards, %v", n, err)
	}
	h.Seal, err = keyring.Open(t.Context(), h.db, keyring.Config{Master: []byte(strings.Repeat("n", 32))})
	h.must(err)
	h.person("s2600002", "正門", "次郎")
	h.ok("personalise", "s2600002")
	h.must(h.signs(h.letter("AGAIN")))

	// Another card with the same key is refused, from a delivery note too.
	h.fails("the same management key", "stock", "--serial", "Y4711", "--label", "TWIN", "--given", "given")
	h.blank(false, nil)
	h.fails("the same management key", "stock", "--label", "TWIN", "--given", "given")
}

// TestACardPulledOutWithDeliveredSecrets: SET TRIES makes the PIN the factory's; an
// interruption after it must not lose a card that came with another one.
func TestACardPulledOutWithDeliveredSecrets(t *testing.T) {
	h := open(t)
	h.blank(true, nil)
	h.files["given"] = "management " + hex.EncodeToString([]byte("the key of another house")) + "\npin 903812\n"
	h.ok("stock", "--label", "0001", "--given", "given")
	for cut := 1; ; cut++ {
		h.cut = cut
		if cut > 100 {
			t.Fatal("it never ends")
		}
		if _, err := h.run("personalise", "s2600001"); err == nil {
			break
		}
		h.in.Reset()
	}
	h.cut = 0
	h.must(h.signs(h.letter("0001")))
	if key := h.in.ManagementKey(); slices.Equal(key, []byte("the key of another house")) {
		t.Error("a card that can change its key kept the maker's")
	}
}
