// Package logintest builds a whole small house for tests: real rooms on a real
// database, a policy with a campus, people with passwords, and a browser. Tests of
// the hall, the fronts and the desks start here instead of pretending.
package logintest

import (
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/card"
	"seimon/internal/desk/certdoor"
	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/factor/clientcert"
	"seimon/internal/factor/mailcode"
	"seimon/internal/factor/password"
	"seimon/internal/factor/totp"
	"seimon/internal/jobs"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/lang"
	"seimon/internal/login"
	"seimon/internal/login/signout"
	"seimon/internal/mail"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
	"seimon/internal/throttle"
	"seimon/internal/web"
)

// Origin is where the house of a test lives.
const Origin = "https://sso.example.ac.jp"

// Password is the password of everybody in a test house.
const Password = "kawa-no-nagare-42-shizuka"

// Addresses in the networks of the test policy.
const (
	Campus   = "10.1.2.3"
	Eduroam  = "192.0.2.77"
	Home     = "203.0.113.9"
	Campus6  = "2001:db8:1::7"
	Foreign6 = "2001:db8:ffff::7"
)

// Policy is the policy of a test house: library needs a password anywhere, webmail
// a second step off campus, payroll always two classes and fresh.
const Policy = `
[[zone]]
name = "main-lan"
kind = "campus"
ranges = ["10.0.0.0/8", "2001:db8:1::/48"]

[[zone]]
name = "eduroam"
kind = "eduroam"
ranges = ["192.0.2.0/24"]

[[rule]]
name = "everything off campus"
classes = 2
trusted_browser = true

[[rule]]
name = "everything on campus"
zones = ["on-campus"]
classes = 1

[[rule]]
name = "library"
service = "library"
classes = 1

[[rule]]
name = "library on campus"
service = "library"
zones = ["on-campus"]
classes = 1

[[rule]]
name = "payroll"
service = "payroll"
classes = 2
fresh = "5m"

[[rule]]
name = "notices"
service = "notices"
kinds = ["mailcode", "totp"]

[enrolment]
zones = ["on-campus"]
classes = 2

[trusted_browser]
days = 7
`

// House is a whole house on a test database.
type House struct {
	T        testing.TB
	DB       *store.DB
	Clock    *storetest.Clock
	Words    *lang.Words
	Ring     *keyring.Ring
	Site     *web.Site
	Jobs     *jobs.Board
	Audit    *audit.Log
	Policy   *policy.Book
	People   *directory.Directory
	Sessions *session.Keeper
	Parties  *rp.Book
	Throttle *throttle.Throttle
	Bindings *factor.Bindings
	Outbox   *mail.Memory
	Mail     *mail.Queue
	Factors  factor.Set
	Hall     *login.Hall
	Exit     *signout.Exit
	CA       *ca.Authority // not founded before Certificate or Found
	Trust    *trust.Trust
	Cards    *card.Book
	Tries    *clientcert.Attempts
	Door     *certdoor.Door

	strangers atomic.Uint32
}

// Stranger is the address and port of a client that nobody has met, another one at each
// call: what one source may put on record is bounded.
func (h *House) Stranger() string {
	n := h.strangers.Add(1)
	return netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}).String() + ":40000" // RFC 2544
}

// Schemas are the tables of every room of a house.
func Schemas() []store.Schema {
	return []store.Schema{
		policy.Schema(), throttle.Schema(), audit.Schema(), mail.Schema(), jobs.Schema(), keyring.Schema(),
		directory.Schema(), session.Schema(), rp.Schema(), factor.Schema(), login.Schema(), mailcode.Schema(),
		ca.Schema(), trust.Schema(), card.Schema(), clientcert.Schema(),
	}
}

// Words are the words of every room of a house.
func Words() []lang.Source {
	return []lang.Source{
		web.Words(), mail.Words(), session.Words(), rp.Words(), diagnosis.Words(),
		password.Words(), totp.Words(), mailcode.Words(), login.Words(), signout.Words(),
		clientcert.Words(), certdoor.Words(),
	}
}

// New builds a house. More schemas and words come from the rooms under test.
func New(t testing.TB, schemas []store.Schema, words []lang.Source) *House {
	t.Helper()
	h := &House{T: t}
	h.DB, h.Clock = storetest.Open(t, append(Schemas(), schemas...)...)
	h.Words = h.words(append(Words(), words...))
	h.Ring = keyringtest.Open(t, h.DB, []byte("0123456789abcdef0123456789abcdef"))
	var err error
	h.Site, err = web.New(web.Config{Origin: Origin, Words: h.Words, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})), Brand: web.Brand{
		Name: map[lang.Tag]string{lang.JA: "正門大学", lang.EN: "Seimon University"},
		Help: map[lang.Tag]string{lang.JA: "ヘルプデスク 内線1234", lang.EN: "Help desk, extension 1234"},
	}})
	h.must(err)
	h.Jobs = jobs.New(h.DB, "test")
	h.Audit = audit.New(h.DB, func(data []byte) []byte { return h.Ring.MAC("audit", data) })
	h.Policy = policy.NewBook(h.DB)
	h.People = directory.New(h.DB, directory.Campus{Claims: directory.Claims{REFEDS: true, IAL2: true}})
	h.Sessions = session.New(session.Config{}, h.Jobs)
	h.Parties = rp.New(h.DB, h.Ring.MAC)
	h.Throttle = throttle.New(throttle.Limits{Kinds: map[authn.Kind]throttle.Limit{clientcert.Kind: clientcert.Tries()}})
	h.Bindings = factor.NewBindings(h.DB, h.Ring)
	h.Outbox = &mail.Memory{}
	h.Mail, err = mail.New(h.DB, h.Words, h.Ring, mail.Config{
		From: "gate@example.ac.jp", Origin: Origin, Transport: h.Outbox,
		University: map[lang.Tag]string{lang.JA: "正門大学", lang.EN: "Seimon University"},
	})
	h.must(err)
	h.authority()
	h.factors()
	h.Hall, err = login.New(login.Rooms{
		DB: h.DB, Site: h.Site, Policy: h.Policy, People: h.People, Sessions: h.Sessions, Parties: h.Parties,
		Throttle: h.Throttle, Audit: h.Audit, Bindings: h.Bindings, Factors: h.Factors, Mail: h.Mail, Ring: h.Ring, Words: h.Words,
	})
	h.must(err)
	h.Site.Failed(h.Hall.Failed)
	h.door()
	h.Exit, err = signout.New(signout.Rooms{
		DB: h.DB, Site: h.Site, Sessions: h.Sessions, Parties: h.Parties, Audit: h.Audit, Ring: h.Ring, Hall: h.Hall,
	})
	h.must(err)
	for _, id := range []string{"library", "webmail", "payroll", "notices"} {
		h.Party(rp.Party{
			ID: id, Protocol: "test", Names: map[lang.Tag]string{lang.JA: id + "（日本語）", lang.EN: id},
			HomeURL: "https://" + id + ".example.ac.jp/", Consent: rp.ConsentNone,
			Release: []rp.Release{{Attribute: "mail"}},
		})
	}
	h.Apply(Policy)
	return h
}

//nolint:gochecknoglobals // nothing changes the words of a test house, and reading them takes long
var spoken sync.Map // *lang.Words, by the rooms that bring them

// words reads what these rooms say, once for all houses of a test program.
func (h *House) words(rooms []lang.Source) *lang.Words {
	h.T.Helper()
	var names strings.Builder
	for _, r := range rooms {
		names.WriteString(r.Room + " ")
	}
	if w, ok := spoken.Load(names.String()); ok {
		return w.(*lang.Words)
	}
	w, err := lang.New(time.FixedZone("Asia/Tokyo", 9*3600), rooms...)
	h.must(err)
	spoken.Store(names.String(), w)
	return w
}

// factors sets up the kinds, the password cheap enough for tests.
func (h *House) factors() {
	h.Factors = factor.Set{
		password.New(password.Config{Memory: 64, Time: 1, Threads: 1, Parallel: 4}, h.Bindings),
		totp.New(totp.Config{Issuer: "正門大学"}, h.Bindings),
		mailcode.New(mailcode.Config{Behind: []string{"example.ac.jp"}}, h.Bindings, h.Mail, h.Ring),
		clientcert.New(clientcert.Rooms{
			Attempts: h.Tries, Bindings: h.Bindings, Judge: h.Trust, People: registrar{h.People}, Cards: h.Cards, Start: certdoor.Path, Zone: time.FixedZone("JST", 9*3600),
		}),
	}
	h.must(h.Site.Templates(clientcert.Templates()))
	h.must(h.Site.Templates(password.Templates()))
	h.must(h.Site.Templates(totp.Templates()))
	h.must(h.Site.Templates(mailcode.Templates()))
}

func (h *House) must(err error) {
	h.T.Helper()
	if err != nil {
		h.T.Fatal(err)
	}
}

// Write runs fn in a transaction that must succeed.
func (h *House) Write(fn func(tx *store.Tx) error) {
	h.T.Helper()
	h.must(h.DB.Write(h.T.Context(), fn))
}

// Apply makes a policy document the one in force.
func (h *House) Apply(text string) {
	h.T.Helper()
	h.Write(func(tx *store.Tx) error {
		_, err := h.Policy.Apply(tx, "test", "policy.toml", []byte(text), func(string) bool { return true })
		return err
	})
}

// Party registers a service.
func (h *House) Party(p rp.Party) {
	h.T.Helper()
	h.Write(func(tx *store.Tx) error { return h.Parties.Put(tx, p) })
}

// Person adds an active student with the test password and a verified address.
func (h *House) Person(userName string) directory.Account {
	h.T.Helper()
	var account directory.Account
	h.Write(func(tx *store.Tx) (err error) {
		account, _, err = h.People.Add(tx, directory.Person{
			Name: directory.Names{Family: "山田", Given: "太郎", FamilyKana: "ヤマダ", GivenKana: "タロウ", FamilyLatin: "Yamada", GivenLatin: "Taro"},
			Mail: userName + "@example.ac.jp", MailVerified: tx.Now, Lang: lang.JA, Notices: directory.NoticeNew,
		}, directory.Account{
			UserName: userName, Kind: "student", State: directory.Active,
			Groups: []string{"student"}, Affiliations: []string{"student"},
		})
		return err
	})
	b, err := h.Factors.Of("password").(*password.Factor).Prepare(h.T.Context(), account.ID, Password, h.Clock.Now())
	h.must(err)
	h.Write(func(tx *store.Tx) error {
		_, err := h.Bindings.Add(tx, b)
		return err
	})
	return account
}

// Kinds lists the kinds of an account's active bindings.
func (h *House) Kinds(account authn.AccountID) []authn.Kind {
	h.T.Helper()
	var out []authn.Kind
	h.must(h.DB.Read(h.T.Context(), func(tx *store.Tx) error {
		out = nil
		all, err := h.Bindings.Of(tx, account)
		for _, b := range all {
			if b.State == factor.Active {
				out = append(out, b.Kind)
			}
		}
		return err
	}))
	return out
}

// Secret is the secret of every one-time password app in a test house.
const Secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

// App registers a one-time password app for an account.
func (h *House) App(account authn.AccountID) {
	h.T.Helper()
	b, err := totp.Import(totp.Config{}, account, "電話", Secret, h.Clock.Now())
	h.must(err)
	h.Write(func(tx *store.Tx) error {
		_, err := h.Bindings.Add(tx, b)
		return err
	})
}

// Code is what the account's app shows when its clock is off by so much.
func (h *House) Code(account authn.AccountID, off time.Duration) string {
	h.T.Helper()
	var code string
	h.must(h.DB.Read(h.T.Context(), func(tx *store.Tx) error {
		all, err := h.Bindings.Of(tx, account)
		for _, b := range all {
			if b.Kind == totp.Kind && b.State == factor.Active {
				code, _, err = totp.CodeAt(b, tx.Now.Add(off))
			}
		}
		return err
	}))
	return code
}
