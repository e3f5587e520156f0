package saml

import (
	"strings"

	"seimon/internal/authn"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/rp"
)

// attribute is one attribute in the vocabulary of federations.
type attribute struct {
	attribute string // of the directory
	name      string // URI
	friendly  string
}

// The attributes that the front makes itself, beside the directory's. They tell
// nothing but who is who, so nobody is asked about them.
const (
	targetedID = "eduPersonTargetedID"
	pairwiseID = "pairwise-id"
	subjectID  = "subject-id"
)

const nameTargetedID = "urn:oid:1.3.6.1.4.1.5923.1.1.1.10"

// attributeTable says by which names attributes leave: eduPerson, SCHAC, eduMember
// and GakuNin's own, as its federation lists them.
func attributeTable() []attribute {
	const edu, ja, schac = "urn:oid:1.3.6.1.4.1.5923.1.1.1.", "urn:oid:1.3.6.1.4.1.32264.1.1.", "urn:oid:1.3.6.1.4.1.25178.1.2."
	return []attribute{
		{"userName", "urn:oid:0.9.2342.19200300.100.1.1", "uid"},
		{"mail", "urn:oid:0.9.2342.19200300.100.1.3", "mail"},
		{"familyName", "urn:oid:2.5.4.4", "sn"},
		{"givenName", "urn:oid:2.5.4.42", "givenName"},
		{"commonName", "urn:oid:2.5.4.3", "cn"},
		{"displayName", "urn:oid:2.16.840.1.113730.3.1.241", "displayName"},
		{"employeeNumber", "urn:oid:2.16.840.1.113730.3.1.3", "employeeNumber"},
		{"preferredLanguage", "urn:oid:2.16.840.1.113730.3.1.39", "preferredLanguage"},
		{"organizationName", "urn:oid:2.5.4.10", "o"},
		{"organizationalUnitName", "urn:oid:2.5.4.11", "ou"},
		{"familyName;ja", ja + "1", "jasn"},
		{"givenName;ja", ja + "2", "jaGivenName"},
		{"displayName;ja", ja + "3", "jaDisplayName"},
		{"organizationName;ja", ja + "4", "jao"},
		{"organizationalUnitName;ja", ja + "5", "jaou"},
		{"gakuninScopedPersonalUniqueCode", ja + "6", "gakuninScopedPersonalUniqueCode"},
		{"eduPersonAffiliation", edu + "1", "eduPersonAffiliation"},
		{"eduPersonPrincipalName", edu + "6", "eduPersonPrincipalName"},
		{"eduPersonEntitlement", edu + "7", "eduPersonEntitlement"},
		{"eduPersonScopedAffiliation", edu + "9", "eduPersonScopedAffiliation"},
		{targetedID, nameTargetedID, targetedID},
		{"eduPersonAssurance", edu + "11", "eduPersonAssurance"},
		{"eduPersonUniqueId", edu + "13", "eduPersonUniqueId"},
		{"eduPersonOrcid", edu + "16", "eduPersonOrcid"},
		{"groups", "urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "isMemberOf"},
		{"schacHomeOrganization", schac + "9", "schacHomeOrganization"},
		{"schacHomeOrganizationType", schac + "10", "schacHomeOrganizationType"},
		{"schacPersonalUniqueCode", schac + "14", "schacPersonalUniqueCode"},
		{pairwiseID, "urn:oasis:names:tc:SAML:attribute:pairwise-id", pairwiseID},
		{subjectID, "urn:oasis:names:tc:SAML:attribute:subject-id", subjectID},
	}
}

// AttributeNamed gives the directory's name of an attribute that federations know
// under a URI; empty when there is none.
func AttributeNamed(uri string) string {
	for _, a := range attributeTable() {
		if a.name == uri {
			return a.attribute
		}
	}
	return ""
}

// wire finds how an attribute of the directory leaves; one that federations do not
// know leaves under its own name (SAML Core 2.0, 8.2.2).
func wire(name string) (a attribute, format string) {
	for _, a := range attributeTable() {
		if a.attribute == name {
			return a, metadata.URI
		}
	}
	return attribute{name, name, name}, "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
}

// writeAttributes writes the AttributeStatement; nothing when there is nothing to say
// (SAML Core 2.0, 2.7.3: a statement has at least one attribute).
func writeAttributes(w *xmldoc.Writer, a *answer) {
	if len(a.Attributes) == 0 && a.Targeted == nil {
		return
	}
	w.Start("saml:AttributeStatement")
	for _, v := range a.Attributes {
		k, format := wire(v.Name)
		w.Start("saml:Attribute", "Name", k.name, "NameFormat", format, "FriendlyName", k.friendly)
		for _, text := range v.Values {
			w.Leaf("saml:AttributeValue", text)
		}
		w.End()
	}
	if a.Targeted != nil { // eduPerson: the value is a NameID of the persistent form
		w.Start("saml:Attribute", "Name", nameTargetedID, "NameFormat", metadata.URI, "FriendlyName", targetedID)
		w.Start("saml:AttributeValue")
		writeNameID(w, *a.Targeted)
		w.End().End()
	}
	w.End()
}

// value is one attribute ready to leave.
type value struct {
	Name   string
	Values []string
}

// scoped puts the university's first scope behind an identifier; empty without one.
func (f *Front) scoped(id string) string {
	if len(f.Settings.Scopes) == 0 || id == "" {
		return ""
	}
	return strings.ToLower(id) + "@" + f.Settings.Scopes[0]
}

// Identifiers implements login.Identifier: pairwise-id and subject-id (SAML Subject
// Identifier Attributes 1.0, 3.4 and 3.3), as far as p is granted them.
func (f *Front) Identifiers(p rp.Party, account authn.AccountID) map[string][]string {
	out := map[string][]string{}
	for _, r := range p.Release {
		if r.Attribute != pairwiseID && r.Attribute != subjectID {
			continue
		}
		p.Pairwise = r.Attribute == pairwiseID
		if id := f.scoped(f.Parties.SubjectFor(p, account)); id != "" {
			out[r.Attribute] = []string{id}
		}
	}
	return out
}
