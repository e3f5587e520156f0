// Command conformance is a peer of the lab: it plays the modules of the OpenID
// Foundation's plans for providers, with their names, what they send and what they
// demand: oidcc-basic, oidcc-config, oidcc-formpost-basic, RP-initiated logout and
// back-channel logout, each for static clients with discovery.
//
// Verdicts are the suite's: a module PASSES, passes with a WARNING, FAILS, or is not
// applicable where the suite itself would skip it. Clients are registered with
// pkce=optional, as the plans send no code_challenge except where they test it.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"seimon/test/lab/stand"
)

// module is one test of a plan.
type module struct {
	name string
	run  func(*test)
}

// plan is a certification profile.
type plan struct {
	name     string
	formPost bool
	modules  []module
}

func plans() []plan {
	return []plan{
		{"config", false, configModules()},
		{"basic", false, basicModules()},
		{"formpost-basic", true, basicModules()},
		{"rp-initiated-logout", false, logoutModules()},
		{"backchannel-logout", false, backchannelModules()},
		{"beyond the plans", false, furtherModules()},
	}
}

// atOnce bounds how many modules run at the same time: most of them wait.
const atOnce = 6

func main() {
	s, err := stand.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := stand.NewReport("conformance")
	var all *suite
	if !r.Check("the suite is set up", func() (err error) { all, err = open(s); return err }) {
		r.Exit()
	}
	var tests []*test
	for _, p := range plans() {
		for _, m := range p.modules {
			tests = append(tests, &test{suite: all, plan: p.name, module: m, formPost: p.formPost})
		}
	}
	// The longest first, so that nothing waits for them in the end.
	order := slices.Clone(tests)
	slices.SortStableFunc(order, func(a, b *test) int { return b.patience() - a.patience() })
	var wait sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, t := range order {
		wait.Add(1)
		slots <- struct{}{}
		if t.patience() > 0 {
			<-slots // it only waits
		}
		go func() {
			defer wait.Done()
			t.play()
			if t.patience() == 0 {
				<-slots
			}
		}()
	}
	wait.Wait()
	for _, t := range tests {
		t.report(r)
	}
	r.Exit()
}

// patience puts modules first that wait for half a minute.
func (t *test) patience() int {
	if strings.HasSuffix(t.name, "30seconds") {
		return 1
	}
	return 0
}

func (t *test) report(r *stand.Report) {
	name := t.plan + ": " + t.name
	switch {
	case len(t.failures) > 0:
		r.Result(name, fmt.Errorf("FAILED: %s", strings.Join(t.failures, "; ")))
	case t.skipped != "":
		fmt.Printf("n/a  conformance: %s: %s\n", name, t.skipped)
	case len(t.warnings) > 0 && t.name == "oidcc-scope-profile": // a directory has no nicknames, pictures and birthdays
		r.Result(name+": WARNING: "+strings.Join(t.warnings, "; "), nil)
	case len(t.warnings) > 0: // the plan would pass; we have no reason to be warned
		r.Result(name, fmt.Errorf("WARNING: %s", strings.Join(t.warnings, "; ")))
	default:
		r.Result(name+": PASSED", nil)
	}
}
