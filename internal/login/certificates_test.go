package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// words of the pages on the way to a certificate.
func (v *tour) say(ja, en string) string {
	if v.tag == lang.JA {
		return ja
	}
	return en
}

// choose presses the button of the page and answers at the host that it leads to.
func (v *tour) choose(chain ...*x509.Certificate) {
	v.T.Helper()
	button := v.say("証明書を選ぶ", "Choose a certificate")
	if !strings.Contains(v.Text(), button) {
		button = v.say("もう一度選ぶ", "Choose again")
	}
	v.Click(button)
	if !v.Left() || !strings.HasSuffix(v.URL.Host, "."+logintest.CertHost) {
		v.T.Fatalf("the button leads to %s", v.Location())
	}
	v.Get(v.Show(v.Location(), chain...))
	if strings.Contains(v.Location(), "back=") {
		v.T.Errorf("the code stays in the address: %s", v.Location())
	}
	v.next()
}

// certified signs in from home and shows a certificate as the second step.
func (v *tour) certified(chain ...*x509.Certificate) {
	v.T.Helper()
	v.from(logintest.Home).signIn("webmail", student, logintest.Password)
	v.choose(chain...)
}

// other is another person's account.
func (v *tour) other() directory.Account { return v.Person("s7654321") }

// second is another account of the same person.
func (v *tour) second() directory.Account {
	var out directory.Account
	v.Write(func(tx *store.Tx) error {
		_, person, err := v.People.ByID(tx, v.account.ID)
		if err != nil {
			return err
		}
		err = v.People.AddMany(tx, []directory.Entry{{
			Account: directory.Account{UserName: "m1234567", Kind: "student", State: directory.Active, Groups: []string{"student"}},
			Person:  person,
		}})
		if err != nil {
			return err
		}
		out, _, err = v.People.ByUserName(tx, "m1234567")
		return err
	})
	return out
}

// template is a stranger's certificate.
func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(0x1234), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// made makes a certificate by the key of parent, or by its own when there is none.
func (v *tour) made(t, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	v.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err == nil && parent == nil {
		parent, by = t, key
	}
	var der []byte
	if err == nil {
		der, err = x509.CreateCertificate(rand.Reader, t, parent, key.Public(), by)
	}
	var c *x509.Certificate
	if err == nil {
		c, err = x509.ParseCertificate(der)
	}
	if err != nil {
		v.T.Fatal(err)
	}
	return c, key
}

// strange is a certificate of another house.
func (v *tour) strange(change func(*x509.Certificate)) *x509.Certificate {
	v.T.Helper()
	root := template("Somebody's CA")
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage, root.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	parent, key := v.made(root, nil, nil)
	leaf := template("Stranger")
	if change != nil {
		change(leaf)
	}
	c, _ := v.made(leaf, parent, key)
	return c
}

// onCard puts a certificate of the account on a card in a state.
func (v *tour) onCard(state string) ca.Certificate {
	v.T.Helper()
	c := v.Certificate(v.account, func(o *ca.Order) { o.Profile, o.Label, o.Card = ca.CardProfile, "IC card", "card_1" })
	v.Write(func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO card_card (id, serial, label, state, since, why, by_whom, account, person, certificate, algorithm, public_key,
			pin, pin_mac, pin_made, printed, puk, tries, seen, replaces, replaced_by, used, created)
			VALUES ('card_1', 'Y1', '', $1, $2, '', 'desk', $3, $4, $5, 'P-256', $6, $6, $6, 0, 0, $6, -1, 0, '', '', 0, $2)`,
			state, store.Millis(tx.Now), string(v.account.ID), string(v.account.Person), c.ID, []byte{})
		return err
	})
	return c
}

// reads is the desk's reader with the card in it.
func (v *tour) reads(c ca.Certificate, tries int) {
	v.Write(func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE card_card SET tries = $1, seen = $2 WHERE certificate = $3", tries, store.Millis(tx.Now), c.ID)
		return err
	})
}

// breaks signs in up to the certificate; the connection there breaks while its person
// types a PIN, and the browser comes back.
func (v *tour) breaks() {
	v.T.Helper()
	v.from(logintest.Home).signIn("webmail", student, logintest.Password)
	page := v.Location()
	v.Click(v.say("証明書を選ぶ", "Choose a certificate"))
	v.strand(20 * time.Second)
	v.Get(page)
	v.next()
}

// strand ends a connection of the try at hand some time after it was asked.
func (v *tour) strand(after time.Duration) {
	v.T.Helper()
	label, _, _ := strings.Cut(v.URL.Host, ".")
	asked := v.DB.Now()
	v.Clock.Add(after)
	v.Write(func(tx *store.Tx) error {
		_, err := v.Tries.Stranded(tx, label, asked)
		return err
	})
}

func (v *tour) revoke(c ca.Certificate, why ca.Reason) {
	v.Write(func(tx *store.Tx) error {
		_, err := v.CA.Revoke(tx, c.ID, why, "desk")
		return err
	})
}

func certificateScenarios() []scenario {
	return []scenario{
		{"accepted", "", func(v *tour) { v.certified(v.Certificate(v.account).Parsed()) }, nil, nil},
		{"C1", "C1", func(v *tour) {
			c := v.Certificate(v.account)
			v.certified()
			v.Want(c.Name, c.Tail())
		}, []string{"証明書が選ばれませんでした。", "もう一度選ぶ"}, []string{"No certificate was chosen.", "Choose again"}},
		{"C1, then again", "", func(v *tour) {
			c := v.Certificate(v.account)
			v.certified()
			v.choose(c.Parsed())
		}, nil, nil},
		{"C2", "C2", func(v *tour) {
			c, mine := v.Certificate(v.other()), v.Certificate(v.account)
			v.certified(c.Parsed())
			v.Want(c.Tail(), mine.Tail())
		}, []string{"ほかの人のアカウントのものです"}, []string{"belongs to another person's account"}},
		{"C2 own", "C2.own", func(v *tour) {
			v.Certificate(v.account)
			v.certified(v.Certificate(v.second()).Parsed())
		}, []string{"あなたの別のアカウントのものです"}, []string{"belongs to your other account"}},
		{"C3", "C3", func(v *tour) {
			old := v.Certificate(v.account, func(o *ca.Order) { o.Life = 24 * time.Hour })
			v.Clock.Add(72 * time.Hour)
			mine := v.Certificate(v.account)
			v.certified(old.Parsed())
			v.Want(old.Tail(), mine.Tail())
		}, []string{"2026年4月7日", "期限が切れました"}, []string{"expired on", "7 April 2026"}},
		{"C3 not offered", "C3", func(v *tour) {
			old := v.Certificate(v.account, func(o *ca.Order) { o.Life = 24 * time.Hour })
			v.Clock.Add(72 * time.Hour)
			v.certified()
			v.Want(old.Tail())
		}, []string{"期限が切れました", "新しい証明書を発行してください"}, []string{"expired on", "Issue a new certificate"}},
		{"C4", "C4", func(v *tour) {
			lost := v.Certificate(v.account)
			v.Certificate(v.account)
			v.revoke(lost, ca.KeyCompromise)
			v.certified(lost.Parsed())
		}, []string{"失効しました", "ほかの人の手に渡ったおそれ", "2026年4月6日"}, []string{"was revoked on", "other hands", "6 April 2026"}},
		{"C4 hold", "C4", func(v *tour) {
			c := v.Certificate(v.account)
			v.Certificate(v.account)
			v.revoke(c, ca.Hold)
			v.certified(c.Parsed())
		}, []string{"2026年4月6日(月)から一時停止中です"}, []string{"is on hold since Mon, 6 April 2026"}},
		{"C5", "C5", func(v *tour) {
			old := v.Certificate(v.account)
			v.Clock.Add(10 * 24 * time.Hour)
			mine := v.Certificate(v.account)
			v.Apply(logintest.Policy + "[clientcert]\ncut_off = \"2026-04-10\"\n")
			v.certified(old.Parsed())
			v.Want(mine.Tail()).Refuse("番号の終わりは "+old.Tail()+" です", "The number ends in "+old.Tail())
		}, []string{"2026年4月10日", "より前に発行された証明書は、もう使えません"}, []string{"issued before Fri, 10 April 2026 no longer count"}},
		{"C6", "C6", func(v *tour) {
			c := v.Certificate(v.account, func(o *ca.Order) { o.Holder.Mail = "taro.yamada@old.example.ac.jp" })
			v.certified(c.Parsed())
			v.Refuse("選べるものは", "what you may choose") // it would be refused again
		}, []string{"taro.yamada@old.example.ac.jp", "今のあなたのアドレスではありません", "自分の証明書"}, []string{"taro.yamada@old.example.ac.jp", "no longer yours", "My certificates"}},
		{"C6 with its day", "C6", func(v *tour) {
			c := v.Certificate(v.account)
			v.Clock.Add(24 * time.Hour)
			v.Write(func(tx *store.Tx) error {
				_, p, err := v.People.ByID(tx, v.account.ID)
				if err != nil {
					return err
				}
				return v.People.SetMail(tx, p.ID, directory.UseMail, "yamada.taro@example.ac.jp")
			})
			v.Clock.Add(72 * time.Hour)
			v.certified(c.Parsed())
		}, []string{"あなたのアドレスは2026年4月7日", "変わりました", "発行しなおせます"}, []string{"Your address changed on", "7 April 2026", "Issue it again"}},
		{"C7 unknown", "C7.unknown", func(v *tour) {
			v.Certificate(v.account)
			v.certified(v.strange(nil))
		}, []string{"Somebody's CA", "受けつけていません"}, []string{"Somebody's CA", "not accepted here"}},
		{"C7 self-signed", "C7.self", func(v *tour) {
			v.Certificate(v.account)
			c, _ := v.made(template("Me"), nil, nil)
			v.certified(c)
		}, []string{"自分で作った証明書"}, []string{"made for themselves"}},
		{"C7 server", "C7.server", func(v *tour) {
			v.Certificate(v.account)
			v.certified(v.strange(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }))
		}, []string{"サーバーの証明書"}, []string{"certificate of a server"}},
		{"C8", "C8", func(v *tour) {
			old := v.Certificate(v.account)
			next := v.Certificate(v.account, func(o *ca.Order) { o.Replaces = old.ID })
			v.from(logintest.Home).signIn("webmail", student, logintest.Password)
			v.Want(next.Tail()).Refuse(old.Tail())
			v.choose(old.Parsed())
			v.Want(next.Tail())
		}, []string{"新しいものに替わっています"}, []string{"A newer certificate took the place"}},
		{"K accepted", "", func(v *tour) { v.certified(v.onCard("active").Parsed()) }, nil, nil},
		{"K1", "K1", func(v *tour) {
			v.onCard("active")
			v.certified()
		}, []string{"カードが見つかりません", "ICチップを上にして", "リーダーのランプ"}, []string{"No card was seen", "chip up and first", "light of the reader"}},
		{"K1 card needed", "K1.card", func(v *tour) {
			v.Apply(logintest.Policy + "\n[[rule]]\nname = \"vault\"\nservice = \"vault\"\nhardware_bound = true\n")
			v.Party(rp.Party{ID: "vault", Protocol: "test", Names: map[lang.Tag]string{lang.JA: "金庫"}, Consent: rp.ConsentNone})
			v.onCard("active")
			soft := v.Certificate(v.account)
			v.from(logintest.Home).signIn("vault", student, logintest.Password)
			v.choose(soft.Parsed())
		}, []string{"ICカードが必要です"}, []string{"asks for an IC card"}},
		{"K1 and a file", "K1.both", func(v *tour) {
			v.onCard("active")
			v.Certificate(v.account)
			v.certified()
		}, []string{"証明書が選ばれず、カードも見つかりませんでした"}, []string{"No certificate was chosen, and no card was seen"}},
		{"C1 broken", "C1.broken", func(v *tour) {
			c := v.Certificate(v.account)
			v.breaks()
			v.Want(c.Tail())
		}, []string{"ブラウザーが接続を切りました", "もう一度選ぶ"}, []string{"Your browser broke off", "Choose again"}},
		{"K2", "K2", func(v *tour) {
			v.onCard("active")
			v.breaks()
		}, []string{"カードが受けつけませんでした", "半角", "もう一度選ぶ"}, []string{"The card refused", "half-width", "Choose again"}},
		{"K2 with a reading", "K2", func(v *tour) {
			v.reads(v.onCard("active"), 4)
			v.breaks()
		}, []string{"2026年4月6日", "あと 4 回", "10回まちがえると"}, []string{"6 April 2026", "4 tries were left", "ten wrong PINs"}},
		{"K2, then again", "", func(v *tour) {
			c := v.onCard("active")
			v.breaks()
			v.choose(c.Parsed())
		}, nil, nil},
		{"K3", "K3", func(v *tour) {
			v.reads(v.onCard("active"), 0)
			v.breaks()
		}, []string{"ロックされています", "2026年4月6日", "窓口"}, []string{"The card is locked", "6 April 2026", "desk"}},
		{"K3 offered nothing", "K3", func(v *tour) {
			v.reads(v.onCard("active"), 0)
			v.certified()
		}, []string{"ロックされています", "窓口"}, []string{"The card is locked", "desk"}},
		{"K4 suspended", "K4.suspended", func(v *tour) { v.certified(v.onCard("suspended").Parsed()) },
			[]string{"一時停止しています", "2026年4月6日", "窓口"}, []string{"suspended since", "6 April 2026", "desk"}},
		{"K4 lost", "K4.lost", func(v *tour) {
			c := v.onCard("lost")
			v.revoke(c, ca.KeyCompromise)
			v.Certificate(v.account)
			v.certified(c.Parsed())
		}, []string{"紛失の届け"}, []string{"reported as lost"}},
		{"K4 replaced", "K4.replaced", func(v *tour) { v.certified(v.onCard("replaced").Parsed()) },
			[]string{"新しいカードに替わりました"}, []string{"Another card took the place"}},
		{"K4 returned", "K4.returned", func(v *tour) { v.certified(v.onCard("returned").Parsed()) },
			[]string{"返されたものです"}, []string{"was given back"}},
	}
}

func TestCertificatesExplainThemselves(t *testing.T) {
	for _, s := range certificateScenarios() {
		for _, tag := range []lang.Tag{lang.JA, lang.EN} {
			t.Run(s.id+" "+string(tag), func(t *testing.T) { explains(t, s, tag) })
		}
	}
}

// TestChoosingWronglyIsNoGuessing: nobody is locked out for pressing Cancel.
func TestChoosingWronglyIsNoGuessing(t *testing.T) {
	v := firstTour(t, logintest.Policy)
	c := v.Certificate(v.account)
	v.certified()
	for range 20 {
		v.choose()
		v.Want("証明書が選ばれませんでした。")
	}
	v.choose(c.Parsed())
	v.arrived(v.Browser, "webmail", student)
}

// TestTheRightOneIsTheOneInUse: of several certificates the page names the one that
// signed in last, and before any did the one that lasts longest.
func TestTheRightOneIsTheOneInUse(t *testing.T) {
	v := firstTour(t, logintest.Policy)
	laptop := v.Certificate(v.account)
	phone := v.Certificate(v.account, func(o *ca.Order) { o.Label, o.Life = "phone", 10*24*time.Hour })
	v.certified()
	v.Want("番号の終わりが " + laptop.Tail() + " の")
	v.choose(phone.Parsed())
	v.arrived(v.Browser, "webmail", student)
	again := &tour{gate: v.gate, Browser: v.browser(logintest.Home), tag: lang.JA, account: v.account}
	again.certified()
	again.Want("番号の終わりが " + phone.Tail() + " の")
}

// TestABrowsersOwnLookIsNoRefusal: Chromium breaks off when it is asked, shows its
// window and connects again.
func TestABrowsersOwnLookIsNoRefusal(t *testing.T) {
	v := firstTour(t, logintest.Policy)
	c := v.onCard("active")
	v.from(logintest.Home).signIn("webmail", student, logintest.Password)
	page := v.Location()
	v.Click("証明書を選ぶ")
	host := v.Location()
	v.strand(20 * time.Millisecond)
	v.strand(20 * time.Millisecond) // and a connection in reserve
	v.Get(page).Want("前回は、このページにもどってきませんでした").Refuse("カードが受けつけませんでした")
	v.Get(v.Show(host, c.Parsed()))
	v.next()
	v.arrived(v.Browser, "webmail", student)
}

// TestARefusalIsToldBeforeTheNextTry: ten wrong PINs lock a card, so nobody goes on to
// the next without having read why.
func TestARefusalIsToldBeforeTheNextTry(t *testing.T) {
	v := firstTour(t, logintest.Policy)
	c := v.onCard("active")
	v.from(logintest.Home).signIn("webmail", student, logintest.Password)
	button := ""
	for _, a := range v.Page().All("a") {
		if strings.HasPrefix(a.Attr["href"], "/certificate/") {
			button = a.Attr["href"]
		}
	}
	v.Get(button)
	v.strand(20 * time.Millisecond)
	v.Clock.Add(20 * time.Second) // the window, the choice, and the card that refuses at once
	v.strand(20 * time.Millisecond)
	v.Get(button)
	if v.Left() {
		t.Fatalf("the browser was sent to another try: %s", v.Location())
	}
	v.next()
	v.Want("カードが受けつけませんでした")
	v.desk("K2")
	v.choose(c.Parsed())
	v.arrived(v.Browser, "webmail", student)
}

// TestABrokenTryOfAnotherSignInTellsNothing: the name of a try is worth nothing elsewhere.
func TestABrokenTryOfAnotherSignInTellsNothing(t *testing.T) {
	v := firstTour(t, logintest.Policy)
	v.onCard("active")
	v.from(logintest.Home).signIn("webmail", student, logintest.Password)
	v.Click("証明書を選ぶ")
	label, _, _ := strings.Cut(v.URL.Host, ".")
	v.strand(20 * time.Second)
	other := &tour{gate: v.gate, Browser: v.browser(logintest.Home), tag: lang.JA, account: v.account}
	other.signIn("webmail", student, logintest.Password)
	other.Post(other.URL.Path, url.Values{"pass": {other.Field("pass")}, "kind": {"clientcert"}, "try": {label}}).
		Want("間に合わなかった").Refuse("カードが受けつけませんでした")
}

// TestRevokingEndsWhatRestsOnIt: in the same moment, in the browser that stands open.
func TestRevokingEndsWhatRestsOnIt(t *testing.T) {
	v := firstTour(t, first)
	c := v.Certificate(v.account)
	v.certified(c.Parsed())
	v.arrived(v.Browser, "webmail", student)
	v.Get("/enter/webmail")
	v.arrived(v.Browser, "webmail", student)
	v.revoke(c, ca.KeyCompromise)
	v.Get("/enter/webmail").Want("ユーザー名")
	v.without("webmail", c.Parsed())
	v.Want("失効しました")
}

// TestRemovingACertificateFirstSavesNoSession: whoever sits in a session that rests on a
// stolen certificate takes it, and others after it, out of the sign-in methods, so that
// the revocation finds nothing.
func TestRemovingACertificateFirstSavesNoSession(t *testing.T) {
	v := firstTour(t, first)
	c := v.Certificate(v.account)
	v.certified(c.Parsed())
	v.arrived(v.Browser, "webmail", student)
	v.Certificate(v.account)
	v.Certificate(v.account)
	for range 4 {
		v.Write(func(tx *store.Tx) error {
			all, err := v.Bindings.Of(tx, v.account.ID)
			for _, b := range all {
				if b.Kind == "clientcert" && err == nil {
					err = v.Bindings.Remove(tx, b.ID)
				}
			}
			return err
		})
		spare := v.Certificate(v.account)
		v.revoke(spare, ca.CessationOfOperation)
	}
	v.Get("/enter/webmail")
	v.arrived(v.Browser, "webmail", student)
	v.revoke(c, ca.KeyCompromise)
	v.Get("/enter/webmail").Want("ユーザー名")
}

// TestRevokedBetweenAnswerAndEnd: the row decides at the moment that counts.
func TestRevokedBetweenAnswerAndEnd(t *testing.T) {
	v := firstTour(t, logintest.Policy)
	c := v.Certificate(v.account)
	v.Certificate(v.account)
	v.signIn("webmail", student, logintest.Password)
	v.Click("証明書を選ぶ")
	v.Get(v.Show(v.Location(), c.Parsed()))
	v.revoke(c, ca.KeyCompromise)
	v.next()
	if v.Left() {
		t.Fatal("a revoked certificate signed in")
	}
	v.Want("失効しました")
}

// TestAProofDoesNotOutliveItsCertificate: whoever stopped at a later page of the sign-in
// does not come in with a certificate that was revoked meanwhile, or with a card that
// was reported lost.
func TestAProofDoesNotOutliveItsCertificate(t *testing.T) {
	const terms = "\n[agreement]\nversion = \"1\"\nja = \"利用規約の本文\"\nen = \"The terms\"\n"
	for _, leading := range []bool{true, false} {
		policy := logintest.Policy
		if leading {
			policy = first
		}
		v := firstTour(t, policy)
		c := v.Certificate(v.account, func(o *ca.Order) { o.Profile, o.Label, o.Card = ca.CardProfile, "IC card", "card_1" })
		if leading {
			v.without("webmail", c.Parsed())
			v.Clock.Add(30 * 24 * time.Hour)
			v.Apply(policy + terms) // in a browser that knows its owner the agreement follows the proof
			v.without("webmail", c.Parsed())
		} else {
			v.Apply(policy + terms)
			v.certified(c.Parsed())
		}
		v.Want("利用規約の本文")
		v.revoke(c, ca.KeyCompromise)
		v.Submit("同意して進む", "agree", "1")
		if v.Left() {
			t.Fatalf("leading %v: a certificate that was revoked before the end signed in", leading)
		}
		v.Get("/enter/library")
		if v.Left() {
			t.Errorf("leading %v: there is a session", leading)
		}
	}
}

// first is a policy under which a certificate may come before the user name.
const first = logintest.Policy + "\n[clientcert]\nfirst = true\n"

// lead opens the page of a service and goes on to a certificate instead of a name.
func (v *tour) lead(party string) {
	v.T.Helper()
	v.Get("/enter/" + party)
	v.Click(v.say("クライアント証明書かICカードを使う", "Use a certificate or IC card"))
}

// without shows a certificate instead of a name.
func (v *tour) without(party string, chain ...*x509.Certificate) {
	v.T.Helper()
	v.lead(party)
	v.choose(chain...)
}

// TestTheAgreementComesBeforeTheCard: where nobody has signed in yet, the agreement is
// read before the card is shown, and is not asked for again after it.
func TestTheAgreementComesBeforeTheCard(t *testing.T) {
	v := firstTour(t, first+"\n[agreement]\nversion = \"1\"\nja = \"利用規約の本文\"\nen = \"The terms\"\n")
	c := v.onCard("active")
	v.lead("webmail")
	for _, answer := range [][]string{nil, {"agree", "1", "version", "0"}} { // not ticked; another text
		v.Want("利用規約の本文").Refuse("証明書を選ぶ")
		v.Submit("同意して進む", answer...)
	}
	v.Want("利用規約の本文", "パスワードを使う")
	v.Submit("同意して進む", "agree", "1")
	v.choose(c.Parsed())
	v.arrived(v.Browser, "webmail", student)
	if got := v.agreed(); got != "1" {
		t.Errorf("the account agreed to %q", got)
	}

	v.Clock.Add(30 * 24 * time.Hour) // the browser is known now; who has agreed is not asked
	v.without("webmail", c.Parsed())
	v.arrived(v.Browser, "webmail", student)

	// Whoever only types a name agrees for nobody.
	stranger := tour{gate: v.gate, Browser: v.browser(logintest.Home), tag: lang.JA, account: v.Person("s2600002")}
	stranger.Get("/enter/webmail")
	stranger.Submit("次へ", "username", "s2600002")
	for _, kind := range []string{"", "password"} {
		form := url.Values{"pass": {stranger.Field("pass")}, "agree": {"1"}, "version": {"1"}}
		if kind != "" {
			form.Set("kind", kind)
		}
		stranger.Post(stranger.Location(), form)
	}
	if got := stranger.agreed(); got != "" {
		t.Errorf("a stranger agreed to %q for somebody", got)
	}

	other := tour{gate: v.gate, Browser: v.browser(logintest.Home), tag: lang.JA, account: v.account}
	other.lead("webmail")
	other.Want("利用規約の本文")
	other.Click("パスワードを使う")
	other.Want("ユーザー名")
}

// agreed is the version of the agreement that the owner of the tour's account accepted.
func (v *tour) agreed() (version string) {
	v.T.Helper()
	err := v.DB.Read(v.T.Context(), func(tx *store.Tx) error {
		a, _, err := v.People.ByID(tx, v.account.ID)
		version = a.AgreedVersion
		return err
	})
	if err != nil {
		v.T.Fatal(err)
	}
	return version
}

func firstTour(t *testing.T, policy string) *tour {
	g := open(t)
	g.Apply(policy)
	return &tour{gate: g, Browser: g.browser(logintest.Home), tag: lang.JA, account: g.Person(student)}
}

func TestACardComesBeforeTheName(t *testing.T) {
	v := firstTour(t, first)
	c := v.onCard("active")
	v.without("webmail", c.Parsed())
	v.arrived(v.Browser, "webmail", student)
	o := v.front.Last()
	if o.Assurance.Level != authn.AAL3 || strings.Join(o.Assurance.AMR, " ") != "mfa sc" {
		t.Errorf("%+v", o.Assurance)
	}
	v.Get("/enter/payroll")
	v.arrived(v.Browser, "payroll", student)
	v.Clock.Add(10 * time.Minute)
	v.Get("/enter/payroll") // five minutes are over: the card is asked for again, no password
	v.choose(c.Parsed())
	v.arrived(v.Browser, "payroll", student)
}

func TestACertificateInAFileIsOneClass(t *testing.T) {
	v := firstTour(t, first)
	c := v.Certificate(v.account)
	v.without("library", c.Parsed())
	v.arrived(v.Browser, "library", student)
	if a := v.front.Last().Assurance; a.Level != authn.AAL1 || a.AMR[0] != "swk" {
		t.Errorf("%+v", a)
	}
	v.Get("/enter/webmail").Want("としてサインインします") // two classes off campus: now the password
	v.next("password", logintest.Password)
	v.arrived(v.Browser, "webmail", student)
	if a := v.front.Last().Assurance; a.Level != authn.AAL2 {
		t.Errorf("%+v", a)
	}
}

func TestFirstIsOnlyWhereTheRulesSay(t *testing.T) {
	for name, c := range map[string]struct {
		policy  string
		offered bool
	}{
		"not at all":      {logintest.Policy, false},
		"this service":    {first + "first_services = [\"library\"]\n", true},
		"another service": {first + "first_services = [\"webmail\"]\n", false},
		"this place":      {first + "first_zones = [\"off-campus\"]\n", true},
		"another place":   {first + "first_zones = [\"on-campus\"]\n", false},
		"another group":   {"[group.staff]\nja = \"職員\"\nen = \"Staff\"\n" + first + "first_groups = [\"staff\"]\n", true},
		"cards":           {first + "first_card = true\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			v := firstTour(t, c.policy)
			soft := v.Certificate(v.account)
			v.Get("/enter/library")
			if got := strings.Contains(v.Text(), "クライアント証明書かICカードを使う"); got != c.offered {
				t.Fatalf("offered: %v", got)
			}
			if !c.offered {
				return
			}
			v.without("library", soft.Parsed())
			if name == "cards" || name == "another group" {
				// The name is found, and what the rules want first is asked next.
				v.Want("パスワード", student+" としてサインインします。")
				v.next("password", logintest.Password)
			}
			v.arrived(v.Browser, "library", student)
		})
	}
}

// TestBeforeProofEveryNameIsAskedTheSame: what an account has or did shows nowhere.
func TestBeforeProofEveryNameIsAskedTheSame(t *testing.T) {
	v := firstTour(t, first)
	v.Certificate(v.account)
	v.Write(func(tx *store.Tx) error { return v.People.NoteFactor(tx, v.account.ID, "clientcert") })
	page := func(user string) string {
		v.ForgetCookies()
		v.Get("/enter/library")
		v.next("username", user)
		password := v.Text()
		v.Click("クライアント証明書かICカードを使う")
		return supportCode.ReplaceAllString(strings.ReplaceAll(password+v.Text(), user, "NAME"), "CODE")
	}
	if known, unknown := page(student), page("s9999999"); known != unknown {
		t.Errorf("a name that somebody has is asked:\n%s\na name that nobody has:\n%s", known, unknown)
	}
	// Somebody else's certificate tells nothing about the name either.
	judged := func(user string) string {
		other := v.Certificate(v.otherOnce())
		v.ForgetCookies()
		v.Get("/enter/library")
		v.next("username", user)
		v.Click("クライアント証明書かICカードを使う")
		v.choose(other.Parsed())
		return supportCode.ReplaceAllString(strings.NewReplacer(user, "NAME", other.Tail(), "TAIL").Replace(v.Text()), "CODE")
	}
	if known, unknown := judged(student), judged("s9999999"); known != unknown {
		t.Errorf("with another's certificate a known name reads:\n%s\nan unknown one:\n%s", known, unknown)
	}
}

func (v *tour) otherOnce() directory.Account {
	var out directory.Account
	err := v.DB.Read(v.T.Context(), func(tx *store.Tx) (err error) {
		out, _, err = v.People.ByUserName(tx, "s7654321")
		return err
	})
	if err != nil {
		return v.other()
	}
	return out
}

func TestFailuresBeforeTheNameSayOnlyWhatTheCertificateShows(t *testing.T) {
	v := firstTour(t, first)
	old := v.Certificate(v.account, func(o *ca.Order) { o.Life = 24 * time.Hour })
	mine := v.Certificate(v.account)
	v.Clock.Add(72 * time.Hour)
	v.without("library", old.Parsed())
	v.Want("期限が切れました", old.Tail())
	v.Refuse(mine.Tail(), student)
	v.desk("C3")
	v.choose()
	v.Want("証明書が選ばれませんでした。")
	v.Refuse(mine.Tail())
	v.Click("パスワードを使う").Want("ユーザー名")
	v.next("username", student)
	v.next("password", logintest.Password)
	v.arrived(v.Browser, "library", student)
}
