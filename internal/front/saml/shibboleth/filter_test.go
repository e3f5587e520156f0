package shibboleth_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pelletier/go-toml/v2"

	"seimon/internal/front/saml/shibboleth"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// policies are written as campuses write them, in the vocabulary of version 3 and later.
const policies = `<AttributeFilterPolicyGroup id="ShibbolethFilterPolicy" xmlns="urn:mace:shibboleth:2.0:afp" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <AttributeFilterPolicy id="everybody">
    <PolicyRequirementRule xsi:type="ANY"/>
    <AttributeRule attributeID="eduPersonEntitlement">
      <PermitValueRule xsi:type="OR">
        <Rule xsi:type="Value" value="urn:mace:dir:entitlement:common-lib-terms" caseSensitive="false"/>
        <Rule xsi:type="ValueRegex" regex="urn:mace:example\.ac\.jp:.*"/>
      </PermitValueRule>
      <DenyValueRule xsi:type="Value" value="urn:mace:example.ac.jp:secret"/>
    </AttributeRule>
    <AttributeRule attributeID="eduPersonAffiliation">
      <PermitValueRule xsi:type="NOT"><Rule xsi:type="Value" value="alum"/></PermitValueRule>
    </AttributeRule>
  </AttributeFilterPolicy>
  <AttributeFilterPolicy id="trusted">
    <PolicyRequirementRule xsi:type="AND">
      <Rule xsi:type="RegistrationAuthority" registrars="https://www.gakunin.jp https://own.example.ac.jp"/>
      <Rule xsi:type="EntityAttributeExactMatch" attributeName="http://macedir.org/entity-category" attributeValue="http://refeds.org/category/research-and-scholarship"/>
      <Rule xsi:type="NOT"><Rule xsi:type="OR">
        <Rule xsi:type="Requester" value="https://bad.example.org/sp"/><Rule xsi:type="Requester" value="https://worse.example.org/sp"/>
      </Rule></Rule>
    </PolicyRequirementRule>
    <AttributeRule attributeID="mail"><PermitValueRule xsi:type="ValueRegex" regex=".*@example\.ac\.jp"/></AttributeRule>
    <AttributeRule attributeID="displayName"><PermitValueRule xsi:type="AttributeInMetadata" onlyIfRequired="false"/></AttributeRule>
    <AttributeRule attributeID="jaDisplayName"><PermitValueRule xsi:type="AttributeInMetadata" onlyIfRequired="true"/></AttributeRule>
  </AttributeFilterPolicy>
  <AttributeFilterPolicy id="staffOnly">
    <PolicyRequirementRule xsi:type="Requester" value="https://sp00001.example.org/shibboleth"/>
    <AttributeRule attributeID="eduPersonAffiliation">
      <PermitValueRule xsi:type="AND">
        <Rule xsi:type="ValueRegex" regex="(staff|faculty|alum)"/>
        <Rule xsi:type="NOT"><Rule xsi:type="Value" value="alum"/></Rule>
      </PermitValueRule>
    </AttributeRule>
    <AttributeRule attributeID="mail" permitAny="true"/>
    <AttributeRule attributeID="eduPersonPrincipalName"><DenyValueRule xsi:type="ANY"/></AttributeRule>
  </AttributeFilterPolicy>
  <AttributeFilterPolicy id="neverPrincipal">
    <PolicyRequirementRule xsi:type="Requester" value="https://sp00001.example.org/shibboleth"/>
    <AttributeRule attributeID="eduPersonPrincipalName" permitAny="true"/>
  </AttributeFilterPolicy>
  <AttributeFilterPolicy id="lookahead">
    <PolicyRequirementRule xsi:type="ANY"/>
    <AttributeRule attributeID="mail"><PermitValueRule xsi:type="ValueRegex" regex="(?!student).*"/></AttributeRule>
  </AttributeFilterPolicy>
  <AttributeFilterPolicy id="byscript">
    <PolicyRequirementRule xsi:type="ANY"/>
    <AttributeRule attributeID="mail"><PermitValueRule xsi:type="Script"><Script>true</Script></PermitValueRule></AttributeRule>
  </AttributeFilterPolicy>
  <AttributeFilterPolicy id="certified">
    <PolicyRequirementRule xsi:type="EntityAttributeExactMatch" attributeName="urn:oasis:names:tc:SAML:attribute:assurance-certification" attributeValue="https://refeds.org/sirtfi"/>
    <AttributeRule attributeID="mail" permitAny="true"/>
  </AttributeFilterPolicy>
  <AttributeFilterPolicy id="both">
    <PolicyRequirementRule xsi:type="AND">
      <Rule xsi:type="EntityAttributeExactMatch" attributeName="http://macedir.org/entity-category" attributeValue="urn:a"/>
      <Rule xsi:type="EntityAttributeExactMatch" attributeName="http://macedir.org/entity-category" attributeValue="urn:b"/>
    </PolicyRequirementRule>
    <AttributeRule attributeID="mail" permitAny="true"/>
  </AttributeFilterPolicy>
</AttributeFilterPolicyGroup>`

// somebody has every value that the policies speak of.
func somebody() map[string][]string {
	return map[string][]string{
		"eduPersonEntitlement": {"URN:mace:dir:entitlement:common-lib-terms", "urn:mace:example.ac.jp:lab", "urn:mace:example.ac.jp:secret", "urn:mace:other:x"},
		"eduPersonAffiliation": {"staff", "student", "alum"}, "eduPersonPrincipalName": {"taro@example.ac.jp"},
		"mail": {"taro@example.ac.jp", "taro@home.example.com"}, "displayName": {"Taro"}, "displayName;ja": {"太郎"},
	}
}

func TestPoliciesAboutValuesGiveWhatShibbolethGave(t *testing.T) {
	f := folder(t)
	f["conf/attribute-filter.xml"] = &fstest.MapFile{Data: []byte(policies)}
	p, err := shibboleth.Read(f, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	db, _ := storetest.Open(t, rp.Schema())
	book := rp.New(db, func(string, []byte) []byte { return make([]byte, 32) })
	text, err := toml.Marshal(map[string]any{"release": p.Rules}) // as they are put in force
	if err != nil {
		t.Fatal(err)
	}
	rules, err := rp.ParseRules("rules", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	const research = "http://refeds.org/category/research-and-scholarship"
	all := "eduPersonAffiliation=staff,student eduPersonEntitlement=URN:mace:dir:entitlement:common-lib-terms,urn:mace:example.ac.jp:lab"
	for name, c := range map[string]struct {
		facts rp.Facts
		want  string
	}{
		"any service":          {rp.Facts{ID: "https://x.example.org"}, all},
		"a trusted one":        {rp.Facts{ID: "https://x.example.org", Authority: "https://www.gakunin.jp", Categories: []string{research}}, all + " mail=taro@example.ac.jp"},
		"a trusted one asking": {rp.Facts{ID: "https://x.example.org", Authority: "https://www.gakunin.jp", Categories: []string{research}, Wishes: []rp.Wish{{Attribute: "displayName"}, {Attribute: "displayName;ja", Required: true}}}, "displayName=Taro " + all + " mail=taro@example.ac.jp"},
		"registered elsewhere": {rp.Facts{ID: "https://x.example.org", Authority: "https://other", Categories: []string{research}}, all},
		"the bad one":          {rp.Facts{ID: "https://bad.example.org/sp", Authority: "https://www.gakunin.jp", Categories: []string{research}}, all},
		"certified":            {rp.Facts{ID: "https://x.example.org", Categories: []string{"urn:a", "urn:b"}}, all},
	} {
		g := rules.Apply(c.facts)
		if got := leaves(t, db, book, rp.Party{ID: c.facts.ID, Consent: rp.ConsentNone, Release: g.Release}); got != c.want {
			t.Errorf("%s receives\n%s, want\n%s", name, got, c.want)
		}
	}
	own := p.Parties[slices.IndexFunc(p.Parties, func(x rp.Party) bool { return x.ID == portal })]
	own.Consent = rp.ConsentNone
	if got, want := leaves(t, db, book, own), all+" mail=taro@example.ac.jp,taro@home.example.com"; got != want {
		t.Errorf("the registered service receives\n%s, want\n%s", got, want)
	}
	left := said(p.Left)
	for _, want := range []string{
		"the policy lookahead: of mail", "(?!student)", "the policy byscript: of mail", "(Script)", "the policy certified: its condition",
		"the policy both: its condition (AND of two entity categories)", "the policy trusted: of jaDisplayName", "only if required",
	} {
		if !strings.Contains(left, want) {
			t.Errorf("%q is not in\n%s", want, left)
		}
	}
	for _, r := range p.Rules {
		if strings.Contains(r.Name, "lookahead") || strings.Contains(r.Name, "byscript") || strings.Contains(r.Name, "certified") || strings.Contains(r.Name, "both") {
			t.Errorf("a policy that cannot be said is carried: %+v", r)
		}
	}
}

// leaves lists what a party receives about somebody.
func leaves(t *testing.T, db *store.DB, book *rp.Book, p rp.Party) string {
	t.Helper()
	var got rp.Released
	err := db.Read(t.Context(), func(tx *store.Tx) (err error) {
		got, err = book.Release(tx, p, "acc_1", somebody())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for name, values := range got.Values {
		out = append(out, fmt.Sprintf("%s=%s", name, strings.Join(values, ",")))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
