package fronttest

import (
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/login/logintest"
	"seimon/internal/rp"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

func signsIn(s *scene) {
	begun := s.House.Clock.Now()
	a, ok := s.enter(s.browser(logintest.Campus), "library", s.taro)
	if !ok || a.Level != authn.AAL1 || a.Subject == "" || a.At.Before(begun) {
		s.Errorf("a password on campus: %+v %v", a, ok)
	}
	a, ok = s.enter(s.browser(logintest.Home), "payroll", s.hanako)
	if !ok || a.Level != authn.AAL2 {
		s.Errorf("a password and a code: %+v %v", a, ok)
	}
}

// least is what the test policy asks for.
func least(id, address string) authn.Level {
	if id == "payroll" || id == "webmail" && address == logintest.Home {
		return authn.AAL2
	}
	return authn.AAL1
}

// neverWeaker walks about at random, with several tabs, places, people and ends of
// sessions. Whatever a service learns must satisfy its rule, from here and now.
func neverWeaker(s *scene) {
	learnt := map[authn.Level]int{}
	dice := rand.New(rand.NewPCG(7, 7))
	ids := []string{"library", "webmail", "payroll"}
	people := []directory.Account{s.hanako, s.taro}
	for range 3 {
		tab := s.browser(logintest.Campus)
		for range 25 {
			id, who := ids[dice.IntN(3)], people[dice.IntN(2)]
			place := []string{logintest.Campus, logintest.Home}[dice.IntN(2)]
			tab.Address = place + ":40000"
			tab.Get(s.Ask(id, dice.IntN(3) == 0))
			if dice.IntN(5) > 0 {
				s.walk(tab, who)
			}
			learnt[s.judge(tab, id, place)]++
			switch dice.IntN(6) {
			case 0:
				s.House.Clock.Add(time.Duration(dice.IntN(20)) * time.Minute)
			case 1:
				s.House.Write(func(tx *store.Tx) error { return s.House.Sessions.EndAll(tx, who.ID, "test", "") })
			case 2:
				tab.Address = place + ":40000"
				learnt[s.judge(tab.Get(s.Ask("payroll", true)), "payroll", place)]++
			}
		}
	}
	if learnt[authn.AAL1] < 5 || learnt[authn.AAL2] < 5 || learnt[authn.LevelNone] < 5 {
		s.Errorf("the walk was too narrow to tell anything: %v", learnt)
	}
}

// judge checks what a service learnt and gives the level, none if it learnt nothing.
func (s *scene) judge(b *webtest.Browser, id, place string) authn.Level {
	s.Helper()
	if !s.Back(b, id) {
		return authn.LevelNone
	}
	a, ok := s.Learn(b, id)
	if !ok {
		return authn.LevelNone
	}
	if a.Level < least(id, place) {
		s.Errorf("%s from %s got in with %s", id, place, a.Level)
	}
	taro, hanako := s.subjects(id)
	if a.Subject != taro && a.Subject != hanako {
		s.Errorf("%s learnt the subject %q, which is nobody's", id, a.Subject)
	}
	if age := s.House.Clock.Now().Sub(a.At); id == "payroll" && age > 5*time.Minute+time.Second {
		s.Errorf("payroll took a sign-in %v old", age)
	}
	if a.Subject == taro && a.Level > authn.AAL1 {
		s.Errorf("taro, who has a password alone, is asserted at %s", a.Level)
	}
	return a.Level
}

// subjects gives the identifiers of taro and hanako at a service.
func (s *scene) subjects(id string) (taro, hanako string) {
	err := s.House.DB.Read(s.Context(), func(tx *store.Tx) error {
		p, err := s.House.Parties.Get(tx, id)
		taro, hanako = s.House.Parties.SubjectFor(p, s.taro.ID), s.House.Parties.SubjectFor(p, s.hanako.ID)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return taro, hanako
}

func passive(s *scene) {
	b := s.browser(logintest.Home)
	for _, id := range []string{"library", "payroll"} {
		if b.Get(s.Ask(id, true)); !s.Back(b, id) {
			s.Fatalf("%s: a page was shown: %s", id, b.Location())
		}
		if _, ok := s.Learn(b, id); ok {
			s.Errorf("%s: nobody is signed in, yet somebody is asserted", id)
		}
	}
	if _, ok := s.enter(b, "library", s.hanako); !ok {
		s.Fatal("hanako cannot sign in")
	}
	b.Get(s.Ask("library", true))
	if _, ok := s.Learn(b, "library"); !ok {
		s.Error("a live session does not answer a passive request")
	}
	b.Get(s.Ask("payroll", true))
	if _, ok := s.Learn(b, "payroll"); ok || !s.Back(b, "payroll") {
		s.Error("a passive request was answered with less than the rule asks")
	}
}

// requestsStayApart signs in with two tabs at once: each ends where it was going,
// and an answer given in one tab does not finish the other.
func requestsStayApart(s *scene) {
	one := s.browser(logintest.Home)
	one.Get(s.Ask("library", false))
	two := one.Tab()
	two.Get(s.Ask("payroll", false))
	s.walk(one, s.hanako)
	if _, ok := s.Learn(one, "library"); !ok || !s.Back(one, "library") {
		s.Fatalf("the first tab is at %s", one.Location())
	}
	s.walk(two, s.hanako)
	if !s.Back(two, "payroll") {
		s.Fatalf("the second tab is at %s", two.Location())
	}
	if a, ok := s.Learn(two, "payroll"); !ok || a.Level != authn.AAL2 {
		s.Errorf("payroll learnt %+v %v", a, ok)
	}
	// A form of one sign-in, sent to the address of another.
	three := one.Tab()
	s.House.Write(func(tx *store.Tx) error { return s.House.Sessions.EndAll(tx, s.hanako.ID, "test", "") })
	three.Get(s.Ask("library", false))
	four := one.Tab()
	four.Get(s.Ask("payroll", false))
	four.Post(four.URL.Path, map[string][]string{"pass": {three.Field("pass")}, "username": {"hanako"}})
	if s.Back(four, "payroll") || s.Back(four, "library") {
		s.Errorf("a foreign form moved a sign-in on: %s", four.Location())
	}
}

func anotherBrowser(s *scene) {
	attacker, victim := s.browser(logintest.Home), s.browser(logintest.Home)
	attacker.Get(s.Ask("library", false))
	s.walk(victim.Get(attacker.URL.Path), s.hanako)
	if s.Back(victim, "library") {
		s.Errorf("a sign-in begun elsewhere ended in this browser: %s", victim.Location())
	}
	s.walk(attacker, s.taro)
	if !s.Back(attacker, "library") {
		s.Errorf("the one who began it cannot go on: %s", attacker.Location())
	}
}

func statesCount(s *scene) {
	b := s.browser(logintest.Home)
	if _, ok := s.enter(b, "library", s.hanako); !ok {
		s.Fatal("hanako cannot sign in")
	}
	s.House.Write(func(tx *store.Tx) error {
		return s.House.People.SetState(tx, s.hanako.ID, directory.Suspended, "left", "test")
	})
	for _, passive := range []bool{false, true} {
		b.Get(s.Ask("library", passive))
		if s.Back(b, "library") {
			if _, ok := s.Learn(b, "library"); ok {
				s.Error("a suspended account was asserted from a live session")
			}
		}
	}
	if _, ok := s.enter(s.browser(logintest.Home), "library", s.hanako); ok {
		s.Error("a suspended account signed in")
	}
}

func onlyGranted(s *scene) {
	if a, ok := s.enter(s.browser(logintest.Home), "library", s.taro); !ok || strings.Join(a.Attributes["mail"], " ") != "taro@example.ac.jp" {
		s.Errorf("what is granted did not arrive: %+v", a)
	}
	s.Register("poor", func(p *rp.Party) { p.Release = nil })
	s.House.Apply(strings.ReplaceAll(logintest.Policy, `"library"`, `"poor"`))
	if a, ok := s.enter(s.browser(logintest.Home), "poor", s.taro); !ok || len(a.Attributes) != 0 {
		s.Errorf("what is not granted arrived: %+v %v", a, ok)
	}
}

func subjectsAreStable(s *scene) {
	s.Register("alone", func(p *rp.Party) { p.Pairwise, p.Sector = true, "alone.example" })
	s.House.Apply(strings.ReplaceAll(logintest.Policy, `"webmail"`, `"alone"`))
	first, _ := s.enter(s.browser(logintest.Campus), "library", s.taro)
	again, ok := s.enter(s.browser(logintest.Home), "library", s.taro)
	if !ok || first.Subject != again.Subject {
		s.Errorf("the subject changed from %q to %q", first.Subject, again.Subject)
	}
	other, _ := s.enter(s.browser(logintest.Campus), "library", s.hanako)
	if other.Subject == first.Subject || other.Subject == "" {
		s.Error("two people have one subject")
	}
	pairwise, ok := s.enter(s.browser(logintest.Campus), "alone", s.taro)
	if !ok || pairwise.Subject == first.Subject {
		s.Errorf("a pairwise service learnt the public subject %q", pairwise.Subject)
	}
	for _, a := range []Assertion{first, pairwise} {
		if strings.Contains(a.Subject, string(s.taro.ID)) || strings.Contains(a.Subject, "taro") {
			s.Errorf("the subject %q tells the account", a.Subject)
		}
	}
}

func unknownService(s *scene) {
	b := s.browser(logintest.Home)
	b.Get(s.Ask("nobody", false))
	if b.Left() || b.Status < http.StatusBadRequest || b.Status >= http.StatusInternalServerError {
		s.Errorf("an unknown service got %d at %s", b.Status, b.Location())
	}
	s.Register("closed", func(p *rp.Party) { p.Disabled = true })
	if b.Get(s.Ask("closed", false)); b.Left() || b.Status < http.StatusBadRequest {
		s.Errorf("a closed service got %d at %s", b.Status, b.Location())
	}
}

// closedMeanwhile closes a service while people sign in to it: it is told nothing any
// more, neither who came nor that somebody went back.
func closedMeanwhile(s *scene) {
	b, leaving := s.browser(logintest.Home), s.browser(logintest.Home)
	b.Get(s.Ask("library", false))
	leaving.Get(s.Ask("library", false))
	s.Register("library", func(p *rp.Party) { p.Disabled = true })
	for what, b := range map[string]*webtest.Browser{"to the end": s.walk(b, s.hanako), "by the way back": leaving.Submit("Cancel")} {
		if b.Left() || s.Back(b, "library") || b.Status < http.StatusBadRequest || b.Status >= http.StatusInternalServerError {
			s.Errorf("%s: a service that was closed meanwhile: %d at %s", what, b.Status, b.Location())
		}
	}
}

// floodStaysSmall sends what is refused, and what is begun and left, again and again:
// the record grows by a bounded number of rows, every support code that a page shows
// leads to one of them, and whoever comes from elsewhere is on record in full.
func floodStaysSmall(s *scene) {
	b := s.browser("203.0.113.66")
	for range 80 {
		b.Get(s.Ask("nobody", false))
		if rows := s.records(audit.Query{Support: code.FindString(b.Text())}); len(rows) == 0 {
			s.Fatalf("the page shows a code that leads nowhere: %s", b.Text())
		}
	}
	if n := len(s.records(audit.Query{TypePrefix: "request.refused"})); n == 0 || n > audit.Few().Cause {
		s.Errorf("80 wrong requests made %d rows", n)
	}
	most := audit.Many().Source
	for i := range most + 100 {
		if i%100 == 0 { // what one page after the other costs is not the matter here
			b = s.browser("203.0.113.66")
		}
		b.Get(s.Ask("library", i%2 == 0))
	}
	all := s.records(audit.Query{})
	if n := len(all); n > 2*most+audit.Few().Cause {
		s.Errorf("sign-ins that nobody went on with made %d rows", n)
	}
	if _, ok := s.enter(b, "library", s.taro); !ok {
		s.Fatal("taro cannot sign in behind the flood")
	}
	on := map[string]bool{}
	for _, e := range s.records(audit.Query{})[len(all):] {
		on[e.Type] = true
	}
	if !on["signin.proved"] || !on["signin.done"] {
		s.Errorf("a sign-in behind the flood left %v", on)
	}
	elsewhere := s.browser(logintest.Home)
	elsewhere.Get(s.Ask("nobody", false))
	if rows := s.records(audit.Query{Support: code.FindString(elsewhere.Text())}); len(rows) != 1 || rows[0].Address != logintest.Home {
		s.Errorf("somebody else's refused request: %v", rows)
	}
}

// code is a support code.
var code = regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}`)

func (s *scene) records(q audit.Query) (out []audit.Event) {
	s.Helper()
	q.Limit = 10_000
	err := s.House.DB.Read(s.Context(), func(tx *store.Tx) (err error) {
		out, err = s.House.Audit.Find(tx, q)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return out
}

func signOutReaches(s *scene) {
	if s.Told == nil {
		return
	}
	b := s.browser(logintest.Home)
	if _, ok := s.enter(b, "library", s.hanako); !ok {
		s.Fatal("hanako cannot sign in")
	}
	if _, ok := s.enter(b, "payroll", s.hanako); !ok {
		s.Fatal("hanako cannot go on")
	}
	if s.Told("library")+s.Told("payroll") != 0 {
		s.Fatal("told of an end that was none")
	}
	s.House.Write(func(tx *store.Tx) error { return s.House.Sessions.EndAll(tx, s.hanako.ID, "test", "") })
	if s.Told("library") != 1 || s.Told("payroll") != 1 || s.Told("webmail") != 0 {
		s.Errorf("told: library %d, payroll %d, webmail %d", s.Told("library"), s.Told("payroll"), s.Told("webmail"))
	}
	b.Get(s.Ask("library", true))
	if _, ok := s.Learn(b, "library"); ok {
		s.Error("the session is over, yet somebody is asserted")
	}
}

func wrongPassword(s *scene) {
	b := s.browser(logintest.Home)
	b.Get(s.Ask("library", false)).Submit("Continue", "username", "taro").Submit("Continue", "password", "wrong")
	if s.Back(b, "library") {
		s.Errorf("left for the service with a wrong password: %s", b.Location())
	}
}
