// Command saml is a peer of the lab: SAML service providers that many campuses run,
// with people in Chromium. crewjam/saml and gosaml2 run in this program; the
// Shibboleth SP, mod_auth_mellon and SimpleSAMLphp run in one Apache.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"seimon/test/lab/stand"
)

// provider is one service provider: pages that want a sign-in, and one that wants MFA.
type provider struct {
	name       string
	plain, mfa string
	tellsClass bool
	logout     string // signs out
}

func main() {
	here := flag.String("here", "", "folder of the lab's sources")
	flag.Parse()
	s, err := stand.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := stand.NewReport("saml")
	idp, err := get(s.Client(), s.SSO+"/saml/metadata")
	var all []provider
	if !r.Check("metadata is there, Go services start", func() error {
		if err != nil {
			return err
		}
		all, err = goProviders(s, idp)
		return err
	}) {
		r.Exit()
	}
	judge(s, r, idp)
	a := &apache{}
	if r.Check("Apache and shibd start, their metadata is imported", func() error {
		a, err = startApache(s, idp)
		return err
	}) {
		all = append(all, a.providers()...)
	}
	defer a.stop()
	c, err := openChromium(*here)
	if !r.Check("Chromium starts", func() error { return err }) {
		r.Exit()
	}
	r.Check("every message that we send is valid by the schemas", func() error {
		w, err := startWitnesses(s, idp)
		if err != nil {
			return err
		}
		return w.walk(c)
	})
	for i, p := range all {
		v := &visit{stand: s, provider: p, browser: c, other: all[(i+1)%len(all)]}
		good := r.Check(p.name+": password on campus, attributes", v.campus)
		good = r.Check(p.name+": the service asks for MFA, the person steps up", v.stepUp) && good
		good = r.Check(p.name+": MFA that the person cannot reach is told to the service", v.unreached) && good
		good = r.Check(p.name+": sign-out there ends the session at the gate and elsewhere", v.leave) && good
		good = r.Check(p.name+": sign-out at the gate ends the session there", v.told) && good
		if !good {
			fmt.Println(a.log())
		}
	}
	m := &member{}
	if r.Check("the Shibboleth SP leaves the register and comes back in a feed that xmlsec1 signed", func() error {
		m, err = federate(s, c, a)
		return err
	}) {
		r.Check("federation: what its category grants leaves, the person is told once", m.signIn)
		r.Check("federation: a dead feed is a calm page with its cause, a fresh one lets in again", m.expire)
	}
	f := &referees{dir: s.Work}
	r.Check("our metadata while keys roll over: two keys, schema, and signature by xmlsec1", func() error { return f.rollover(s) })
	c.close()
	a.stop()
	r.Exit()
}

func goProviders(s *stand.Stand, idp []byte) ([]provider, error) {
	var all []provider
	for _, c := range []struct {
		name  string
		start func(*stand.Stand, string, string, []byte) (string, error)
		class bool
	}{{"crewjam", crewjamService, false}, {"gosaml2", gosaml2Service, true}} {
		plain, err := c.start(s, c.name+".localhost", "", idp)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		strong, err := c.start(s, c.name+"-mfa.localhost", mfa, idp)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		all = append(all, provider{name: c.name, plain: plain, mfa: strong, tellsClass: c.class, logout: plain + "logout"})
	}
	return all, nil
}

// visit is what people do at one provider.
type visit struct {
	stand    *stand.Stand
	provider provider
	browser  *chromium
	other    provider
}

// learnt checks what the service shows.
func (v *visit) learnt(e end, who stand.Person, class string) error {
	s, err := e.seen()
	if err != nil {
		return err
	}
	has := func(value string, names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(s.Attributes[n], value) })
	}
	switch {
	case s.Name == "":
		return errors.New("no name")
	case !has(who.User+"@seimon.example", "eduPersonPrincipalName", "eppn"):
		return fmt.Errorf("no scoped principal name: %v", s.Attributes)
	case !has(who.User+"@seimon.example", "mail"):
		return fmt.Errorf("no mail address: %v", s.Attributes)
	case len(s.Attributes["jaDisplayName"]) != 1 || !strings.Contains(s.Attributes["jaDisplayName"][0], " "):
		return fmt.Errorf("no Japanese name: %v", s.Attributes)
	case v.provider.tellsClass && s.Class != class:
		return fmt.Errorf("the class is %q, want %q", s.Class, class)
	}
	return nil
}

const protected = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"

func (v *visit) campus() error {
	who := v.stand.Take(false)
	e, err := v.browser.walk(as(who, "campus", v.provider.plain))
	if err != nil {
		return err
	}
	if slices.Contains(e.Asked, "totp") {
		return fmt.Errorf("asked %v", e.Asked)
	}
	return v.learnt(e, who, protected)
}

func (v *visit) stepUp() error {
	who := v.stand.Take(true)
	e, err := v.browser.walk(as(who, "campus", v.provider.plain))
	if err == nil {
		err = v.learnt(e, who, protected)
	}
	if err != nil {
		return fmt.Errorf("before the step up: %w", err)
	}
	if e, err = v.browser.walk(as(who, "campus", v.provider.mfa)); err != nil {
		return err
	}
	if !slices.Equal(e.Asked, []string{"totp"}) {
		return fmt.Errorf("asked %v at %s: %.200s", e.Asked, e.URL, e.Text)
	}
	return v.learnt(e, who, mfa)
}

// unreached cancels at the enrolment that is offered: the service hears of a failure.
func (v *visit) unreached() error {
	who := v.stand.Take(false)
	j := as(who, "home", v.provider.mfa)
	j.Press = []string{`button[name=act][value=cancel]`}
	e, err := v.browser.walk(j)
	if err != nil {
		return err
	}
	if strings.HasPrefix(e.URL, v.stand.SSO) {
		return fmt.Errorf("stayed at %s: %.200s", e.URL, e.Text)
	}
	if s, err := e.seen(); err == nil && s.Name != "" {
		return fmt.Errorf("let in: %+v", s)
	}
	return nil
}

// leave signs out at the provider: both it and another one send the person to the
// gate, which asks for a password again.
func (v *visit) leave() error {
	who := v.stand.Take(false)
	for _, address := range []string{v.other.plain, v.provider.plain} {
		e, err := v.browser.walk(as(who, "campus", address))
		if err == nil {
			_, err = e.seen()
		}
		if err != nil {
			return err
		}
	}
	e, err := v.browser.walk(as(who, "campus", v.provider.logout))
	if err != nil {
		return err
	}
	if strings.HasPrefix(e.URL, v.stand.SSO) {
		return fmt.Errorf("ended at %s: %.300s", e.URL, e.Text)
	}
	look := as(who, "campus", v.provider.plain)
	look.Look = true
	at, err := v.browser.walk(look)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(at.URL, v.stand.SSO+"/login/") {
		return fmt.Errorf("the session there lives on at %s after %s: %.200s", at.URL, e.URL, e.Text)
	}
	if err := v.asksAgain(who, v.other); err != nil {
		return fmt.Errorf("%s: %w after %s: %.200s", v.other.name, err, e.URL, e.Text)
	}
	return nil
}

// told signs out at the gate: the provider's own session is over too.
func (v *visit) told() error {
	who := v.stand.Take(false)
	e, err := v.browser.walk(as(who, "campus", v.provider.plain))
	if err == nil {
		_, err = e.seen()
	}
	if err != nil {
		return err
	}
	j := as(who, "campus", v.stand.SSO+"/signout")
	j.Press = []string{"form button.primary"}
	if e, err = v.browser.walk(j); err != nil {
		return err
	}
	if strings.Contains(e.Text, "everywhere") || strings.Contains(e.Text, "すべてのサービスからは") {
		return fmt.Errorf("partial at %s: %.300s", e.URL, e.Text)
	}
	if err := v.asksAgain(who, v.provider); err != nil {
		return fmt.Errorf("%w after %s: %.200s", err, e.URL, e.Text)
	}
	return nil
}

// asksAgain waits until a provider sends the person to the gate for a password; a
// sign-out by SOAP takes a moment.
func (v *visit) asksAgain(who stand.Person, p provider) error {
	for range 60 {
		e, err := v.browser.walk(as(who, "campus", p.plain))
		if err != nil {
			return err
		}
		if slices.Contains(e.Asked, "password") {
			return nil
		}
		if len(e.Asked) > 0 {
			return fmt.Errorf("asked %v", e.Asked)
		}
		time.Sleep(500 * time.Millisecond)
	}
	return errors.New("the session lives on")
}
