package oidc

import (
	"maps"
	"slices"
	"strings"

	"seimon/internal/store"
)

// claim is one claim that we can give about a person.
type claim struct {
	name      string
	attribute string // of the directory
	scope     string // the scope that brings it
	form      form
}

type form int

const (
	text  form = iota // the first value
	list              // all values
	truth             // true or false
)

// claimTable says where each claim comes from. Names in other scripts carry the
// language tags of OIDC Core 5.2.
func claimTable() []claim {
	return []claim{
		{"name", "displayName", "profile", text},
		{"name#ja-Hani-JP", "displayName;ja", "profile", text},
		{"name#ja-Kana-JP", "displayName;ja-Kana", "profile", text},
		{"family_name", "familyName", "profile", text},
		{"family_name#ja-Hani-JP", "familyName;ja", "profile", text},
		{"family_name#ja-Kana-JP", "familyName;ja-Kana", "profile", text},
		{"given_name", "givenName", "profile", text},
		{"given_name#ja-Hani-JP", "givenName;ja", "profile", text},
		{"given_name#ja-Kana-JP", "givenName;ja-Kana", "profile", text},
		{"preferred_username", "userName", "profile", text},
		{"locale", "preferredLanguage", "profile", text},
		{"email", "mail", "email", text},
		{"email_verified", "mailVerified", "email", truth},
		{"groups", "groups", "groups", list},
		{"eduperson_affiliation", "eduPersonAffiliation", "eduperson", list},
		{"eduperson_scoped_affiliation", "eduPersonScopedAffiliation", "eduperson", list},
		{"eduperson_principal_name", "eduPersonPrincipalName", "eduperson", text},
		{"eduperson_entitlement", "eduPersonEntitlement", "eduperson", list},
		{"eduperson_assurance", "eduPersonAssurance", "eduperson", list},
		{"employee_number", "employeeNumber", "eduperson", text},
		{"account_kind", "accountKind", "eduperson", text},
	}
}

// askedClaims gives the claims that a service wants: those of scopes and those it
// named (OIDC Core 5.4, 5.5). Only what its party is granted will come of it.
func askedClaims(c *client, named map[string]claimRequest, scopes []string) []claim {
	var out []claim
	for _, k := range claimTable() {
		_, byName := named[k.name]
		if byName || slices.Contains(scopes, k.scope) {
			out = append(out, k)
		}
	}
	return out
}

// attributesFor names the directory's attributes that a request could lead to, so
// that the person is asked about those alone.
func attributesFor(c *client, q *request) []string {
	named := maps.Clone(q.Claims.UserInfo)
	if named == nil {
		named = map[string]claimRequest{}
	}
	maps.Copy(named, q.Claims.IDToken)
	out := []string{}
	for _, k := range askedClaims(c, named, q.Scope) {
		out = append(out, k.attribute)
	}
	return out
}

// claimsOf gives the wanted claims about a holder as far as they are granted to
// the client and agreed to, from the directory as it is now.
func (f *Front) claimsOf(tx *store.Tx, c *client, who *holder, wanted []claim) (map[string]any, error) {
	attributes := f.People.Attributes(who.account, who.person)
	released, err := f.Parties.Release(tx, c.Party, who.account.ID, attributes)
	if err != nil {
		return nil, err
	}
	values := released.Values
	if len(values["mail"]) > 0 && len(attributes["mailVerified"]) > 0 {
		values["mailVerified"] = attributes["mailVerified"] // it says nothing without the address
	}
	out := map[string]any{}
	for _, k := range wanted {
		if v := values[k.attribute]; len(v) > 0 {
			out[k.name] = k.form.value(v)
		}
	}
	return out, nil
}

func (f form) value(values []string) any {
	switch f {
	case list:
		return values
	case truth:
		return values[0] == "true"
	}
	return values[0]
}

// agreed tells whether the person's consent, where it is needed, still stands.
func (f *Front) agreed(tx *store.Tx, c *client, g *grant) (bool, error) {
	released, err := f.Parties.Release(tx, c.Party, g.account, nil)
	return released.Given, err
}

// claimsSupported names every claim for the discovery document.
func claimsSupported() []string {
	out := []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"}
	for _, k := range claimTable() {
		if !strings.Contains(k.name, "#") {
			out = append(out, k.name)
		}
	}
	return out
}

func fields(text string) []string { return strings.Fields(text) }
