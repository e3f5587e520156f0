package rp

import (
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"seimon/internal/lang"
	"seimon/internal/store"
)

//go:embed schema/*.sql
var schema embed.FS

//go:embed words/*.toml
var words embed.FS

// Schema gives the room's tables.
func Schema() store.Schema { return store.Schema{Room: "rp", Files: schema} }

// Words gives the names of attributes as people see them ("rp.attribute.NAME").
func Words() lang.Source { return lang.Source{Room: "rp", Files: words} }

// ErrNone says that there is no such party.
var ErrNone = errors.New("rp: no such party")

// Book is the list of parties, and what people agreed to.
type Book struct {
	db     *store.DB
	mac    func(purpose string, data []byte) []byte
	checks []Check
	// sources give what others have registered, in order.
	sources []Source
	rules   atomic.Pointer[Rules] // read last
	kept    kept
}

// New opens the book. mac must give the same result for ever for the same
// purpose and data: subjects are made with it. checks are the rules of the fronts;
// when there are any, a party of another protocol is refused.
func New(db *store.DB, mac func(purpose string, data []byte) []byte, checks ...Check) *Book {
	return &Book{db: db, mac: mac, checks: checks}
}

const columns = `id, protocol, names, logo_url, home_url, contact, sector, pairwise, release_list, consent,
	registration, disabled, version, created_at, updated_at`

// List reads all parties that the university registered itself, in the order of
// their ids.
func (b *Book) List(tx *store.Tx) ([]Party, error) {
	var out []Party
	rows, err := tx.Query("SELECT " + columns + " FROM rp_party ORDER BY id")
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		p, err := scan(rows)
		out = append(out, p)
		return err
	})
	return out, err
}

// Speaking reads the parties of one protocol that the university registered itself, in
// the order of their ids.
func (b *Book) Speaking(tx *store.Tx, protocol string) ([]Party, error) {
	var out []Party
	rows, err := tx.Query("SELECT "+columns+" FROM rp_party WHERE protocol = $1 ORDER BY id", protocol)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		p, err := scan(rows)
		out = append(out, p)
		return err
	})
	return out, err
}

// Put stores a new party or replaces the one with the same id, after all checks.
// An error of type *Refusal says what is wrong with it; nothing is changed then.
func (b *Book) Put(tx *store.Tx, p Party) error {
	_, err := b.Register(tx, p)
	return err
}

// Register is Put that also returns what can be shown only now, such as a new
// client secret.
func (b *Book) Register(tx *store.Tx, p Party) (shown map[string]string, err error) {
	old, err := b.Registered(tx, p.ID)
	var before *Party
	switch {
	case err == nil:
		before = &old
		p.Created, p.Version = old.Created, old.Version+1
	case errors.Is(err, ErrNone):
		p.Created, p.Version = tx.Now, 1
	default:
		return nil, err
	}
	p.Updated, p.Source = tx.Now, ""
	if shown, err = b.Judge(&p, before); err != nil {
		return nil, err
	}
	return shown, b.write(tx, p)
}

// Judge completes p and tells what is wrong with it, without storing anything.
func (b *Book) Judge(p *Party, old *Party) (shown map[string]string, err error) {
	if err := p.judge(); err != nil {
		return nil, err
	}
	if old != nil && old.Protocol != p.Protocol {
		return nil, refuse(p.ID, "protocol", "cannot change from %q to %q: remove the party first", old.Protocol, p.Protocol)
	}
	for _, c := range b.checks {
		if c.Protocol == p.Protocol {
			if shown, err = c.Verify(p, old); err != nil {
				return nil, &Refusal{Party: p.ID, Field: "registration", Reason: err.Error()}
			}
			return shown, nil
		}
	}
	if len(b.checks) > 0 {
		return nil, refuse(p.ID, "protocol", "%q is not a protocol of this installation", p.Protocol)
	}
	return nil, nil
}

func (b *Book) write(tx *store.Tx, p Party) error {
	names, err := json.Marshal(p.Names)
	if err != nil {
		return err
	}
	release, err := json.Marshal(p.Release)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO rp_party (`+columns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (id) DO UPDATE SET names = $3, logo_url = $4, home_url = $5, contact = $6, sector = $7, pairwise = $8,
		release_list = $9, consent = $10, registration = $11, disabled = $12, version = $13, updated_at = $15`,
		p.ID, p.Protocol, string(names), p.LogoURL, p.HomeURL, p.Contact, p.Sector, store.Bool(p.Pairwise), string(release),
		p.Consent, string(p.Registration), store.Bool(p.Disabled), p.Version, store.Millis(p.Created), store.Millis(p.Updated))
	return err
}

// Remove forgets a party and what people agreed to for it; ErrNone when there is none.
func (b *Book) Remove(tx *store.Tx, id string) error {
	n, err := tx.Exec("DELETE FROM rp_party WHERE id = $1", id)
	if err == nil && n == 0 {
		return ErrNone
	}
	if err == nil {
		_, err = tx.Exec("DELETE FROM rp_consent WHERE party = $1", id)
	}
	return err
}

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (Party, error) {
	var p Party
	var names, release, registration string
	var pairwise, disabled, created, updated int64
	err := row.Scan(&p.ID, &p.Protocol, &names, &p.LogoURL, &p.HomeURL, &p.Contact, &p.Sector, &pairwise, &release,
		&p.Consent, &registration, &disabled, &p.Version, &created, &updated)
	if err != nil {
		return Party{}, err
	}
	if err := errors.Join(json.Unmarshal([]byte(names), &p.Names), json.Unmarshal([]byte(release), &p.Release)); err != nil {
		return Party{}, fmt.Errorf("rp: party %s is damaged: %w", p.ID, err)
	}
	p.Registration = json.RawMessage(registration)
	p.Pairwise, p.Disabled = pairwise != 0, disabled != 0
	p.Created, p.Updated = store.Time(created), store.Time(updated)
	return p, nil
}
