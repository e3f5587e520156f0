package directory

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Way is how somebody was found to be who they say.
type Way string

// The ways.
const (
	InPerson   Way = "in-person"      // staff saw the person and the document
	AtDesk     Way = "in-person-chip" // the same, and the document's chip was read and its signature verified
	Supervised Way = "supervised"     // staff saw both, live over the network
	Chip       Way = "chip"           // the document's chip was read and its signature verified, remotely
	Photo      Way = "photo"          // pictures of document and face were compared, nobody was watching
	Register   Way = "register"       // the university's own admission or employment procedure
	Address    Way = "address"        // a code reached the person at an address on record
)

// Ways lists the ways, the strongest first.
func Ways() []Way { return []Way{AtDesk, InPerson, Supervised, Chip, Photo, Register, Address} }

// strength is what a document is worth (NIST SP 800-63A, table 5-1).
type strength int

const (
	fair strength = iota + 1
	strong
	superior // its signature was verified
)

// documents is what the kinds of document are worth when somebody looks at them. Those
// with a chip are superior when the chip was verified. Only the kind is ever kept.
func documents() map[string]strength {
	return map[string]strength{
		"passport": strong, "my-number-card": strong, "residence-card": strong, "driving-licence": strong,
		"health-insurance": fair, "pension": fair, "student-card": fair, "staff-card": fair,
		"admission-papers": fair, "employment-papers": fair,
	}
}

// Documents lists the kinds of document that are known.
func Documents() []string { return slices.Sorted(maps.Keys(documents())) }

// Proof is the fact that a person was found to be who they say.
type Proof struct {
	ID        string         `json:"id"`
	Person    authn.PersonID `json:"-"`
	Way       Way            `json:"way"`
	Documents []string       `json:"documents,omitempty"` // kinds, never numbers
	At        time.Time      `json:"at"`
	Until     time.Time      `json:"until,omitzero"` // no longer counts from then on
	Place     string         `json:"place,omitempty"`
	By        string         `json:"by"`
	Noted     time.Time      `json:"noted,omitzero"`
	Ended     time.Time      `json:"ended,omitzero"` // taken back
	EndedWhy  string         `json:"ended_why,omitempty"`
	EndedBy   string         `json:"ended_by,omitempty"`
}

// counts tells whether a proof may be relied on.
func (p Proof) counts(now time.Time) bool {
	return p.Ended.IsZero() && !now.Before(p.At) && (p.Until.IsZero() || now.Before(p.Until))
}

// check refuses what cannot be meant.
func (p Proof) check(now time.Time) error {
	known := documents()
	switch {
	case !slices.Contains(Ways(), p.Way):
		return fmt.Errorf("there is no way of proofing %q; there are %v", p.Way, Ways())
	case p.Way == Address && len(p.Documents) > 0:
		return errors.New("a proof of the address has no documents")
	case p.Way != Address && len(p.Documents) == 0:
		return errors.New("at least one document is needed")
	case p.At.After(now):
		return errors.New("the day of the proof has not come yet")
	case !p.Until.IsZero() && !p.Until.After(p.At):
		return errors.New("the proof ends before it begins")
	case strings.TrimSpace(p.By) == "" || len(p.By) > textLimit || len(p.Place) > textLimit:
		return errors.New("who did it is missing, or a text is too long")
	}
	for i, d := range p.Documents {
		if known[d] == 0 {
			return fmt.Errorf("there is no kind of document %q; there are %v", d, Documents())
		}
		if slices.Contains(p.Documents[:i], d) {
			return fmt.Errorf("the document %q is named twice", d)
		}
	}
	return nil
}

// Prove puts a proof on record.
func (d *Directory) Prove(tx *store.Tx, p Proof) (Proof, error) {
	p.At, p.Noted = orNow(p.At, tx.Now), tx.Now
	p.Ended, p.EndedBy, p.EndedWhy = time.Time{}, "", ""
	if err := p.check(tx.Now); err != nil {
		return p, err
	}
	p.ID = authn.NewID("prf")
	_, err := tx.Exec("INSERT INTO directory_proof ("+proofColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, '', '')",
		p.ID, string(p.Person), string(p.Way), strings.Join(p.Documents, " "), store.Millis(p.At), store.Millis(p.Until), p.Place, p.By, store.Millis(p.Noted))
	if err != nil {
		return p, err
	}
	return p, d.summarize(tx, p.Person)
}

// Disprove takes a proof back. It stays on record.
func (d *Directory) Disprove(tx *store.Tx, id, why, by string) (Proof, error) {
	p, err := scanProof(tx.QueryRow("SELECT "+proofColumns+" FROM directory_proof WHERE id = $1", id))
	switch {
	case errors.Is(err, store.ErrNoRows):
		return p, ErrNone
	case err != nil:
		return p, err
	case !p.Ended.IsZero():
		return p, errors.New("the proof was taken back already")
	}
	p.Ended, p.EndedWhy, p.EndedBy = tx.Now, why, by
	err = one(tx, "UPDATE directory_proof SET ended = $2, ended_why = $3, ended_by = $4 WHERE id = $1", id, store.Millis(tx.Now), why, by)
	if err != nil {
		return p, err
	}
	return p, d.summarize(tx, p.Person)
}

const proofColumns = "id, person, way, documents, at, until, place, by_whom, noted, ended, ended_why, ended_by"

func scanProof(row scanner) (Proof, error) {
	var p Proof
	var documents string
	var at, until, noted, ended int64
	err := row.Scan(&p.ID, &p.Person, &p.Way, &documents, &at, &until, &p.Place, &p.By, &noted, &ended, &p.EndedWhy, &p.EndedBy)
	p.Documents = strings.Fields(documents)
	p.At, p.Until, p.Noted, p.Ended = store.Time(at), store.Time(until), store.Time(noted), store.Time(ended)
	return p, err
}

// Proofs lists a person's proofs, the newest first; those taken back too.
func (d *Directory) Proofs(tx *store.Tx, person authn.PersonID) ([]Proof, error) {
	var out []Proof
	rows, err := tx.Query("SELECT "+proofColumns+" FROM directory_proof WHERE person = $1 ORDER BY at DESC, id", string(person))
	err = store.Each(rows, err, func(r *sql.Rows) error {
		p, err := scanProof(r)
		out = append(out, p)
		return err
	})
	return out, err
}

// summarize keeps with the person what their proofs say, so that every reading of an
// account has it at hand.
func (d *Directory) summarize(tx *store.Tx, person authn.PersonID) error {
	all, err := d.Proofs(tx, person)
	if err != nil {
		return err
	}
	var short []Proof
	for _, p := range all {
		if p.Ended.IsZero() {
			short = append(short, Proof{ID: p.ID, Way: p.Way, Documents: p.Documents, At: p.At, Until: p.Until})
		}
	}
	text := ""
	if len(short) > 0 {
		b, err := json.Marshal(short)
		if err != nil {
			return err
		}
		text = string(b)
	}
	return one(tx, "UPDATE directory_person SET proofs = $2, updated = $3 WHERE id = $1", string(person), text, store.Millis(tx.Now))
}

// ReadProof reads the short form of imports: the way, documents joined by +, and the
// day, such as "in-person passport 2026-04-03".
func ReadProof(text string, zone *time.Location) (Proof, error) {
	f := strings.Fields(text)
	if len(f) < 2 || len(f) > 3 {
		return Proof{}, fmt.Errorf("%q must have the form WAY DOCUMENT[+DOCUMENT] DAY, or address DAY", text)
	}
	p := Proof{Way: Way(f[0])}
	day := f[len(f)-1]
	if len(f) == 3 {
		p.Documents = strings.Split(f[1], "+")
	}
	at, err := parseDay(day, zone, false)
	if err != nil {
		return p, err
	}
	p.At, p.By = at, "import"
	return p, p.check(at)
}

// Known tells whether the same proof is on record already: way, documents and day.
func (p Proof) Known(among []Proof) bool {
	return slices.ContainsFunc(among, func(o Proof) bool {
		return o.Ended.IsZero() && o.Way == p.Way && o.At.Equal(p.At) && slices.Equal(o.Documents, p.Documents)
	})
}
