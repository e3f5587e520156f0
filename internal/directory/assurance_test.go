package directory_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/directory"
	"seimon/internal/store"
)

// proofs reads "way document+document" separated by commas.
func proofs(text string, at time.Time) []directory.Proof {
	var out []directory.Proof
	for part := range strings.SplitSeq(text, ",") {
		f := strings.Fields(part)
		if len(f) == 0 {
			continue
		}
		p := directory.Proof{Way: directory.Way(f[0]), At: at}
		if len(f) > 1 {
			p.Documents = strings.Split(f[1], "+")
		}
		out = append(out, p)
	}
	return out
}

// short is a claim without what all have in common.
func short(values []string) string {
	var out []string
	for _, v := range values {
		v = strings.TrimPrefix(strings.TrimPrefix(v, "https://refeds.org/assurance/"), "https://www.gakunin.jp/profile/")
		out = append(out, strings.TrimSuffix(strings.NewReplacer("IAP/", "", "profile/", "", "version/2", "", "https://refeds.org/assurance", "").Replace(v), "/"))
	}
	return strings.TrimSpace(strings.Join(slices.DeleteFunc(out, func(s string) bool { return s == "" }), " "))
}

// TestAssuranceFromProofs is the table of claims. REFEDS Assurance Framework 2.0: 2.1 (ID),
// 2.2 (IAP), 2.3 (ATP), 3 (profiles); NIST SP 800-63A 4.4.1.2 and 4.4.1.6 for GakuNin's IAL2.
func TestAssuranceFromProofs(t *testing.T) {
	now := time.Date(2026, 4, 20, 9, 0, 0, 0, time.UTC)
	const id, fresh = "ID/unique ID/eppn-unique-no-reassign ", " ATP/ePA-1m"
	for _, c := range []struct{ name, proofs, want string }{
		{"nothing but a verified address", "", id + "low" + fresh},
		{"admission papers alone", "register admission-papers", id + "low" + fresh},
		{"admission papers and the letter that came back", "register admission-papers, address", id + "low medium" + fresh + " cappuccino"},
		{"a letter alone", "address", id + "low" + fresh},
		{"pictures of a passport", "photo passport", id + "low medium" + fresh + " cappuccino"},
		{"pictures of a student card", "photo student-card", id + "low" + fresh},
		{"a student card at the desk", "in-person student-card", id + "low" + fresh},
		{"a passport at the desk", "in-person passport", id + "low medium high" + fresh + " cappuccino espresso"},
		{"a passport on video", "supervised passport", id + "low medium high" + fresh + " cappuccino espresso"},
		{"a chip from home", "chip my-number-card", id + "low medium high" + fresh + " cappuccino espresso"},
		{"a chip from home and the letter", "chip my-number-card, address", id + "low medium high" + fresh + " cappuccino espresso IAL2"},
		{"a chip at the desk", "in-person-chip residence-card", id + "low medium high" + fresh + " cappuccino espresso IAL2"},
		{"two documents at the desk", "in-person passport+driving-licence", id + "low medium high" + fresh + " cappuccino espresso IAL2"},
		{"the same document twice is one", "in-person passport, in-person passport", id + "low medium high" + fresh + " cappuccino espresso"},
		{"one strong and two fair", "in-person driving-licence+health-insurance+pension", id + "low medium high" + fresh + " cappuccino espresso IAL2"},
		{"one strong and one fair", "in-person driving-licence+pension", id + "low medium high" + fresh + " cappuccino espresso"},
		{"two strong on video, no address", "supervised passport+driving-licence", id + "low medium high" + fresh + " cappuccino espresso"},
		{"two strong on video and the letter", "supervised passport+driving-licence, address", id + "low medium high" + fresh + " cappuccino espresso IAL2"},
		{"pictures do not add up to IAL2", "photo passport+driving-licence+residence-card, address", id + "low medium" + fresh + " cappuccino"},
		{"three fair ones", "in-person pension+student-card+health-insurance", id + "low" + fresh},
		{"a chip that is none", "chip pension, address", id + "low" + fresh},
	} {
		a := directory.Account{Kind: "student", State: directory.Active, Affiliations: []string{"student"}, Affirmed: now.Add(-time.Hour)}
		p := directory.Person{Mail: "a@example.ac.jp", MailVerified: now, Proofs: proofs(c.proofs, now.Add(-time.Hour))}
		claims := directory.Claims{REFEDS: true, IAL2: true, Enterprise: []string{"staff"}, Shared: []string{"shared"}}
		if got := short(claims.Assurance(a, p, true, now)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestAssuranceOfWeakFacts takes facts away from an account that has all claims.
func TestAssuranceOfWeakFacts(t *testing.T) {
	now := time.Date(2026, 4, 20, 9, 0, 0, 0, time.UTC)
	type all struct {
		c   directory.Claims
		a   directory.Account
		p   directory.Person
		own bool
	}
	for name, c := range map[string]struct {
		change func(x *all)
		want   string
	}{
		"everything":                       {func(*all) {}, "ID/unique ID/eppn-unique-no-reassign low medium high local-enterprise ATP/ePA-1m cappuccino espresso IAL2"},
		"a principal name of another kind": {func(x *all) { x.own = false }, "ID/unique low medium high local-enterprise ATP/ePA-1m cappuccino espresso IAL2"},
		"affiliations long unconfirmed":    {func(x *all) { x.a.Affirmed = now.Add(-31 * 24 * time.Hour) }, "ID/unique ID/eppn-unique-no-reassign low medium high local-enterprise IAL2"},
		"affiliations never confirmed":     {func(x *all) { x.a.Affirmed = time.Time{} }, "ID/unique ID/eppn-unique-no-reassign low medium high local-enterprise IAL2"},
		"no affiliation":                   {func(x *all) { x.a.Affiliations = nil }, "ID/unique ID/eppn-unique-no-reassign low medium high local-enterprise IAL2"},
		"no address at all":                {func(x *all) { x.p.Mail, x.p.MailVerified = "", time.Time{} }, "low medium high local-enterprise ATP/ePA-1m IAL2"},
		"another kind":                     {func(x *all) { x.a.Kind = "student" }, "ID/unique ID/eppn-unique-no-reassign low medium high ATP/ePA-1m cappuccino espresso IAL2"},
		"a shared account":                 {func(x *all) { x.a.Kind = "shared" }, ""},
		"not activated yet":                {func(x *all) { x.a.State = directory.Pending }, ""},
		"a proof that is over":             {func(x *all) { x.p.Proofs[0].Until = now }, "ID/unique ID/eppn-unique-no-reassign low local-enterprise ATP/ePA-1m"},
		"a proof taken back":               {func(x *all) { x.p.Proofs[0].Ended = now }, "ID/unique ID/eppn-unique-no-reassign low local-enterprise ATP/ePA-1m"},
		"a proof of tomorrow":              {func(x *all) { x.p.Proofs[0].At = now.Add(24 * time.Hour) }, "ID/unique ID/eppn-unique-no-reassign low local-enterprise ATP/ePA-1m"},
		"no framework":                     {func(x *all) { x.c.REFEDS = false }, "IAL2"},
		"GakuNin has not accepted":         {func(x *all) { x.c.IAL2 = false }, "ID/unique ID/eppn-unique-no-reassign low medium high local-enterprise ATP/ePA-1m cappuccino espresso"},
		"nothing may be said":              {func(x *all) { x.c = directory.Claims{} }, ""},
		"another name":                     {func(x *all) { x.c.Values = map[string]string{"https://www.gakunin.jp/profile/IAL2": "urn:new"} }, "ID/unique ID/eppn-unique-no-reassign low medium high local-enterprise ATP/ePA-1m cappuccino espresso urn:new"},
		"one left out":                     {func(x *all) { x.c.Values = map[string]string{"https://refeds.org/assurance/profile/espresso": ""} }, "ID/unique ID/eppn-unique-no-reassign low medium high local-enterprise ATP/ePA-1m cappuccino IAL2"},
	} {
		x := all{
			directory.Claims{REFEDS: true, IAL2: true, Enterprise: []string{"staff"}, Shared: []string{"shared"}},
			directory.Account{Kind: "staff", State: directory.Active, Affiliations: []string{"staff"}, Affirmed: now},
			directory.Person{Mail: "a@example.ac.jp", MailVerified: now, Proofs: proofs("in-person-chip my-number-card", now.Add(-time.Hour))}, true,
		}
		c.change(&x)
		if got := short(x.c.Assurance(x.a, x.p, x.own, now)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestProofsAreKeptAndTakenBack(t *testing.T) {
	h := open(t)
	d := directory.New(h.db, directory.Campus{Scopes: []string{"example.ac.jp"}, Claims: directory.Claims{REFEDS: true}})
	p, a := hanako()
	a.Attributes = map[string][]string{"eduPersonAssurance": {"https://refeds.org/assurance/IAP/high", "https://refeds.org/assurance", "https://www.gakunin.jp/profile/IAL2", "urn:campus:gold"}}
	a, p = h.add(p, a)
	says := func() string {
		t.Helper()
		var out []string
		h.read(func(tx *store.Tx) error {
			a, p, err := d.ByID(tx, a.ID)
			out = d.Attributes(a, p)["eduPersonAssurance"]
			return err
		})
		return short(out)
	}
	// What somebody wrote into the account raises nothing.
	if got := says(); got != "urn:campus:gold ID/unique ID/eppn-unique-no-reassign ATP/ePA-1m" {
		t.Errorf("before any proof: %q", got)
	}
	var id string
	h.write(func(tx *store.Tx) error {
		made, err := d.Prove(tx, directory.Proof{Person: p.ID, Way: directory.InPerson, Documents: []string{"passport"}, By: "cli:desk", Place: "desk 3"})
		id = made.ID
		return err
	})
	if got := says(); !strings.Contains(got, "high") || !strings.HasSuffix(got, "espresso") {
		t.Errorf("with a proof: %q", got)
	}
	h.clock.Add(32 * 24 * time.Hour)
	if got := says(); strings.Contains(got, "ePA-1m") || strings.Contains(got, "espresso") || !strings.Contains(got, "high") {
		t.Errorf("a month later: %q", got)
	}
	h.write(func(tx *store.Tx) error { return d.Affirm(tx, a.ID) })
	if got := says(); !strings.HasSuffix(got, "espresso") {
		t.Errorf("affirmed: %q", got)
	}
	h.write(func(tx *store.Tx) error { _, err := d.Disprove(tx, id, "forged", "cli:head"); return err })
	if got := says(); strings.Contains(got, "IAP") || strings.Contains(got, "espresso") || strings.Contains(got, "low") {
		t.Errorf("taken back: %q", got)
	}
	h.read(func(tx *store.Tx) error {
		all, err := d.Proofs(tx, p.ID)
		if len(all) != 1 || all[0].EndedWhy != "forged" || all[0].EndedBy != "cli:head" || all[0].Place != "desk 3" || all[0].By != "cli:desk" {
			t.Errorf("on record: %+v", all)
		}
		return err
	})
	for what, bad := range map[string]directory.Proof{
		"no document":     {Way: directory.InPerson, By: "x"},
		"unknown way":     {Way: "seen", Documents: []string{"passport"}, By: "x"},
		"unknown kind":    {Way: directory.InPerson, Documents: []string{"library-card"}, By: "x"},
		"twice":           {Way: directory.InPerson, Documents: []string{"passport", "passport"}, By: "x"},
		"nobody did it":   {Way: directory.InPerson, Documents: []string{"passport"}},
		"to come":         {Way: directory.InPerson, Documents: []string{"passport"}, By: "x", At: h.clock.Now().Add(time.Hour)},
		"address with it": {Way: directory.Address, Documents: []string{"passport"}, By: "x"},
		"over at once":    {Way: directory.InPerson, Documents: []string{"passport"}, By: "x", At: h.clock.Now(), Until: h.clock.Now()},
	} {
		bad.Person = p.ID
		err := h.db.Write(t.Context(), func(tx *store.Tx) error { _, err := d.Prove(tx, bad); return err })
		if err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

func TestAUserNameIsNeverGivenAgain(t *testing.T) {
	h := open(t)
	a, p := h.add(hanako())
	first := a.UserName
	rename := func(name string) error {
		return h.db.Write(t.Context(), func(tx *store.Tx) error {
			changed := a
			changed.UserName = name
			return h.Update(tx, changed, p)
		})
	}
	if err := rename("hanako.s"); err != nil {
		t.Fatal(err)
	}
	other := directory.Account{UserName: strings.ToUpper(first), Kind: "student"}
	person := directory.Person{Name: directory.Names{Family: "別", Given: "人"}}
	add := func() error {
		return h.db.Write(t.Context(), func(tx *store.Tx) error { _, _, err := h.Add(tx, person, other); return err })
	}
	if err := add(); err != directory.ErrTaken { //nolint:errorlint // it comes as it is
		t.Errorf("a former name is given to another account: %v", err)
	}
	if err := rename(first); err != nil {
		t.Errorf("the account cannot have its own name back: %v", err)
	}
	other.UserName = "jiro"
	if err := add(); err != nil {
		t.Fatal(err)
	}
	if err := rename("hanako.s"); err != nil {
		t.Fatal(err)
	}
	h.write(func(tx *store.Tx) error {
		b, q, err := h.ByUserName(tx, "jiro")
		if err != nil {
			return err
		}
		b.UserName = first
		if err := h.Update(tx, b, q); err != directory.ErrTaken { //nolint:errorlint // it comes as it is
			t.Errorf("another account takes a former name: %v", err)
		}
		return nil
	})
}
