package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"seimon/test/lab/stand"
)

// member is a real service provider that the gate knows from a signed feed alone.
type member struct {
	stand    *stand.Stand
	browser  *chromium
	provider provider
	id       string
	about    string // its own metadata
	dir      string
	cert     string // of the federation's signer
	key      string
}

const (
	research = "http://refeds.org/category/research-and-scholarship"
	feedName = "labsp"
)

// federate makes the Shibboleth SP a member of a federation: its registration is
// removed, and its metadata comes in an aggregate that xmlsec1 signs.
func federate(s *stand.Stand, c *chromium, a *apache) (*member, error) {
	m := &member{stand: s, browser: c, provider: a.providers()[0], id: "https://shib.localhost/sp", dir: filepath.Join(s.Work, "labfeed")}
	text, err := get(s.Client(), a.origin("shib.localhost")+"/Shibboleth.sso/Metadata")
	if err != nil {
		return nil, err
	}
	m.about = regexp.MustCompile(`(?s)<\?xml.*?\?>|<!--.*?-->`).ReplaceAllString(string(text), "")
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return nil, err
	}
	who, err := newIdentity("signer")
	if err == nil {
		m.cert, m.key, err = who.files(m.dir, "signer")
	}
	if err != nil {
		return nil, err
	}
	if out, err := command(s, nil, "party", "remove", m.id); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if err := m.publish(10 * 24 * time.Hour); err != nil {
		return nil, err
	}
	out, err := command(s, nil, "feed", "add", feedName, "--url", "file:"+m.file(), "--signer", m.cert)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return m, m.refresh()
}

func (m *member) file() string { return filepath.Join(m.dir, "feed.xml") }

// publish writes the aggregate and lets xmlsec1 sign it.
func (m *member) publish(life time.Duration) error {
	at := strings.Index(m.about, "<md:Extensions")
	if at < 0 {
		return errors.New("the metadata of the Shibboleth SP has no Extensions")
	}
	at += strings.IndexByte(m.about[at:], '>') + 1
	entity := m.about[:at] + `<mdattr:EntityAttributes xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute"><saml:Attribute xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"` +
		` Name="http://macedir.org/entity-category" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"><saml:AttributeValue>` + research +
		`</saml:AttributeValue></saml:Attribute></mdattr:EntityAttributes>` + m.about[at:]
	const dsig, exc = "http://www.w3.org/2000/09/xmldsig#", "http://www.w3.org/2001/10/xml-exc-c14n#"
	text := `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_feed" Name="urn:lab" cacheDuration="PT1H" validUntil="` +
		time.Now().Add(life).UTC().Format(time.RFC3339) + `"><ds:Signature xmlns:ds="` + dsig + `"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="` + exc +
		`"/><ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><ds:Reference URI="#_feed"><ds:Transforms><ds:Transform Algorithm="` + dsig +
		`enveloped-signature"/><ds:Transform Algorithm="` + exc + `"/></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/>` +
		`</ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature><md:Extensions><mdrpi:PublicationInfo xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi" publisher="urn:lab" creationInstant="` +
		time.Now().UTC().Format(time.RFC3339) + `"/></md:Extensions>` + entity + `</md:EntitiesDescriptor>`
	template := filepath.Join(m.dir, "template.xml")
	if err := os.WriteFile(template, []byte(text), 0o644); err != nil {
		return err
	}
	out, err := exec.Command("xmlsec1", "--sign", "--privkey-pem", m.key+","+m.cert, "--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:metadata:EntitiesDescriptor",
		"--output", m.file(), template).CombinedOutput()
	if err != nil {
		return fmt.Errorf("xmlsec1: %w: %s", err, out)
	}
	return nil
}

func (m *member) refresh() error {
	out, err := command(m.stand, nil, "feed", "refresh", feedName)
	if err == nil && !strings.Contains(string(out), "1 of them services") {
		err = errors.New("the service is not in it")
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// signIn: what the entity category grants leaves after the person was told, and is not
// asked about again.
func (m *member) signIn() error {
	who := m.stand.Take(false)
	j := as(who, "campus", m.provider.plain)
	e, err := m.browser.walk(j)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(e.URL, m.stand.SSO+"/login/") || !strings.Contains(e.Text, who.User+"@seimon.example") {
		return fmt.Errorf("nobody was told what leaves, at %s: %.300s", e.URL, e.Text)
	}
	j.Press = []string{"form button.primary"}
	if e, err = m.browser.walk(j); err != nil {
		return err
	}
	s, err := e.seen()
	if err != nil {
		return err
	}
	for attribute, want := range map[string]string{"eppn": who.User + "@seimon.example", "mail": who.User + "@seimon.example"} {
		if !slices.Equal(s.Attributes[attribute], []string{want}) {
			return fmt.Errorf("%s is %v", attribute, s.Attributes[attribute])
		}
	}
	if s.Name == "" || len(s.Attributes["persistent-id"]) != 1 || len(s.Attributes["affiliation"]) == 0 {
		return fmt.Errorf("the category's attributes are not all there: %v", s.Attributes)
	}
	if len(s.Attributes["jaDisplayName"])+len(s.Attributes["pairwise-id"]) > 0 {
		return fmt.Errorf("more left than the category grants: %v", s.Attributes)
	}
	again := as(who, "campus", m.provider.plain)
	again.Browser += " again"
	if e, err = m.browser.walk(again); err == nil {
		_, err = e.seen()
	}
	if err != nil {
		return fmt.Errorf("the second time: %w", err)
	}
	return nil
}

// expire lets the feed die: people see a calm page, and its code tells the cause.
func (m *member) expire() error {
	var dead time.Time
	for life := 6 * time.Second; ; life *= 2 { // longer where reading it takes longer
		if err := m.publish(life); err != nil {
			return err
		}
		dead = time.Now().Add(life + time.Second)
		err := m.refresh()
		if err == nil {
			break
		}
		if life > time.Minute || time.Now().Before(dead.Add(-2*time.Second)) {
			return err
		}
	}
	time.Sleep(time.Until(dead))
	e, err := m.browser.walk(as(m.stand.Take(false), "campus", m.provider.plain))
	if err != nil {
		return err
	}
	code := regexp.MustCompile(`[A-Z0-9]{4}-[A-Z0-9]{4}`).FindString(e.Text)
	if !strings.HasPrefix(e.URL, m.stand.SSO) || code == "" {
		return fmt.Errorf("at %s: %.300s", e.URL, e.Text)
	}
	for _, word := range []string{"validUntil", "XML", "metadata"} {
		if strings.Contains(e.Text, word) {
			return fmt.Errorf("the page says %s to a person: %.300s", word, e.Text)
		}
	}
	for _, c := range []struct{ args, want []string }{
		{[]string{"explain", code}, []string{m.id, "validUntil"}},
		{[]string{"feed", "list"}, []string{feedName, "dead since"}},
	} {
		out, err := command(m.stand, nil, c.args...)
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				return fmt.Errorf("seimon %s: %v: no %q in %s", strings.Join(c.args, " "), err, want, out)
			}
		}
	}
	if err := m.publish(time.Hour); err != nil {
		return err
	}
	if err := m.refresh(); err != nil {
		return err
	}
	return m.signIn()
}
