package owners

import (
	"context"
	"embed"
	"errors"
	"slices"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/lang"
	"seimon/internal/mail"
	"seimon/internal/rp"
	"seimon/internal/store"
)

//go:embed words
var words embed.FS

// Words is what the messages say.
func Words() lang.Source { return lang.Source{Room: "rp/owners", Files: words} }

const (
	// Event is put on record, under the support code, when somebody was written to.
	Event = "service.contact.told"
	// refused is the event of a request that was refused.
	refused = "request.refused"

	// span is how far back each look goes.
	span = 5 * time.Minute
	// again is after how long the same field of a service is worth another message.
	again = 7 * 24 * time.Hour
	// mostDaily bounds the messages of a day to all services. Anybody can send a message
	// in the name of a service, and must not make us write to thousands of them.
	mostDaily = 20
	// mostOne bounds those to one service.
	mostOne = 3
)

// Config is what the room works with.
type Config struct {
	DB      *store.DB
	Audit   *audit.Log
	Parties interface {
		Get(tx *store.Tx, id string) (rp.Party, error)
	}
	Mail interface {
		Enqueue(tx *store.Tx, m mail.Message) (string, error)
	}
	Words *lang.Words
	// To says which services are written to; empty is Registered.
	To string
	// Reply is the address of those who can help, or empty.
	Reply string
}

// Owners writes to the contacts of services.
type Owners struct{ Config }

// Which services are written to.
const (
	Registered = "registered" // those that the university registered itself
	All        = "all"        // and those of federations, whose people know nothing of this university
	Nobody     = "none"
)

// Choices lists them.
func Choices() []string { return []string{Registered, All, Nobody} }

// New opens the room.
func New(c Config) *Owners { return &Owners{c} }

// Tell looks at what was refused lately, and writes about what nobody was told yet.
func (o *Owners) Tell(ctx context.Context) error {
	if o.To == Nobody {
		return nil
	}
	var events []audit.Event
	err := o.DB.Read(ctx, func(tx *store.Tx) (err error) {
		events, err = o.Audit.Find(tx, audit.Query{TypePrefix: refused, Since: tx.Now.Add(-span), Newest: true, Limit: 500})
		return err
	})
	events = slices.DeleteFunc(events, func(e audit.Event) bool { return e.Type != refused || e.Party == "" || !theirs(e.Facts) })
	if err != nil || len(events) == 0 {
		return err
	}
	return o.DB.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec("DELETE FROM rp_owner_told WHERE told_at < $1", store.Millis(tx.Now.Add(-again))); err != nil {
			return err
		}
		for _, e := range events {
			if err := o.about(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// theirs tells whether a cause is for the people of the service to mend. A page that was
// opened twice and a link that stood in a mail for days are not.
func theirs(facts map[string]string) bool {
	switch facts["code"] {
	case "R3.redirect":
		return facts["field"] != "shire" && facts["field"] != "service" // links of ours, or of anybody
	case "R3.request", "R3.logout":
		return facts["field"] != "ID" && facts["field"] != "r" && facts["field"] != "id" && facts["field"] != "InResponseTo" && facts["field"] != "target"
	case "R3.signature", "R3.metadata":
		return true
	case "B3.fast", "B3.slow":
		return facts["direction"] != "" // the service's own signature vouches for it
	}
	return false
}

func (o *Owners) about(tx *store.Tx, e audit.Event) error {
	field := e.Facts["field"]
	var same, one, all int64
	err := tx.QueryRow(`SELECT count(CASE WHEN party = $1 AND code = $2 AND field = $3 THEN 1 END), count(CASE WHEN party = $1 AND told_at > $4 THEN 1 END),
		count(CASE WHEN told_at > $4 THEN 1 END) FROM rp_owner_told`, e.Party, e.Facts["code"], field, store.Millis(tx.Now.Add(-24*time.Hour))).Scan(&same, &one, &all)
	if err != nil || same > 0 || one >= mostOne || all >= mostDaily {
		return err
	}
	p, err := o.Parties.Get(tx, e.Party)
	if errors.Is(err, rp.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	elsewhere := p.Source != "" && (o.To != All || e.Facts["code"] == "R3.metadata") // what dies there is the feed
	if p.Contact == "" || p.Disabled || elsewhere {
		return nil
	}
	switch _, err := o.Mail.Enqueue(tx, o.letter(p, e)); {
	case errors.Is(err, mail.ErrAddress): // a service of a federation writes what it likes; the others are told all the same
		return nil
	case err != nil:
		return err
	}
	_, err = tx.Exec("INSERT INTO rp_owner_told (party, code, field, told_at) VALUES ($1, $2, $3, $4)", e.Party, e.Facts["code"], field, store.Millis(tx.Now))
	if err != nil {
		return err
	}
	return o.Audit.Append(tx, audit.Event{
		Type: Event, Actor: "system", Support: e.Support, Party: e.Party,
		Facts: map[string]string{"code": e.Facts["code"], "field": field, "to": mail.MaskAddress(p.Contact)},
	})
}

// letter writes to the contact. What came with the request is quoted: it may be anybody's.
func (o *Owners) letter(p rp.Party, e audit.Event) mail.Message {
	tag := lang.EN
	if p.Names[lang.JA] != "" || strings.HasSuffix(p.Contact, ".jp") {
		tag = lang.JA
	}
	w := o.Words.In(tag)
	template := "owners.mail.field"
	if strings.HasPrefix(e.Facts["code"], "B3.") {
		template = "owners.mail.clock." + strings.TrimPrefix(e.Facts["code"], "B3.")
	}
	var quote []string
	line := func(id, v string) {
		if v = plain(v); v != "" {
			quote = append(quote, w.T("owners.quote."+id)+": "+v)
		}
	}
	line("field", e.Facts["field"])
	line("sent", e.Facts["sent"])
	line("registered", e.Facts["registered"])
	line("why", e.Facts["why"])
	line("code", e.Support)
	return mail.Message{
		To: p.Contact, Lang: tag, Template: template, Purpose: "owner", ReplyTo: o.Reply, Quote: strings.Join(quote, "\n"),
		Facts: map[string]string{"service": p.Name(tag), "party": p.ID, "when": w.Moment(e.At), "seconds": e.Facts["seconds"], "code": e.Support},
	}
}

// plain keeps foreign text short and printable.
func plain(text string) string {
	out := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
	return out[:min(len(out), 200)]
}
