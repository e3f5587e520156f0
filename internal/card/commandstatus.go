package card

import (
	"fmt"
	"text/tabwriter"
	"time"

	"seimon/internal/store"
)

// StatusCommand is "seimon card status".
type StatusCommand struct {
	Card   string `arg:"" optional:"" help:"The card; without it the one in the reader."`
	Reader string `help:"Part of the reader's name." placeholder:"NAME"`
	JSON   bool   `help:"Print JSON."`
}

// status is what the command prints as JSON.
type status struct {
	*shown
	Inserted *inserted   `json:"inserted,omitempty"`
	Past     []pastShown `json:"past,omitempty"`
}

// inserted is what the card in the reader tells.
type inserted struct {
	Serial      string `json:"serial,omitempty"`
	Tries       *int   `json:"tries,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	Matches     bool   `json:"matches"`
}

type pastShown struct {
	State State     `json:"state"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Why   string    `json:"why,omitempty"`
	By    string    `json:"by"`
}

// Run shows the card.
func (c *StatusCommand) Run(env Env) error {
	d, err := env.Cards()
	if err != nil {
		return err
	}
	var s status
	var k Card
	if c.Card == "" {
		r, err := d.Look(env.Context(), c.Reader)
		if err != nil {
			return err
		}
		s.Inserted = &inserted{Serial: r.Serial, Certificate: r.Certificate, Matches: r.Matches}
		if r.Tries != unknownTries {
			s.Inserted.Tries = &r.Tries
		}
		k = r.Card
	} else if k, err = d.find(env.Context(), c.Card); err != nil {
		return err
	}
	if k.ID != "" {
		err = d.DB.Read(env.Context(), func(tx *store.Tx) error {
			row, err := d.shown(tx, k)
			if err != nil {
				return err
			}
			past, err := d.Book.History(tx, k.ID)
			s.shown, s.Past = &row, nil
			for _, p := range past {
				s.Past = append(s.Past, pastShown(p))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(env.Out(), s)
	}
	return s.print(env)
}

func (s status) print(env Env) error {
	t := tabwriter.NewWriter(env.Out(), 0, 8, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	if i := s.Inserted; i != nil {
		line("In the reader", i.Serial)
		if i.Tries != nil && *i.Tries == 0 {
			line("PIN", "LOCKED: unblock it with seimon card unblock")
		} else if i.Tries != nil {
			line("PIN tries left", fmt.Sprint(*i.Tries))
		}
		line("Certificate on it", i.Certificate)
		if s.shown == nil {
			line("Register", "not registered here")
		} else if !i.Matches && s.Certificate != "" {
			line("Warning", "the certificate on the card is not the one in the register")
		}
	}
	if s.shown != nil {
		s.row(line)
	}
	return t.Flush()
}

func (s status) row(line func(name, value string)) {
	stamp := func(at *time.Time) string {
		if at == nil {
			return ""
		}
		return at.Format(time.RFC3339)
	}
	line("Card", s.Label)
	line("Number", s.Serial)
	line("Id", s.ID)
	line("State", string(s.State)+" since "+s.Since.Format(time.RFC3339)+" by "+s.By)
	line("Reason", s.Why)
	line("User", s.User)
	line("Certificate", s.Certificate)
	line("Key", s.Algorithm)
	if s.Elsewhere {
		line("Personalised", "elsewhere: its PIN and management key are not known here")
	}
	if s.LetterWaits {
		line("PIN letter", "waits to be printed")
	}
	line("PIN letter printed", stamp(s.Printed))
	if s.Inserted == nil && s.Tries != nil && s.Seen != nil {
		line("PIN tries left", fmt.Sprintf("%d, on %s", *s.Tries, stamp(s.Seen)))
	}
	line("Last sign-in", stamp(s.Used))
	line("Replaces", s.Replaces)
	line("Replaced by", s.ReplacedBy)
	for _, p := range s.Past {
		line("Earlier", fmt.Sprintf("%s from %s to %s by %s %s", p.State, p.Since.Format(time.RFC3339), p.Until.Format(time.RFC3339), p.By, p.Why))
	}
}
