package directory

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

type shownJSON struct {
	ID           string              `json:"id"`
	Person       string              `json:"person"`
	UserName     string              `json:"user"`
	Kind         string              `json:"kind"`
	State        string              `json:"state"`
	StateSince   time.Time           `json:"state_since"`
	StateWhy     string              `json:"state_why,omitempty"`
	ValidFrom    *time.Time          `json:"valid_from,omitempty"`
	ValidUntil   *time.Time          `json:"valid_until,omitempty"`
	Groups       []string            `json:"groups,omitempty"`
	Affiliations []string            `json:"affiliations,omitempty"`
	Attributes   map[string][]string `json:"attributes,omitempty"`
	Number       string              `json:"number,omitempty"`
	Name         map[string]string   `json:"name"`
	Mail         *mailJSON           `json:"mail,omitempty"`
	Notify       *mailJSON           `json:"notify,omitempty"`
	Recovery     *mailJSON           `json:"recovery,omitempty"`
	Lang         string              `json:"lang,omitempty"`
	Notices      string              `json:"notices"`
	Agreed       string              `json:"agreed,omitempty"`
	Past         []pastJSON          `json:"past,omitempty"`
}

type mailJSON struct {
	Address  string     `json:"address"`
	Verified *time.Time `json:"verified,omitempty"`
}

type pastJSON struct {
	State string    `json:"state"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Why   string    `json:"why,omitempty"`
	By    string    `json:"by,omitempty"`
}

func accountJSON(a Account, p Person, past []Past) shownJSON {
	n := p.Name
	name := map[string]string{
		"family": n.Family, "given": n.Given, "family_kana": n.FamilyKana, "given_kana": n.GivenKana,
		"family_latin": n.FamilyLatin, "given_latin": n.GivenLatin,
	}
	maps.DeleteFunc(name, func(_, v string) bool { return v == "" })
	out := shownJSON{
		ID: string(a.ID), Person: string(p.ID), UserName: a.UserName, Kind: a.Kind,
		State: string(a.State), StateSince: a.StateSince, StateWhy: a.StateWhy,
		ValidFrom: orNil(a.ValidFrom), ValidUntil: orNil(a.ValidUntil),
		Groups: a.Groups, Affiliations: a.Affiliations, Attributes: a.Attributes,
		Number: p.Number, Name: name, Lang: string(p.Lang), Notices: string(p.Notices), Agreed: a.AgreedVersion,
		Mail: mailOf(p.Mail, p.MailVerified), Notify: mailOf(p.Notify, p.NotifyVerified), Recovery: mailOf(p.Recovery, p.RecoveryVerified),
	}
	for _, s := range past {
		out.Past = append(out.Past, pastJSON{string(s.State), s.Since, s.Until, s.Why, s.By})
	}
	return out
}

func mailOf(address string, at time.Time) *mailJSON {
	if address == "" {
		return nil
	}
	return &mailJSON{address, orNil(at)}
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// standing is the state in one word.
func standing(a Account, now time.Time) string {
	switch code, _ := a.Standing(now); code {
	case "P7.expired":
		return "expired"
	case "P7.early":
		return "not yet valid"
	}
	return string(a.State)
}

func printAccount(w io.Writer, a Account, p Person, past []Past, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	n := p.Name
	line("user name", a.UserName)
	line("account", string(a.ID))
	line("person", strings.TrimSpace(string(p.ID)+" "+p.Number))
	line("name", join(n.Family, n.Given))
	line("reading", n.Kana())
	line("latin", join(n.FamilyLatin, n.GivenLatin))
	line("kind", a.Kind)
	line("state", strings.TrimSpace(fmt.Sprintf("%s since %s %s", standing(a, now), day(a.StateSince), a.StateWhy)))
	line("valid", strings.TrimSpace(day(a.ValidFrom)+" to "+day(a.ValidUntil)))
	line("groups", strings.Join(a.Groups, " "))
	line("affiliations", strings.Join(a.Affiliations, " "))
	for _, name := range slices.Sorted(maps.Keys(a.Attributes)) {
		line(name, strings.Join(a.Attributes[name], ", "))
	}
	line("mail", verified(p.Mail, p.MailVerified))
	line("notices to", verified(p.Notify, p.NotifyVerified))
	line("recovery", verified(p.Recovery, p.RecoveryVerified))
	line("agreed to", a.AgreedVersion)
	for _, s := range past {
		line("before", strings.TrimSpace(fmt.Sprintf("%s from %s to %s %s", s.State, day(s.Since), day(s.Until), s.Why)))
	}
	return t.Flush()
}

func verified(address string, at time.Time) string {
	switch {
	case address == "":
		return ""
	case at.IsZero():
		return address + " (not verified)"
	}
	return address + " (verified " + day(at) + ")"
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02 15:04 MST")
}
