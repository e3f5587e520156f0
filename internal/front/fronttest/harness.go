package fronttest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/login/logintest"
	"seimon/internal/rp"
	"seimon/internal/web/webtest"
)

// Assertion is what a service learns from a front, read by the means of the
// service: signatures checked, codes exchanged.
type Assertion struct {
	Subject    string
	Level      authn.Level
	At         time.Time // when the person proved who they are
	Attributes map[string][]string
}

// Harness is a front in a house. Its functions stop the test on faults of their own.
type Harness struct {
	House *logintest.House
	// Register makes a service of the front's protocol in place of whatever has its
	// id. It may get the attribute mail.
	Register func(id string, change func(*rp.Party))
	// Ask is the address to which the service sends a browser. passive asks for no page.
	Ask func(id string, passive bool) string
	// Learn reads what came back to the service. ok is false when that was no
	// sign-in: an error, or nothing.
	Learn func(b *webtest.Browser, id string) (a Assertion, ok bool)
	// Back tells whether the browser has left for the service.
	Back func(b *webtest.Browser, id string) bool
	// Told runs the work that waits and counts the sign-outs that the service heard
	// of; nil when the protocol has none.
	Told func(id string) int
}

// Run runs every promise against fresh houses made by open.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for name, promise := range map[string]func(*scene){
		"signs in":                  signsIn,
		"never weaker":              neverWeaker,
		"passive shows no page":     passive,
		"requests stay apart":       requestsStayApart,
		"another browser":           anotherBrowser,
		"states count":              statesCount,
		"only what is granted":      onlyGranted,
		"subjects are stable":       subjectsAreStable,
		"unknown service":           unknownService,
		"closed meanwhile":          closedMeanwhile,
		"a flood stays small":       floodStaysSmall,
		"sign-out reaches visits":   signOutReaches,
		"wrong password gives none": wrongPassword,
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{T: t, Harness: open(t)}
			s.House.Apply(logintest.Policy)
			for _, id := range []string{"library", "webmail", "payroll"} {
				s.Register(id, func(*rp.Party) {})
			}
			s.hanako, s.taro = s.House.Person("hanako"), s.House.Person("taro")
			s.House.App(s.hanako.ID)
			promise(s)
		})
	}
}

// scene is a house with three services and two people: hanako has an app, taro only
// a password.
type scene struct {
	*testing.T
	Harness
	hanako, taro directory.Account
}

func (s *scene) browser(address string) *webtest.Browser {
	b := webtest.New(s.T, logintest.Origin, s.House.Site.Handler())
	b.Accept, b.Address = "en", address+":40000"
	return b
}

// field tells whether the page has a field of this name to fill in.
func field(b *webtest.Browser, name string) bool {
	return !b.Left() && strings.Contains(b.Body, `name="`+name+`"`)
}

// walk answers what the pages ask, rightly, until the browser leaves or a page
// asks for something else.
func (s *scene) walk(b *webtest.Browser, who directory.Account) *webtest.Browser {
	for range 6 {
		switch {
		case field(b, "password"):
			b.Submit("Continue", "password", logintest.Password)
		case field(b, "code"):
			if !slices.Contains(s.House.Kinds(who.ID), "totp") {
				return b
			}
			s.House.Clock.Add(31 * time.Second) // a code serves once
			b.Submit("Continue", "code", s.House.Code(who.ID, 0))
		case field(b, "username"):
			b.Submit("Continue", "username", who.UserName)
		default:
			return b
		}
	}
	return b
}

// enter signs somebody in to a service from nothing.
func (s *scene) enter(b *webtest.Browser, id string, who directory.Account) (Assertion, bool) {
	s.Helper()
	s.walk(b.Get(s.Ask(id, false)), who)
	if !s.Back(b, id) {
		return Assertion{}, false
	}
	return s.Learn(b, id)
}
