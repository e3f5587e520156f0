package shibboleth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"seimon/internal/authn"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/front/saml/shibboleth"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

const portal = "https://sp00001.example.org/shibboleth"

const properties = `
# written by hand
idp.home = /opt/shibboleth-idp
idp.entityID = https://idp.example.ac.jp/idp/shibboleth
idp.scope= example.ac.jp
! another comment
`

const nameids = `
idp.persistentId.sourceAttribute = uid
idp.persistentId.encoding = BASE64
#idp.persistentId.algorithm = SHA
idp.persistentId.generator = shibboleth.StoredPersistentIdGenerator
`

const resolver = `<?xml version="1.0" encoding="UTF-8"?>
<!-- the attributes of the university -->
<AttributeResolver xmlns="urn:mace:shibboleth:2.0:resolver" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <AttributeDefinition id="mail" xsi:type="Simple"><InputDataConnector ref="directory" attributeNames="mail"/></AttributeDefinition>
  <AttributeDefinition id="jaDisplayName" xsi:type="Simple"><InputDataConnector ref="directory" attributeNames="cn;lang-ja"/></AttributeDefinition>
  <AttributeDefinition id="eduPersonPrincipalName" xsi:type="Scoped" scope="%{idp.scope}"><InputDataConnector ref="directory" attributeNames="uid"/></AttributeDefinition>
  <AttributeDefinition id="eduPersonEntitlement" xsi:type="ScriptedAttribute"><Script><![CDATA[ if (1 < 2) {} ]]></Script></AttributeDefinition>
  <AttributeDefinition id="libraryCardColour" xsi:type="Simple"/>
  <!-- the directory -->
  <DataConnector id="directory" xsi:type="LDAPDirectory" ldapURL="ldap://ldap.example.ac.jp"/>
</AttributeResolver>`

const filter = `<AttributeFilterPolicyGroup id="ShibbolethFilterPolicy" xmlns="urn:mace:shibboleth:2.0:afp" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <AttributeFilterPolicy id="portal">
    <PolicyRequirementRule xsi:type="Requester" value="https://sp00001.example.org/shibboleth"/>
    <AttributeRule attributeID="mail" permitAny="true"/>
    <AttributeRule attributeID="jaDisplayName"><PermitValueRule xsi:type="ANY"/></AttributeRule>
    <AttributeRule attributeID="eduPersonEntitlement"><PermitValueRule xsi:type="Value" value="urn:mace:dir:entitlement:common-lib-terms"/></AttributeRule>
    <AttributeRule attributeID="libraryCardColour" permitAny="true"/>
  </AttributeFilterPolicy>
  <AttributeFilterPolicy id="journals">
    <PolicyRequirementRule xsi:type="OR">
      <Rule xsi:type="Requester" value="https://journals.example.com/sp"/>
      <Rule xsi:type="Requester" value="https://books.example.com/sp"/>
    </PolicyRequirementRule>
    <AttributeRule attributeID="eduPersonScopedAffiliation" permitAny="true"/>
  </AttributeFilterPolicy>
  <AttributeFilterPolicy id="research">
    <PolicyRequirementRule xsi:type="EntityAttributeExactMatch" attributeName="http://macedir.org/entity-category" attributeValue="http://refeds.org/category/research-and-scholarship"/>
    <AttributeRule attributeID="mail" permitAny="true"/>
  </AttributeFilterPolicy>
  <AttributeFilterPolicy id="clever">
    <PolicyRequirementRule xsi:type="Script"/>
    <AttributeRule attributeID="mail" permitAny="true"/>
  </AttributeFilterPolicy>
</AttributeFilterPolicyGroup>`

const relying = `<beans xmlns="http://www.springframework.org/schema/beans" xmlns:util="http://www.springframework.org/schema/util"
  xmlns:p="http://www.springframework.org/schema/p" xmlns:c="http://www.springframework.org/schema/c">
  <bean id="shibboleth.DefaultRelyingParty" parent="RelyingParty"><property name="profileConfigurations"><list><ref bean="SAML2.SSO"/></list></property></bean>
  <util:list id="shibboleth.RelyingPartyOverrides">
    <bean parent="RelyingPartyByName" c:relyingPartyIds="https://sp00001.example.org/shibboleth">
      <property name="profileConfigurations"><list>
        <bean parent="SAML2.SSO" p:encryptAssertions="false" p:signAssertions="true" p:nameIDFormatPrecedence="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"/>
      </list></property>
    </bean>
    <bean parent="RelyingPartyByName" c:relyingPartyIds="#{{'https://elsewhere.example.com/a', 'https://elsewhere.example.com/b'}}">
      <property name="profileConfigurations"><list><bean parent="SAML2.SSO" p:signAssertions="true"/></list></property>
    </bean>
    <bean parent="RelyingPartyByTag"/>
  </util:list>
</beans>`

const providers = `<MetadataProvider id="ShibbolethMetadata" xsi:type="ChainingMetadataProvider" xmlns="urn:mace:shibboleth:2.0:metadata" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <MetadataProvider id="GakuNin Metadata" xsi:type="FileBackedHTTPMetadataProvider" backingFile="%{idp.home}/metadata/gakunin.xml" metadataURL="https://metadata.example.org/all.xml?generation=2">
    <MetadataFilter xsi:type="SignatureValidation" requireSignedRoot="true" certificateFile="%{idp.home}/credentials/signer.cer"/>
    <MetadataFilter xsi:type="RequiredValidUntil" maxValidityInterval="P15D"/>
    <MetadataFilter xsi:type="EntityRoleWhiteList"><RetainedRole>md:SPSSODescriptor</RetainedRole></MetadataFilter>
  </MetadataProvider>
  <MetadataProvider id="unsigned" xsi:type="FileBackedHTTPMetadataProvider" metadataURL="https://metadata.example.com/all.xml"/>
  <MetadataProvider id="portal" xsi:type="FilesystemMetadataProvider" metadataFile="/opt/shibboleth-idp/metadata/portal.xml"/>
  <MetadataProvider id="lost" xsi:type="FilesystemMetadataProvider" metadataFile="%{idp.home}/metadata/lost.xml"/>
  <MetadataProvider id="outside" xsi:type="FilesystemMetadataProvider" metadataFile="%{idp.home}/../../etc/passwd"/>
</MetadataProvider>`

// folder is a provider that has been in use for years.
func folder(t testing.TB) fstest.MapFS {
	t.Helper()
	s, err := aggregate.NewSample("example.org", 6000)
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := aggregate.Write(aggregate.Document{ID: "_1"}, 1, func(int) aggregate.Provider { return s.Provider(1) })
	if err != nil {
		t.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(s.Provider(2).Certificates[0])
	if err != nil {
		t.Fatal(err)
	}
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{
		"conf/idp.properties": file(properties), "conf/saml-nameid.properties": file(nameids), "conf/attribute-resolver.xml": file(resolver),
		"conf/attribute-filter.xml": file(filter), "conf/relying-party.xml": file(relying), "conf/metadata-providers.xml": file(providers),
		"credentials/secrets.properties": file("idp.persistentId.salt = thisisaspecialsalt\n"), "metadata/portal.xml": file(string(metadata)),
		"credentials/signer.cer": {Data: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})},
	}
}

func said(list []shibboleth.Remark) string {
	var out strings.Builder
	for _, r := range list {
		fmt.Fprintf(&out, "%s: %s\n", r.File, r.What)
	}
	return out.String()
}

func TestWhatAProviderKeepsIsUnderstood(t *testing.T) {
	p, err := shibboleth.Read(folder(t), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if p.EntityID != "https://idp.example.ac.jp/idp/shibboleth" || p.Scope != "example.ac.jp" || string(p.Salt()) != "thisisaspecialsalt" || p.Computed.Source != "userName" {
		t.Errorf("%+v", p)
	}
	if len(p.Parties) != 1 || p.Parties[0].ID != portal {
		t.Fatalf("%+v\n%s", p.Parties, said(p.Left))
	}
	var got []string
	for _, r := range p.Parties[0].Release {
		got = append(got, r.Attribute)
	}
	if !slices.Equal(got, []string{"mail", "displayName;ja", "eduPersonEntitlement"}) || !slices.Equal(p.Parties[0].Release[2].Only, []string{"urn:mace:dir:entitlement:common-lib-terms"}) {
		t.Errorf("%+v", p.Parties[0].Release)
	}
	var x saml.Registration
	if err := json.Unmarshal(p.Parties[0].Registration, &x); err != nil || x.Sign != "both" || x.Encrypt != "never" || !strings.HasSuffix(x.Format, ":persistent") {
		t.Errorf("%v %+v", err, x)
	}
	if len(p.Feeds) != 1 || p.Feeds[0].ID != "gakunin-metadata" || p.Feeds[0].Sources[0].Generation != 2 || p.Feeds[0].MaxValidity != 15*24*time.Hour {
		t.Errorf("%+v", p.Feeds)
	}
	var rules []string
	for _, r := range p.Rules {
		rules = append(rules, r.Name)
	}
	want := []string{"shibboleth journals", "shibboleth research"}
	if !slices.Equal(rules, want) {
		t.Error(rules)
	}
	left := said(p.Left)
	for _, want := range []string{
		"the attribute libraryCardColour has no counterpart",
		"the policy clever: its condition (Script)", "the data connector directory (LDAPDirectory)", "the feed unsigned: signer", "the metadata of lost:",
		"the override for https://elsewhere.example.com/a, whose metadata comes from a feed", "an override by Tag", "eduPersonEntitlement is computed by a Scripted",
		"the metadata of outside:",
	} {
		if !strings.Contains(left, want) {
			t.Errorf("%q is not in\n%s", want, left)
		}
	}
	if strings.Contains(said(p.Carried)+left, "thisisaspecialsalt") {
		t.Error("the salt is told")
	}
}

func TestBrokenFoldersNameTheFile(t *testing.T) {
	for want, bend := range map[string]func(f fstest.MapFS){
		"it has no conf": func(f fstest.MapFS) { clear(f) },
		"conf/attribute-filter.xml: XML line 2": func(f fstest.MapFS) {
			f["conf/attribute-filter.xml"] = &fstest.MapFile{Data: []byte("<a>\n</b>")}
		},
		"conf/relying-party.xml: XML line 1: a document type": func(f fstest.MapFS) {
			f["conf/relying-party.xml"] = &fstest.MapFile{Data: []byte(`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`)}
		},
	} {
		f := folder(t)
		bend(f)
		if _, err := shibboleth.Read(f, time.Now()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestSaltsAndAlgorithms(t *testing.T) {
	for text, want := range map[string]string{
		"idp.persistentId.encodedSalt = AAECAwQFBgcICQoLDA0ODw==\nidp.persistentId.encoding = BASE32": "SHA-1 over service, userName and salt, in base32",
		"idp.persistentId.salt = short": "",
		"idp.persistentId.salt = thisisaspecialsalt\nidp.persistentId.algorithm = SHA-256": "",
		"": "",
	} {
		f := folder(t)
		f["credentials/secrets.properties"] = &fstest.MapFile{Data: []byte(text)}
		p, err := shibboleth.Read(f, time.Now())
		if err != nil || p.Persistent != want {
			t.Errorf("%q: %q %v", text, p.Persistent, err)
		}
		if want == "" && !strings.Contains(said(p.Left), "persistent names:") {
			t.Errorf("%q: nothing is said", text)
		}
	}
}

// The names of the reference: service, source value and both salts and encodings.
func TestKnownNamesComeOutEqual(t *testing.T) {
	raw := base64.StdEncoding.EncodeToString([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	for _, c := range []struct {
		computed saml.Computed
		name     string
	}{
		{saml.Computed{Salt64: raw, Encoding: "base64"}, "Vl6z6K70iLc4AuBoNeb59Dj1rGw="},
		{saml.Computed{Salt64: raw, Encoding: "base32"}, "KZPLH2FO6SELOOAC4BUDLZXZ6Q4PLLDM"},
		{saml.Computed{Salt: "thisisaspecialsalt"}, "kLyH1uEvYigEvg1ZLh/QXeW1VAs="},
	} {
		known := []shibboleth.Stored{{Service: "https://sp.example.org/sp", Name: c.name, Principal: "at1", Source: "at1-Data"}}
		if p := shibboleth.Prove(c.computed, known, nil); p.Equal != 1 || p.Known != 1 {
			t.Errorf("%+v", p)
		}
		known[0].Source = ""
		if p := shibboleth.Prove(c.computed, known, func(string) string { return "at1-Data" }); p.Equal != 1 {
			t.Errorf("%+v", p)
		}
		if p := shibboleth.Prove(c.computed, known, func(string) string { return "other" }); p.Equal != 0 || !slices.Equal(p.Different, []string{"at1 at https://sp.example.org/sp"}) {
			t.Errorf("%+v", p)
		}
	}
}

const dumpCSV = `localEntity,peerEntity,persistentId,principalName,localId,peerProvidedId,creationDate,deactivationDate
https://idp.example.ac.jp/idp/shibboleth,https://sp.example.org/sp,kLyH1uEvYigEvg1ZLh/QXeW1VAs=,s1000017,at1-Data,,2019-04-01 09:00:00,
https://idp.example.ac.jp/idp/shibboleth,https://sp.example.org/sp,"random,one",t200,,,2020-04-01 09:00:00,NULL
https://idp.example.ac.jp/idp/shibboleth,https://sp.example.org/sp,old,s1000017,at1-Data,,2018-04-01 09:00:00,2019-03-31 00:00:00
https://idp.example.ac.jp/idp/shibboleth,https://sp.example.org/sp,gone,left,x,,2018-04-01 09:00:00,
`

const dumpSQL = "-- a dump\n/*!40101 SET NAMES utf8 */;\nCREATE TABLE `shibpid` (`localEntity` varchar(255));\n" +
	"INSERT INTO `shibpid` VALUES ('https://idp.example.ac.jp/idp/shibboleth','https://sp.example.org/sp','kLyH1uEvYigEvg1ZLh/QXeW1VAs=','s1000017','at1-Data',NULL,'2019-04-01 09:00:00',NULL)," +
	"('i','https://sp.example.org/sp','random,one','t200','',NULL,'x',NULL);\n" +
	"INSERT INTO public.shibpid (peerEntity, persistentId, principalName, localId, deactivationDate) VALUES ('https://sp.example.org/sp', 'old', 's1000017', 'at1-Data', '2019-03-31'), ('https://sp.example.org/sp', 'gone', 'left', 'it''s; x', NULL);\n"

func TestDumpsOfTheTable(t *testing.T) {
	for name, text := range map[string]string{"CSV": dumpCSV, "SQL": dumpSQL} {
		list, err := shibboleth.ReadStored(strings.NewReader(text))
		if err != nil || len(list) != 4 {
			t.Fatalf("%s: %v %v", name, list, err)
		}
		if list[0] != (shibboleth.Stored{Service: "https://sp.example.org/sp", Name: "kLyH1uEvYigEvg1ZLh/QXeW1VAs=", Principal: "s1000017", Source: "at1-Data"}) ||
			list[1].Name != "random,one" || list[1].Ended || !list[2].Ended || list[3].Ended {
			t.Errorf("%s: %+v", name, list)
		}
	}
	for _, bad := range []string{"", "hello", "peerEntity,persistentId\n,x\n", "INSERT INTO shibpid VALUES ('a", "INSERT INTO shibpid VALUES (1", "peerEntity,persistentId\n\"x\n"} {
		if list, err := shibboleth.ReadStored(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: %v", bad, list)
		}
	}
}

// paper is a file that was made.
type paper struct{ bytes.Buffer }

func (*paper) Close() error { return nil }

func office(t *testing.T) (shibboleth.Office, *paper) {
	db, _ := storetest.Open(t, rp.Schema(), feed.Schema(), saml.Schema())
	book := rp.New(db, func(string, []byte) []byte { return make([]byte, 32) }, saml.Check())
	made := &paper{}
	return shibboleth.Office{
		DB: db, Book: book, Feeds: feed.New(feed.Config{DB: db, Rules: book.Rules, Attribute: saml.AttributeNamed}), Files: folder(t),
		Person: func(_ *store.Tx, name string) (authn.AccountID, map[string][]string, bool, error) {
			return authn.AccountID("acc_" + name), map[string][]string{"userName": {name}}, name != "left", nil
		},
		Open: func(name string) (io.ReadCloser, error) {
			if name != "dump.csv" {
				return nil, errors.New("no such file")
			}
			return io.NopCloser(strings.NewReader(dumpCSV)), nil
		},
		Create: func(string) (io.WriteCloser, error) { return made, nil },
		Note:   func(*store.Tx, string, string, map[string]string) error { return nil },
	}, made
}

func TestTakingOver(t *testing.T) {
	o, made := office(t)
	count := func() (parties, feeds, names, rules int) {
		t.Helper()
		err := o.DB.Read(t.Context(), func(tx *store.Tx) error {
			p, err := o.Book.List(tx)
			f, err2 := o.Feeds.List(tx)
			r, err3 := o.Book.Rules(tx)
			parties, feeds, rules = len(p), len(f), len(r.Rules)
			return errors.Join(err, err2, err3, tx.QueryRow("SELECT count(*) FROM saml_persistent").Scan(&names))
		})
		if err != nil {
			t.Fatal(err)
		}
		return parties, feeds, names, rules
	}
	_, _, _, before := count()
	dry, err := o.Run(t.Context(), rp.TakeOver{Stored: "dump.csv", Salt: "salt", Dry: true})
	if err != nil {
		t.Fatal(err)
	}
	if p, f, n, r := count(); p+f+n != 0 || r != before || made.Len() != 0 {
		t.Error("a rehearsal changes something")
	}
	r, err := o.Run(t.Context(), rp.TakeOver{Stored: "dump.csv", Salt: "salt"})
	if err != nil {
		t.Fatal(err)
	}
	if dry.Names != r.Names || dry.Proof.Equal != r.Proof.Equal || dry.Proof.Known != r.Proof.Known {
		t.Error("the rehearsal told something else")
	}
	if p, f, n, rules := count(); p != 1 || f != 1 || n != 2 || rules != before+2 {
		t.Error(p, f, n, rules)
	}
	if r.Names != 2 || r.Nobody != 1 || !slices.Equal(r.Missing, []string{"left"}) || r.Proof.Known != 3 || r.Proof.Equal != 1 || r.Proof.Ended != 1 {
		t.Errorf("%+v %+v", r, r.Proof)
	}
	if made.String() != "thisisaspecialsalt\n" {
		t.Errorf("%q", made.String())
	}
	var text, object bytes.Buffer
	r.Print(&text)
	if err := r.JSON(&object); err != nil || !json.Valid(object.Bytes()) {
		t.Error(err)
	}
	for _, want := range []string{"Proof: 1 of 3 known names", "salt_file = 'salt'", "entity_id = 'https://idp.example.ac.jp/idp/shibboleth'", "scopes = ['example.ac.jp']"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String()+object.String(), "thisisaspecialsalt") {
		t.Error("the salt is printed")
	}
	if _, err := o.Run(t.Context(), rp.TakeOver{}); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Error(err)
	}
}

func FuzzReadStored(f *testing.F) {
	f.Add(dumpCSV)
	f.Add(dumpSQL)
	f.Fuzz(func(t *testing.T, in string) {
		list, err := shibboleth.ReadStored(strings.NewReader(in))
		for _, s := range list {
			if err == nil && (s.Service == "" || s.Name == "") {
				t.Errorf("%+v", s)
			}
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add(filter, relying, providers)
	f.Fuzz(func(t *testing.T, filter, relying, providers string) {
		file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
		p, err := shibboleth.Read(fstest.MapFS{"conf/attribute-filter.xml": file(filter), "conf/relying-party.xml": file(relying), "conf/metadata-providers.xml": file(providers)}, time.Now())
		if err == nil && len(p.Feeds) > 0 {
			t.Error("a feed without a signer")
		}
	})
}
