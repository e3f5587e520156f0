package directory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"seimon/internal/lang"
	"seimon/internal/store"
)

// Fields are what commands set on an account and its person. What is not named
// stays as it is.
type Fields struct {
	Family        *string  `help:"Family name as written in Japanese."`
	Given         *string  `help:"Given name as written in Japanese."`
	FamilyKana    *string  `help:"Reading of the family name."`
	GivenKana     *string  `help:"Reading of the given name."`
	FamilyLatin   *string  `help:"Family name in Latin letters."`
	GivenLatin    *string  `help:"Given name in Latin letters."`
	Number        *string  `help:"What the university's other systems call the person."`
	Lang          *string  `help:"Language of the person: ja or en."`
	Mail          *string  `help:"Mail address given to services."`
	Notify        *string  `help:"Mail address for notices and one-time codes."`
	Recovery      *string  `help:"Mail address for a forgotten password."`
	MailsVerified bool     `help:"The university knows that the addresses given here reach the person."`
	Kind          *string  `help:"Kind of account: student, faculty, staff, parttime, ..."`
	Groups        []string `name:"group" help:"Group of the account; repeat for several. Replaces the groups it has."`
	Affiliations  []string `name:"affiliation" help:"eduPersonAffiliation value; repeat for several. Replaces those it has."`
	Attribute     []string `sep:"none" placeholder:"NAME=VALUE" help:"Attribute; repeat for several values. NAME= removes it."`
	ValidFrom     *string  `placeholder:"DAY" help:"First day (2026-04-01) or moment (RFC 3339) on which the account can be used."`
	ValidUntil    *string  `placeholder:"DAY" help:"Last day, or the moment from which the account can no longer be used."`
}

func (f Fields) apply(a *Account, p *Person, zone *time.Location) error {
	for _, x := range []struct {
		from *string
		to   *string
	}{
		{f.Family, &p.Name.Family}, {f.Given, &p.Name.Given}, {f.FamilyKana, &p.Name.FamilyKana}, {f.GivenKana, &p.Name.GivenKana},
		{f.FamilyLatin, &p.Name.FamilyLatin}, {f.GivenLatin, &p.Name.GivenLatin}, {f.Number, &p.Number}, {f.Kind, &a.Kind},
		{f.Mail, &p.Mail}, {f.Notify, &p.Notify}, {f.Recovery, &p.Recovery},
	} {
		if x.from != nil {
			*x.to = strings.TrimSpace(*x.from)
		}
	}
	if f.Lang != nil {
		p.Lang = lang.Tag(*f.Lang)
	}
	if f.Groups != nil {
		a.Groups = present(f.Groups)
	}
	if f.Affiliations != nil {
		a.Affiliations = present(f.Affiliations)
	}
	if err := setAttributes(a, f.Attribute); err != nil {
		return err
	}
	return f.applyDays(a, zone)
}

func (f Fields) applyDays(a *Account, zone *time.Location) error {
	var err error
	if f.ValidFrom != nil {
		if a.ValidFrom, err = parseDay(*f.ValidFrom, zone, false); err != nil {
			return err
		}
	}
	if f.ValidUntil != nil {
		a.ValidUntil, err = parseDay(*f.ValidUntil, zone, true)
	}
	return err
}

func setAttributes(a *Account, pairs []string) error {
	if len(pairs) == 0 {
		return nil
	}
	a.Attributes = maps.Clone(a.Attributes)
	if a.Attributes == nil {
		a.Attributes = map[string][]string{}
	}
	fresh := map[string]bool{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return fmt.Errorf("%q must have the form NAME=VALUE", pair)
		}
		if !fresh[name] {
			delete(a.Attributes, name)
			fresh[name] = true
		}
		if value != "" {
			a.Attributes[name] = append(a.Attributes[name], value)
		}
	}
	return nil
}

// parseDay reads a day or a moment. A last day includes itself. Days begin at
// midnight in the university's zone.
func parseDay(text string, zone *time.Location, last bool) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	t, err := time.ParseInLocation("2006-01-02", strings.ReplaceAll(text, "/", "-"), zone)
	if err != nil {
		return t, fmt.Errorf("%q is neither a day (2026-04-01) nor a moment (2026-04-01T09:00:00+09:00)", text)
	}
	if last {
		t = t.AddDate(0, 0, 1)
	}
	return t.UTC(), nil
}

// SetCommand is "seimon user set".
type SetCommand struct {
	UserName   string  `arg:"" help:"User name."`
	NewName    *string `name:"user-name" help:"New user name."`
	Fields     `embed:""`
	AddGroup   []string `help:"Group to join; repeat for several."`
	LeaveGroup []string `help:"Group to leave; repeat for several."`
	Notices    string   `enum:"every,new," default:"" help:"When the person is told about a sign-in (${enum})."`
}

// Run changes what was named.
func (c *SetCommand) Run(env Env) error {
	o, err := env.Office()
	if err != nil {
		return err
	}
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		a, p, err := o.named(tx, c.UserName)
		if err != nil {
			return err
		}
		was := Entry{a, p}
		if err := c.apply(&a, &p, o.Zone); err != nil {
			return err
		}
		if c.NewName != nil {
			a.UserName = *c.NewName
		}
		a.Groups = slices.DeleteFunc(append(slices.Clone(a.Groups), c.AddGroup...), func(g string) bool { return slices.Contains(c.LeaveGroup, g) })
		if c.Notices != "" {
			if err := o.People.SetNotices(tx, p.ID, NoticeChoice(c.Notices)); err != nil {
				return err
			}
		}
		if c.Affiliations != nil {
			if err := o.People.Affirm(tx, a.ID); err != nil {
				return err
			}
		}
		return o.save(tx, was, Entry{a, p}, c.MailsVerified)
	})
	if err == nil {
		fmt.Fprintf(env.Out(), "%s is changed.\n", c.UserName)
	}
	return err
}

// save writes what differs between an entry as it was and as it shall be.
func (o Office) save(tx *store.Tx, was, now Entry, verified bool) error {
	if err := o.People.Update(tx, now.Account, now.Person); err != nil {
		return taken(err, now.Account.UserName)
	}
	if !slices.Equal(was.Account.Groups, now.Account.Groups) {
		if err := o.People.SetGroups(tx, now.Account.ID, now.Account.Groups); err != nil {
			return err
		}
	}
	p, q := was.Person, now.Person
	for _, m := range []struct {
		use      Use
		was, now string
		verify   bool
	}{
		{UseMail, p.Mail, q.Mail, q.MailVerified.After(p.MailVerified)},
		{UseNotify, p.Notify, q.Notify, q.NotifyVerified.After(p.NotifyVerified)},
		{UseRecovery, p.Recovery, q.Recovery, q.RecoveryVerified.After(p.RecoveryVerified)},
	} {
		if m.was != m.now {
			if err := o.People.SetMail(tx, now.Person.ID, m.use, m.now); err != nil {
				return err
			}
		}
		if (m.verify || verified) && m.now != "" {
			if err := o.People.VerifyMail(tx, now.Person.ID, m.use, m.now); err != nil {
				return err
			}
		}
	}
	return o.Note(tx, "account.changed", now.Account.ID, map[string]string{"fields": strings.Join(differences(was, now), " ")})
}

// differences names the fields that differ.
func differences(was, now Entry) []string {
	var out []string
	add := func(name string, same bool) {
		if !same {
			out = append(out, name)
		}
	}
	a, b, p, q := was.Account, now.Account, was.Person, now.Person
	add("user_name", a.UserName == b.UserName)
	add("kind", a.Kind == b.Kind)
	add("name", p.Name == q.Name)
	add("number", p.Number == q.Number)
	add("lang", p.Lang == q.Lang)
	add("mail", p.Mail == q.Mail)
	add("notify", p.Notify == q.Notify)
	add("recovery", p.Recovery == q.Recovery)
	add("verified", p.MailVerified.Equal(q.MailVerified) && p.NotifyVerified.Equal(q.NotifyVerified) && p.RecoveryVerified.Equal(q.RecoveryVerified))
	add("groups", slices.Equal(a.Groups, b.Groups))
	add("affiliations", slices.Equal(a.Affiliations, b.Affiliations))
	add("attributes", maps.EqualFunc(a.Attributes, b.Attributes, slices.Equal[[]string]))
	add("valid_from", a.ValidFrom.Equal(b.ValidFrom))
	add("valid_until", a.ValidUntil.Equal(b.ValidUntil))
	return out
}

func present(words []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(s string) bool { return s == "" })
}
