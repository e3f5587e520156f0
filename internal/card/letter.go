package card

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/lang"
	"seimon/internal/store"
)

//go:embed words templates
var files embed.FS

// Words is what letters and lists say.
func Words() lang.Source { return lang.Source{Room: "card", Files: files} }

// Letter is what is printed, once, for the person: the PIN and how to use it.
type Letter struct {
	Card    Card
	Person  directory.Person
	User    string
	Printed time.Time
	pin     authn.Secret
}

// Print takes the PIN out of the register for its letter. From then on nobody at the
// university knows it; when the letter is spoilt the card gets another PIN (Unblock).
func (o Office) Print(ctx context.Context, id string) (l Letter, err error) {
	err = o.DB.Read(ctx, func(tx *store.Tx) (err error) {
		l.Card, err = o.Book.Get(tx, id)
		return err
	})
	if err != nil {
		return l, err
	}
	c := l.Card
	if c.State == Stock || c.State == Personalising {
		return l, fmt.Errorf("card %s is %s; personalise it first", c.Called(), c.State)
	}
	if c.Elsewhere() {
		return l, fmt.Errorf("card %s was personalised elsewhere: its PIN was never known here", c.Called())
	}
	if !c.Letter() {
		return l, fmt.Errorf("there is no letter to print for card %s: it was printed already, or the person chose the PIN; "+
			"a new PIN comes with seimon card unblock", c.Called())
	}
	pin, err := o.open(c, "pin", c.pin)
	if err != nil {
		return l, err
	}
	err = o.change(ctx, id, func(tx *store.Tx, fresh Card) (Card, error) {
		if !fresh.Letter() || !equal(fresh.pinMAC, c.pinMAC) {
			return fresh, fmt.Errorf("the letter of card %s was printed by somebody else just now", fresh.Called())
		}
		a, p, err := o.People.ByID(tx, fresh.Account)
		if err != nil {
			return fresh, err
		}
		fresh.Printed, fresh.pin = tx.Now, nil
		l = Letter{Card: fresh, Person: p, User: a.UserName, Printed: tx.Now, pin: pin}
		return fresh, o.note(tx, "card.letter", fresh)
	})
	return l, err
}

// sheet is the letter in one language.
type sheet struct {
	Tag                 lang.Tag
	Title, For, PINName string
	Facts               []fact
	Lines               []string
}

type fact struct{ Name, Value string }

func (l Letter) sheet(p lang.Printer) sheet {
	s := sheet{
		Tag: p.Tag(), Title: p.T("card.letter.title"), For: p.T("card.letter.for", "Name", l.Person.Name.Full(p.Tag())), PINName: p.T("card.letter.pin"),
		Facts: []fact{{p.T("card.letter.user"), l.User}},
	}
	if l.Card.Label != "" {
		s.Facts = append(s.Facts, fact{p.T("card.letter.card"), l.Card.Label})
	}
	s.Facts = append(s.Facts, fact{p.T("card.letter.number"), l.Card.Serial}, fact{p.T("card.letter.day"), p.Day(l.Printed)})
	for _, line := range []string{"use", "lock", "unlock", "keep", "lost"} {
		if line == "lock" && l.Card.LockAfter == 0 {
			line = "lock.unknown"
		}
		s.Lines = append(s.Lines, p.T("card.letter."+line, "count", l.Card.LockAfter))
	}
	return s
}

// sheets are both languages, the person's first.
func (l Letter) sheets(words *lang.Words) []sheet {
	var out []sheet
	for _, tag := range words.Tags() {
		s := l.sheet(words.In(tag))
		if tag == l.Person.Lang {
			out = append([]sheet{s}, out...)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// HTML writes the letter as a page to print, in both languages.
func (l Letter) HTML(w io.Writer, words *lang.Words, university string) error {
	t, err := template.ParseFS(files, "templates/letter.html")
	if err != nil {
		return err
	}
	return t.Execute(w, map[string]any{"University": university, "Card": l.Card.Called(), "PIN": l.pin.Reveal(), "Sheets": l.sheets(words)})
}

// Text writes the letter as plain text, for printers of sealed envelopes.
func (l Letter) Text(w io.Writer, words *lang.Words, university string) error {
	var b strings.Builder
	b.WriteString(university + "\n")
	for _, s := range l.sheets(words) {
		fmt.Fprintf(&b, "\n%s\n\n%s\n", s.Title, s.For)
		for _, f := range s.Facts {
			fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
		}
		fmt.Fprintf(&b, "\n%s: %s\n\n%s\n", s.PINName, l.pin.Reveal(), strings.Join(s.Lines, "\n"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
