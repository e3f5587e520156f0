package campus

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"seimon/internal/app"
	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/factor/password"
	"seimon/internal/factor/totp"
	"seimon/internal/lang"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/test/walk"
)

// The services: one that a password opens, one that needs a second step, one that
// asks for consent.
const (
	Open    = "open"
	Strict  = "strict"
	Consent = "consent"
)

// Wiki is the address of a service that speaks CAS.
const Wiki = "https://wiki.seimon.test/"

// Services that speak SAML: one whose responses are signed with RSA, one with P-256 as
// soon as there is such a key.
const (
	Library = "https://library.seimon.test/sp"
	Archive = "https://archive.seimon.test/sp"
)

// secret is the client secret of every service.
const secret = "a-client-secret-of-more-than-32-characters"

// Policy lets a password suffice, except for the service "strict".
const policy = `
[[rule]]
name = "a password suffices"
classes = 1

[[rule]]
name = "strict"
service = "strict"
classes = 2
`

// Client gives a service as a test plays it.
func (c *Campus) Client(id string) walk.Client {
	return walk.Client{ID: id, Secret: secret, RedirectURI: "https://" + id + ".seimon.test/callback", Scope: "openid profile email"}
}

// Person gives the person with number n.
func (c *Campus) Person(n int) walk.Person {
	p := walk.Person{User: UserName(n), Password: Password}
	if n < c.Phones {
		p.Code = func() string { return Code(n, time.Now()) }
	}
	return p
}

// phoneSecret is the secret in the app of the person with number n.
func phoneSecret(n int) []byte { return fmt.Appendf(nil, "phone-of-person-%07d", n) }

// Code is what the app of the person with number n shows at a moment.
func Code(n int, at time.Time) string {
	b, err := phone("", n, at)
	if err != nil {
		panic(err) // the secret has the right length
	}
	code, _, err := totp.CodeAt(b, at)
	if err != nil {
		panic(err)
	}
	return code
}

func phone(account authn.AccountID, n int, at time.Time) (factor.Binding, error) {
	return totp.Import(totp.Config{}, account, "phone", base32.StdEncoding.EncodeToString(phoneSecret(n)), at)
}

// fill registers services, rules and people.
func (c *Campus) fill(ctx context.Context, h *app.House) error {
	err := h.DB.Write(ctx, func(tx *store.Tx) error {
		for _, id := range []string{Open, Strict, Consent} {
			if err := c.register(tx, h, id); err != nil {
				return err
			}
		}
		err := h.Parties.Put(tx, rp.Party{
			ID: "wiki", Protocol: "cas", Names: map[lang.Tag]string{lang.EN: "Wiki"}, Consent: rp.ConsentNone,
			Registration: json.RawMessage(`{"addresses": ["` + Wiki + `"]}`),
			Release:      []rp.Release{{Attribute: "displayName"}, {Attribute: "userName", Required: true}, {Attribute: "mail"}},
		})
		if err := errors.Join(err, c.federate(tx, h, Library, "rsa"), c.federate(tx, h, Archive, "ec")); err != nil {
			return err
		}
		rules := policy
		if c.Certificates {
			rules += "\n[clientcert]\nfirst = true\n"
		}
		_, err = h.Policy.Apply(tx, "test", "policy.toml", []byte(rules), func(string) bool { return true })
		return err
	})
	if err != nil {
		return err
	}
	return c.people(ctx, h)
}

// federate registers a service that speaks SAML.
func (c *Campus) federate(tx *store.Tx, h *app.House, id, key string) error {
	consumer := strings.TrimSuffix(id, "sp") + "acs"
	return h.Parties.Put(tx, rp.Party{
		ID: id, Protocol: "saml", Names: map[lang.Tag]string{lang.EN: id}, Consent: rp.ConsentNone,
		Registration: json.RawMessage(`{"assertion_consumers": [{"location": "` + consumer + `", "default": true}], "key": "` + key + `"}`),
		Release:      []rp.Release{{Attribute: "displayName"}, {Attribute: "mail"}, {Attribute: "eduPersonAffiliation"}},
	})
}

func (c *Campus) register(tx *store.Tx, h *app.House, id string) error {
	client := c.Client(id)
	registration, err := json.Marshal(map[string]any{
		"redirect_uris": []string{client.RedirectURI}, "client_secret": client.Secret,
		"grant_types": []string{"authorization_code", "refresh_token"},
	})
	if err != nil {
		return err
	}
	consent := rp.ConsentNone
	if id == Consent {
		consent = rp.ConsentAsk
	}
	return h.Parties.Put(tx, rp.Party{
		ID: id, Protocol: "oidc", Names: map[lang.Tag]string{lang.JA: "サービス " + id, lang.EN: "Service " + id},
		HomeURL: "https://" + id + ".seimon.test/", Consent: consent, Registration: registration,
		Release: []rp.Release{{Attribute: "displayName", Required: true}, {Attribute: "userName"}, {Attribute: "mail"}},
	})
}

// batch is how many people are added at a time.
const batch = 10_000

// people adds everybody, in one transaction so that the indexes are built once.
// The password is hashed once and its record copied.
func (c *Campus) people(ctx context.Context, h *app.House) error {
	hashed, err := h.Factors.Of(password.Kind).(*password.Factor).Prepare(ctx, "", Password, time.Now())
	if err != nil {
		return err
	}
	return h.DB.Write(ctx, func(tx *store.Tx) error {
		return h.People.Bulk(tx, func() error {
			for from := 0; from < c.People; from += batch {
				if err := c.some(tx, h, hashed, from, min(from+batch, c.People)); err != nil {
					return fmt.Errorf("campus: people from %d: %w", from, err)
				}
			}
			return nil
		})
	})
}

func (c *Campus) some(tx *store.Tx, h *app.House, hashed factor.Binding, from, to int) error {
	entries := make([]directory.Entry, 0, to-from)
	for n := from; n < to; n++ {
		entries = append(entries, c.entry(n, tx.Now))
	}
	if err := h.People.AddMany(tx, entries); err != nil {
		return err
	}
	for i, e := range entries {
		b := hashed
		b.ID, b.Account = authn.NewID("bnd"), e.Account.ID
		if _, err := h.Bindings.Add(tx, b); err != nil {
			return err
		}
		if n := from + i; n < c.Phones {
			p, err := phone(e.Account.ID, n, tx.Now)
			if err != nil {
				return err
			}
			if _, err := h.Bindings.Add(tx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Campus) entry(n int, now time.Time) directory.Entry {
	p := directory.Person{
		Number: fmt.Sprint(n), Lang: lang.JA, Notices: directory.NoticeNew, Mail: UserName(n) + "@example.ac.jp",
		Name: directory.Names{
			Family: "山田", Given: fmt.Sprint("太郎", n), FamilyKana: "ヤマダ", GivenKana: "タロウ",
			FamilyLatin: "Yamada", GivenLatin: fmt.Sprint("Taro", n),
		},
	}
	if c.Mail {
		p.MailVerified = now
	}
	return directory.Entry{Person: p, Account: directory.Account{
		UserName: UserName(n), Kind: "student", State: directory.Active,
		Groups: []string{"student"}, Affiliations: []string{"student", "member"},
	}}
}
