package directory

import (
	"cmp"
	"maps"
	"slices"
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
	return out
}
