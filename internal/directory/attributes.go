package directory

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Attributes gives what is known about an account under names that belong to no
// protocol; each front translates them. The account's own attributes come first,
// and what the directory itself keeps cannot be overwritten by them.
//
// Names in Japanese carry ";ja", readings ";ja-Kana", for example "familyName;ja".
func (d *Directory) Attributes(a Account, p Person) map[string][]string {
	out := maps.Clone(a.Attributes)
	if out == nil {
		out = map[string][]string{}
	}
	one := func(name, value string) {
		if value != "" {
			out[name] = []string{value}
		}
	}
	n := p.Name
	one("userName", a.UserName)
	one("displayName", n.Full("en"))
	one("displayName;ja", join(n.Family, n.Given))
	one("displayName;ja-Kana", n.Kana())
	one("familyName", cmp.Or(n.FamilyLatin, n.Family))
	one("familyName;ja", n.Family)
	one("familyName;ja-Kana", n.FamilyKana)
	one("givenName", cmp.Or(n.GivenLatin, n.Given))
	one("givenName;ja", n.Given)
	one("givenName;ja-Kana", n.GivenKana)
	one("mail", p.Mail)
	if p.Mail != "" {
		out["mailVerified"] = []string{map[bool]string{true: "true", false: "false"}[!p.MailVerified.IsZero()]}
	}
	one("employeeNumber", p.Number)
	one("preferredLanguage", string(p.Lang))
	one("accountKind", a.Kind)
	many := func(name string, values []string) {
		if len(values) > 0 {
			out[name] = slices.Clone(values)
		}
	}
	many("eduPersonAffiliation", a.Affiliations)
	many("groups", a.Groups)
	d.campus.derive(out)
	d.campus.vouch(out, a, p, d.db.Now())
	return out
}

// Campus is what the university says of all its people: its domains, the first of
// which stands behind identifiers, and its name.
type Campus struct {
	Scopes       []string
	Name, NameJA string
	Claims       Claims
}

// vouch says how sure the university is of somebody. What the frameworks define is
// computed, whatever an account has on record; values of other kinds stay.
func (c Campus) vouch(out map[string][]string, a Account, p Person, now time.Time) {
	const name = "eduPersonAssurance"
	own := len(c.Scopes) > 0 && slices.Equal(out["eduPersonPrincipalName"], []string{a.UserName + "@" + c.Scopes[0]})
	kept := slices.DeleteFunc(slices.Clone(out[name]), computed)
	if all := append(kept, c.Claims.Assurance(a, p, own, now)...); len(all) > 0 {
		out[name] = all
	} else {
		delete(out, name)
	}
}

// derive adds what follows from other attributes and the university, where nothing of
// that name is on record.
func (c Campus) derive(out map[string][]string) {
	add := func(name string, values ...string) {
		values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
		if len(values) > 0 && len(out[name]) == 0 {
			out[name] = values
		}
	}
	add("organizationName", c.Name)
	add("organizationName;ja", c.NameJA)
	if len(c.Scopes) == 0 {
		return
	}
	scope := "@" + c.Scopes[0]
	add("schacHomeOrganization", c.Scopes[0])
	if user := out["userName"]; len(user) > 0 {
		add("eduPersonPrincipalName", user[0]+scope)
	}
	var scoped []string
	for _, v := range out["eduPersonAffiliation"] {
		scoped = append(scoped, v+scope)
	}
	add("eduPersonScopedAffiliation", scoped...)
}
