package directory_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/store"
)

func crowd(from, n int) []directory.Entry {
	families := []directory.Names{
		{"佐藤", "", "サトウ", "", "Sato", ""}, {"鈴木", "", "スズキ", "", "Suzuki", ""}, {"高橋", "", "タカハシ", "", "Takahashi", ""},
		{"田中", "", "タナカ", "", "Tanaka", ""}, {"渡辺", "", "ワタナベ", "", "Watanabe", ""},
	}
	out := make([]directory.Entry, n)
	for i := range out {
		k := from + i
		name := families[k%len(families)]
		name.Given, name.GivenKana, name.GivenLatin = fmt.Sprint("花子", k*7919%1000003), fmt.Sprint("ハナコ", k*7919%1000003), fmt.Sprint("Hanako", k*7919%1000003)
		out[i] = directory.Entry{
			Account: directory.Account{UserName: fmt.Sprintf("s%07d", k), Kind: "student", State: directory.Active,
				Groups: []string{"students", "letters"}, Affiliations: []string{"student", "member"},
				Attributes: map[string][]string{"department": {"Letters"}}},
			Person: directory.Person{Name: name, Mail: fmt.Sprintf("s%07d@seimon.example", k), Lang: lang.JA},
		}
	}
	return out
}

// fill adds n accounts to an empty directory.
func (h house) fill(n int) {
	h.t.Helper()
	const slice = 2_000
	h.write(func(tx *store.Tx) error {
		return h.Bulk(tx, func() error {
			for at := 0; at < n; at += slice {
				if err := h.AddMany(tx, crowd(at, min(slice, n-at))); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func TestManyAccounts(t *testing.T) {
	h := open(t)
	const n = many
	h.fill(n)
	h.read(func(tx *store.Tx) error {
		count, err := h.Count(tx)
		if err != nil {
			return err
		}
		if count != n {
			t.Errorf("%d accounts, want %d", count, n)
		}
		for k := 0; k < n; k += n/20 + 1 {
			a, p, err := h.ByUserName(tx, fmt.Sprintf("S%07d", k))
			if err != nil || len(a.Groups) != 2 || p.Mail != fmt.Sprintf("s%07d@seimon.example", k) {
				return fmt.Errorf("account %d: %+v %+v %w", k, a, p, err)
			}
		}
		for name, f := range map[string]directory.Filter{
			"a large group":     {Group: "students", Limit: 10},
			"a loose text":      {Text: "s", Limit: 10},
			"the next page":     {Text: "s", After: "s0000009", Limit: 10},
			"a state of nobody": {State: directory.Suspended, Limit: 10},
			"a kind of all":     {Kind: "student", After: "S0000100", Limit: 10},
		} {
			list, err := h.List(tx, f)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if want := map[bool]int{true: 0, false: 10}[f.State != ""]; len(list) != want {
				t.Errorf("%s: %d lines, want %d", name, len(list), want)
			}
			if f.After != "" && list[0].Account.UserName <= strings.ToLower(f.After) {
				t.Errorf("%s: begins with %s", name, list[0].Account.UserName)
			}
		}
		list, err := h.List(tx, directory.Filter{Text: "サトウ", Group: "letters", Limit: 50})
		if len(list) != 50 || list[0].Account.UserName != "s0000000" || list[1].Account.UserName != "s0000005" {
			t.Errorf("%d lines", len(list))
		}
		return err
	})
}

// BenchmarkAddMany measures a large import; SEIMON_BENCH_ACCOUNTS sets its size.
func BenchmarkAddMany(b *testing.B) {
	n := 100_000
	if s := os.Getenv("SEIMON_BENCH_ACCOUNTS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	for b.Loop() {
		h := open(b)
		begin := time.Now()
		h.fill(n)
		b.ReportMetric(float64(n)/time.Since(begin).Seconds(), "accounts/s")
	}
}

// BenchmarkByUserName measures a look-up among many accounts.
func BenchmarkByUserName(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := open(b)
			h.fill(n)
			k := 0
			for b.Loop() {
				h.read(func(tx *store.Tx) error {
					_, _, err := h.ByUserName(tx, fmt.Sprintf("s%07d", k*7919%n))
					return err
				})
				k++
			}
		})
	}
}

// BenchmarkList measures a page of a search among many accounts.
func BenchmarkList(b *testing.B) {
	h := open(b)
	h.fill(100_000)
	for name, f := range map[string]directory.Filter{
		"first page": {}, "large group": {Group: "students"}, "loose text": {Text: "s"}, "name": {Text: "サトウハナコ12"}, "nobody": {State: directory.Suspended},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				h.read(func(tx *store.Tx) error {
					_, err := h.List(tx, f)
					return err
				})
			}
		})
	}
}
