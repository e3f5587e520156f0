package directory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

type house struct {
	*directory.Directory
	db    *store.DB
	clock *storetest.Clock
	t     testing.TB
}

func open(t testing.TB) house {
	db, clock := storetest.Open(t, directory.Schema())
	return house{directory.New(db), db, clock, t}
}

func (h house) write(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.db.Write(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h house) read(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.db.Read(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func hanako() (directory.Person, directory.Account) {
	return directory.Person{
			Number: "1000017",
			Name:   directory.Names{"正門", "花子", "セイモン", "ハナコ", "Seimon", "Hanako"},
			Mail:   "hanako@seimon.example",
			Lang:   lang.JA,
		}, directory.Account{
			UserName: "s1000017", Kind: "student", State: directory.Active,
			Groups: []string{"students", "library"}, Affiliations: []string{"student", "member"},
			Attributes: map[string][]string{"department": {"Letters"}, "department;ja": {"文学部"}},
		}
}

func (h house) add(p directory.Person, a directory.Account) (directory.Account, directory.Person) {
	h.t.Helper()
	h.write(func(tx *store.Tx) (err error) {
		a, p, err = h.Add(tx, p, a)
		return err
	})
	return a, p
}

func TestAccountIsFoundAsTyped(t *testing.T) {
	h := open(t)
	a, p := h.add(hanako())
	for _, typed := range []string{"s1000017", "S1000017", " s1000017 ", "s1000017", "S1000017"} {
		h.read(func(tx *store.Tx) error {
			got, person, err := h.ByUserName(tx, typed)
			if err != nil {
				return fmt.Errorf("%q: %w", typed, err)
			}
			if got.ID != a.ID || person.ID != p.ID || person.Name.Given != "花子" || person.Mail != "hanako@seimon.example" {
				t.Errorf("%q found %+v %+v", typed, got, person)
			}
			if !slices.Equal(got.Groups, []string{"library", "students"}) || got.Attributes["department;ja"][0] != "文学部" {
				t.Errorf("groups %v, attributes %v", got.Groups, got.Attributes)
			}
			return nil
		})
	}
	for _, typed := range []string{"", "s1000018", "hanako@seimon.example", strings.Repeat("s", 5000), "s100001\x00", "\xff\xfe"} {
		h.read(func(tx *store.Tx) error {
			if _, _, err := h.ByUserName(tx, typed); !errors.Is(err, directory.ErrNone) {
				t.Errorf("%.20q: %v", typed, err)
			}
			return nil
		})
	}
}

func TestUserNamesAreUniqueWhateverTheirWidthAndCase(t *testing.T) {
	h := open(t)
	h.add(hanako())
	for _, name := range []string{"s1000017", "S1000017", "s1000017"} {
		p, a := hanako()
		p.Number, a.UserName = "", name
		err := h.db.Write(t.Context(), func(tx *store.Tx) error {
			_, _, err := h.Add(tx, p, a)
			return err
		})
		if !errors.Is(err, directory.ErrTaken) {
			t.Errorf("%q: %v", name, err)
		}
	}
	h.read(func(tx *store.Tx) error {
		n, err := h.Count(tx)
		if n != 1 {
			t.Errorf("%d accounts, want 1", n)
		}
		return err
	})
}

func TestCheckUserName(t *testing.T) {
	for in, want := range map[string]string{
		"s1234567": "s1234567", "Yamada.Taro_1": "Yamada.Taro_1", "s12": "s12", " x-1 ": "x-1",
		"": "", "hanako@example.ac.jp": "", "花子": "", ".x": "", "a b": "", "раypal": "", strings.Repeat("a", 65): "", "a\n": "a",
	} {
		got, err := directory.CheckUserName(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func FuzzCheckUserName(f *testing.F) {
	for _, s := range []string{"s1234567", "A-1", "s1", "ß", "ſ1", "a@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean, err := directory.CheckUserName(s)
		if err != nil {
			return
		}
		again, err := directory.CheckUserName(clean)
		if err != nil || again != clean {
			t.Errorf("%q becomes %q, then %q (%v)", s, clean, again, err)
		}
		if directory.Key(s) != directory.Key(clean) || directory.Key(directory.Key(s)) != directory.Key(s) {
			t.Errorf("%q and its clean form %q have different keys", s, clean)
		}
	})
}

func TestStanding(t *testing.T) {
	now := time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
	before, after := now.Add(-time.Hour), now.Add(time.Hour)
	for name, c := range map[string]struct {
		a     directory.Account
		code  authn.Code
		since time.Time
	}{
		"active":                   {directory.Account{State: directory.Active, StateSince: before}, "", before},
		"pending":                  {directory.Account{State: directory.Pending, StateSince: before}, "P6", before},
		"suspended":                {directory.Account{State: directory.Suspended, StateSince: before}, "P7.suspended", before},
		"suspended beats expired":  {directory.Account{State: directory.Suspended, StateSince: before, ValidUntil: before}, "P7.suspended", before},
		"expired":                  {directory.Account{State: directory.Active, ValidUntil: before}, "P7.expired", before},
		"expires this instant":     {directory.Account{State: directory.Active, ValidUntil: now}, "P7.expired", now},
		"expired beats pending":    {directory.Account{State: directory.Pending, ValidUntil: before}, "P7.expired", before},
		"not yet valid":            {directory.Account{State: directory.Active, ValidFrom: after}, "P7.early", after},
		"begins this instant":      {directory.Account{State: directory.Active, StateSince: before, ValidFrom: now}, "", before},
		"still valid":              {directory.Account{State: directory.Active, StateSince: before, ValidUntil: after}, "", before},
		"pending before it begins": {directory.Account{State: directory.Pending, StateSince: before, ValidFrom: after}, "P6", before},
	} {
		if code, since := c.a.Standing(now); code != c.code || !since.Equal(c.since) {
			t.Errorf("%s: %q since %v, want %q since %v", name, code, since, c.code, c.since)
		}
	}
}

func TestStatesAreRemembered(t *testing.T) {
	h := open(t)
	a, _ := h.add(hanako())
	h.clock.Add(time.Hour)
	h.write(func(tx *store.Tx) error { return h.SetState(tx, a.ID, directory.Suspended, "lost laptop", "desk:sato") })
	h.clock.Add(time.Hour)
	h.write(func(tx *store.Tx) error { return h.SetState(tx, a.ID, directory.Active, "found", "desk:sato") })
	h.read(func(tx *store.Tx) error {
		got, _, err := h.ByID(tx, a.ID)
		if err != nil {
			return err
		}
		if got.State != directory.Active || got.StateWhy != "found" || !got.StateSince.Equal(tx.Now) {
			t.Errorf("now %+v", got)
		}
		past, err := h.PastStates(tx, a.ID)
		if len(past) != 2 || past[0].State != directory.Suspended || past[0].Why != "lost laptop" || past[0].By != "desk:sato" ||
			past[0].Until.Sub(past[0].Since) != time.Hour || past[1].State != directory.Active {
			t.Errorf("past %+v", past)
		}
		return err
	})
	err := h.db.Write(t.Context(), func(tx *store.Tx) error { return h.SetState(tx, "acc_none", directory.Active, "", "") })
	if !errors.Is(err, directory.ErrNone) {
		t.Errorf("state of nobody: %v", err)
	}
}

func TestOnePersonSeveralAccounts(t *testing.T) {
	h := open(t)
	a, p := h.add(hanako())
	h.clock.Add(time.Second)
	b, q := h.add(p, directory.Account{UserName: "ta-seimon", Kind: "parttime", State: directory.Active})
	if q.ID != p.ID || b.Person != p.ID {
		t.Fatalf("second account belongs to %s, want %s", b.Person, p.ID)
	}
	h.read(func(tx *store.Tx) error {
		all, err := h.AccountsOf(tx, p.ID)
		if len(all) != 2 || all[0].ID != a.ID || all[1].ID != b.ID {
			t.Errorf("accounts %+v", all)
		}
		return err
	})
}

func TestMailMustBeVerifiedAgainAfterAChange(t *testing.T) {
	h := open(t)
	a, p := h.add(hanako())
	person := func() (out directory.Person) {
		h.read(func(tx *store.Tx) (err error) { _, out, err = h.ByID(tx, a.ID); return err })
		return out
	}
	h.write(func(tx *store.Tx) error { return h.SetMail(tx, p.ID, directory.UseNotify, "hanako@home.example") })
	h.write(func(tx *store.Tx) error {
		if err := h.VerifyMail(tx, p.ID, directory.UseNotify, "other@home.example"); !errors.Is(err, directory.ErrNone) {
			t.Errorf("verifying an address that is not kept: %v", err)
		}
		return h.VerifyMail(tx, p.ID, directory.UseNotify, "hanako@home.example")
	})
	if got := person(); got.NotifyVerified.IsZero() || !got.MailVerified.IsZero() {
		t.Fatalf("after verifying: %+v", got)
	}
	h.write(func(tx *store.Tx) error { return h.SetMail(tx, p.ID, directory.UseNotify, "hanako@home.example") })
	if person().NotifyVerified.IsZero() {
		t.Error("the same address lost its verification")
	}
	h.write(func(tx *store.Tx) error { return h.SetMail(tx, p.ID, directory.UseNotify, "new@home.example") })
	if got := person(); !got.NotifyVerified.IsZero() || got.Notify != "new@home.example" {
		t.Errorf("after a change: %+v", got)
	}
	for _, bad := range []string{"x", "a@b", "a b@example.jp", "A <a@example.jp>", "a@example.jp\nBcc: b@example.jp", "a@example.jp,b@example.jp"} {
		err := h.db.Write(t.Context(), func(tx *store.Tx) error { return h.SetMail(tx, p.ID, directory.UseMail, bad) })
		if err == nil {
			t.Errorf("%q was taken as an address", bad)
		}
	}
}

// TestFormerMailIsRemembered: what a certificate carries is compared with it.
func TestFormerMailIsRemembered(t *testing.T) {
	h := open(t)
	a, p := h.add(hanako())
	set := func(use directory.Use, address string) time.Time {
		h.clock.Add(24 * time.Hour)
		h.write(func(tx *store.Tx) error { return h.SetMail(tx, p.ID, use, address) })
		return h.clock.Now().Truncate(time.Millisecond)
	}
	former := func(address string) (until time.Time) {
		h.read(func(tx *store.Tx) (err error) { until, err = h.FormerMail(tx, p.ID, address); return err })
		return until
	}
	set(directory.UseMail, "one@example.ac.jp")
	set(directory.UseMail, "One@example.ac.jp") // only written in another way
	if got := former("one@example.ac.jp"); !got.IsZero() {
		t.Errorf("the present address is former since %v", got)
	}
	gone := set(directory.UseMail, "")
	set(directory.UseMail, "two@example.ac.jp")
	if got := former("ONE@example.ac.jp"); !got.Equal(gone) {
		t.Errorf("former since %v, not since %v", got, gone)
	}
	set(directory.UseMail, "one@example.ac.jp") // it came back, and left again
	again := set(directory.UseMail, "three@example.ac.jp")
	if got := former("one@example.ac.jp"); !got.Equal(again) {
		t.Errorf("former since %v, not since %v", got, again)
	}
	set(directory.UseNotify, "hanako@home.example")
	set(directory.UseNotify, "hanako@other.example")
	if got := former("hanako@home.example"); !got.IsZero() {
		t.Error("a private address is remembered")
	}
	h.write(func(tx *store.Tx) error {
		if err := h.SetMail(tx, "per_none", directory.UseMail, "x@example.ac.jp"); !errors.Is(err, directory.ErrNone) {
			t.Errorf("nobody's address: %v", err)
		}
		return nil
	})
	if until := former("never@example.ac.jp"); !until.IsZero() || a.ID == "" {
		t.Errorf("an address that nobody had: %v", until)
	}
}

func TestUpdateAndChoices(t *testing.T) {
	h := open(t)
	a, p := h.add(hanako())
	a.UserName, a.ValidUntil = "hanako.seimon", h.clock.Now().Add(24*time.Hour)
	p.Name.Family, p.Name.FamilyKana = "山田", "ヤマダ"
	h.write(func(tx *store.Tx) error {
		return errors.Join(h.Update(tx, a, p), h.SetGroups(tx, a.ID, []string{"staff", "staff"}), h.Agree(tx, a.ID, "2026-04"),
			h.SetLang(tx, p.ID, lang.EN), h.SetNotices(tx, p.ID, directory.NoticeEvery), h.NoteFactor(tx, a.ID, "totp"))
	})
	h.read(func(tx *store.Tx) error {
		if _, _, err := h.ByUserName(tx, "s1000017"); !errors.Is(err, directory.ErrNone) {
			t.Errorf("the old name still works: %v", err)
		}
		b, q, err := h.ByUserName(tx, "hanako.seimon")
		if b.ID != a.ID || q.Name.Family != "山田" || b.AgreedVersion != "2026-04" || !b.AgreedAt.Equal(tx.Now) ||
			!slices.Equal(b.Groups, []string{"staff"}) || q.Lang != lang.EN || q.Notices != directory.NoticeEvery || b.LastFactor != "totp" {
			t.Errorf("%+v %+v", b, q)
		}
		return err
	})
}

func TestList(t *testing.T) {
	h := open(t)
	h.add(hanako())
	for i := range 25 {
		h.add(directory.Person{Name: directory.Names{Family: "佐藤", Given: fmt.Sprint(i), FamilyKana: "サトウ", GivenKana: "ジロウ", FamilyLatin: "Sato", GivenLatin: "Jiro"},
			Mail: fmt.Sprintf("sato%d@example.ac.jp", i)},
			directory.Account{UserName: fmt.Sprintf("e%03d", i), Kind: "staff", State: directory.Active, Groups: []string{"staff"}})
	}
	count := func(f directory.Filter) (n int) {
		h.read(func(tx *store.Tx) error {
			list, err := h.List(tx, f)
			n = len(list)
			return err
		})
		return n
	}
	for name, c := range map[string]struct {
		f    directory.Filter
		want int
	}{
		"all":             {directory.Filter{}, 26},
		"page":            {directory.Filter{Limit: 10}, 10},
		"rest":            {directory.Filter{After: "e019"}, 6},
		"kind":            {directory.Filter{Kind: "student"}, 1},
		"group":           {directory.Filter{Group: "staff"}, 25},
		"state":           {directory.Filter{State: directory.Suspended}, 0},
		"kanji":           {directory.Filter{Text: "佐藤"}, 25},
		"hiragana":        {directory.Filter{Text: "せいもん は"}, 1},
		"half-width kana": {directory.Filter{Text: "サトウ"}, 25},
		"latin":           {directory.Filter{Text: "seimon hanako"}, 1},
		"mail":            {directory.Filter{Text: "Sato1@"}, 1},
		"user name":       {directory.Filter{Text: "S1000"}, 1},
		"both":            {directory.Filter{Text: "sato", Kind: "student"}, 0},
		"wild card":       {directory.Filter{Text: "%"}, 0},
	} {
		if got := count(c.f); got != c.want {
			t.Errorf("%s: %d lines, want %d", name, got, c.want)
		}
	}
}

func TestAttributes(t *testing.T) {
	h := open(t)
	p, a := hanako()
	a.Attributes["mail"] = []string{"forged@example.com"}
	got := h.Attributes(a, p)
	for name, want := range map[string]string{
		"displayName": "Hanako Seimon", "displayName;ja": "正門 花子", "familyName;ja-Kana": "セイモン", "givenName": "Hanako",
		"mail": "hanako@seimon.example", "mailVerified": "false", "department;ja": "文学部", "userName": "s1000017",
	} {
		if len(got[name]) != 1 || got[name][0] != want {
			t.Errorf("%s is %v, want %q", name, got[name], want)
		}
	}
	if len(a.Attributes["userName"]) != 0 {
		t.Error("the account's own map was changed")
	}
}

func TestActivationLetter(t *testing.T) {
	h := open(t)
	p, a := hanako()
	a.State = directory.Pending
	a, _ = h.add(p, a)
	letter := func() (code string) {
		h.write(func(tx *store.Tx) (err error) { code, err = h.NewActivation(tx, a.ID); return err })
		return code
	}
	activate := func(code string) error {
		return h.db.Write(t.Context(), func(tx *store.Tx) error { _, err := h.Activate(tx, code); return err })
	}
	fault := func(what string, err error, want authn.Code) {
		t.Helper()
		if f := authn.AsFault(err); f == nil || f.Code != want {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
	}
	first := letter()
	if len(first) != 19 || strings.Count(first, "-") != 3 || strings.ContainsAny(first, "01IO") {
		t.Errorf("code %q is not in readable groups", first)
	}
	second := letter()
	fault("a replaced letter", activate(first), "P6.code")
	fault("a made-up letter", activate("AAAA-BBBB-CCCC-DDDD"), "P6.code")
	fault("nothing", activate(""), "P6.code")
	h.clock.Add(directory.LetterLife)
	fault("an old letter", activate(second), "P6.expired")
	third := letter()
	h.read(func(tx *store.Tx) error {
		got, _, err := h.Letter(tx, third)
		if got.ID != a.ID || got.State != directory.Pending {
			t.Errorf("the letter shows %+v", got)
		}
		return err
	})
	if err := activate(strings.ToLower(strings.ReplaceAll(third, "-", " "))); err != nil {
		t.Fatal(err)
	}
	fault("a used letter", activate(third), "P6.used")
	h.read(func(tx *store.Tx) error {
		got, _, err := h.ByID(tx, a.ID)
		if got.State != directory.Active {
			t.Errorf("state %s", got.State)
		}
		return err
	})
	err := h.db.Write(t.Context(), func(tx *store.Tx) error { _, err := h.NewActivation(tx, a.ID); return err })
	if err == nil {
		t.Error("a letter was made for an active account")
	}
}
