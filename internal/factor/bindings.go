package factor

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

//go:embed schema/*.sql
var schema embed.FS

// Schema is the table of bindings.
func Schema() store.Schema { return store.Schema{Room: "factor", Files: schema} }

// State is where a binding stands in its life.
type State string

// The states. A pending binding was begun and never confirmed: it proves nothing.
const (
	Pending State = "pending"
	Active  State = "active"
	Removed State = "removed"
)

// ErrNone says that there is no such binding in the state that was expected.
var ErrNone = errors.New("factor: no such binding")

// ErrTaken says that another binding of the kind has the same identifier.
var ErrTaken = errors.New("factor: identifier is taken")

// retiredKept is how many removed bindings of an account and kind are remembered,
// so that an old device can be recognised and named. Those that name a thing in the
// world, such as a certificate, are remembered for good: sessions may rest on them, and
// what was removed must not come back as new.
const retiredKept = 5

// Binding ties a factor to an account.
type Binding struct {
	ID      string
	Account authn.AccountID
	Kind    authn.Kind
	// Identifier is unique within the kind among bindings not removed, unless empty.
	// It is stored readable, for look-ups; nothing secret belongs there.
	Identifier string
	Label      string // the name its owner sees
	State      State
	Payload    []byte // the kind's own, versioned by the kind; sealed at rest
	Counter    int64  // only ever grows; what makes single use hold on any node
	Created    time.Time
	Changed    time.Time // when it became active, was renamed or removed
	Used       time.Time // zero: never
}

// Sealer protects payloads; what was sealed for one context opens for no other.
type Sealer interface {
	Seal(context string, plain []byte) []byte
	Unseal(context string, sealed []byte) ([]byte, error)
}

// Bindings is the shelf of all bindings.
type Bindings struct {
	db   *store.DB
	seal Sealer
}

// NewBindings gives access to the bindings in db.
func NewBindings(db *store.DB, seal Sealer) *Bindings { return &Bindings{db: db, seal: seal} }

// Read runs fn on a snapshot of the database, for a kind that has to look beyond
// what the attempt carries.
func (b *Bindings) Read(ctx context.Context, fn func(*store.Tx) error) error {
	return b.db.Read(ctx, fn)
}

// Write runs fn in a transaction of its own, for the first half of an enrolment.
func (b *Bindings) Write(ctx context.Context, fn func(*store.Tx) error) error {
	return b.db.Write(ctx, fn)
}

const columns = "id, account, kind, identifier, label, state, payload, counter, created, changed, used"

// Of returns the active and pending bindings of an account, oldest first.
func (b *Bindings) Of(tx *store.Tx, account authn.AccountID) ([]Binding, error) {
	return b.list(tx, "SELECT "+columns+" FROM factor_binding WHERE account = $1 AND state <> 'removed' ORDER BY created, id", string(account))
}

// Retired returns the last removed bindings of an account and kind, newest first.
func (b *Bindings) Retired(tx *store.Tx, account authn.AccountID, kind authn.Kind) ([]Binding, error) {
	return b.list(tx, "SELECT "+columns+" FROM factor_binding WHERE account = $1 AND kind = $2 AND state = 'removed' ORDER BY changed DESC, id LIMIT $3",
		string(account), string(kind), retiredKept)
}

// Get returns a binding in any state, or ErrNone.
func (b *Bindings) Get(tx *store.Tx, id string) (Binding, error) {
	return b.one(tx, "SELECT "+columns+" FROM factor_binding WHERE id = $1", id)
}

// ByIdentifier returns the active or pending binding with an identifier, or ErrNone.
func (b *Bindings) ByIdentifier(tx *store.Tx, kind authn.Kind, identifier string) (Binding, error) {
	return b.one(tx, "SELECT "+columns+" FROM factor_binding WHERE kind = $1 AND identifier = $2 AND identifier <> '' AND state <> 'removed'",
		string(kind), identifier)
}

func (b *Bindings) one(tx *store.Tx, query string, args ...any) (Binding, error) {
	found, err := b.list(tx, query, args...)
	if err != nil {
		return Binding{}, err
	}
	if len(found) == 0 {
		return Binding{}, ErrNone
	}
	return found[0], nil
}

func (b *Bindings) list(tx *store.Tx, query string, args ...any) ([]Binding, error) {
	var out []Binding
	rows, err := tx.Query(query, args...)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var x Binding
		var sealed []byte
		var created, changed, used int64
		if err := rows.Scan(&x.ID, &x.Account, &x.Kind, &x.Identifier, &x.Label, &x.State, &sealed, &x.Counter, &created, &changed, &used); err != nil {
			return err
		}
		var err error
		if x.Payload, err = b.seal.Unseal(x.context(), sealed); err != nil {
			return fmt.Errorf("factor: binding %s: %w", x.ID, err)
		}
		x.Created, x.Changed, x.Used = store.Time(created), store.Time(changed), store.Time(used)
		out = append(out, x)
		return nil
	})
	return out, err
}

// context is what a payload is bound to: moved to another row, account or kind it does not open.
func (x Binding) context() string {
	return "factor_binding:" + x.ID + ":" + string(x.Account) + ":" + string(x.Kind)
}

// Add stores a new binding; an empty ID, State or Created is filled in (State:
// pending). ErrTaken when the identifier belongs to another.
func (b *Bindings) Add(tx *store.Tx, x Binding) (Binding, error) {
	if x.ID == "" {
		x.ID = authn.NewID("bnd")
	}
	if x.State == "" {
		x.State = Pending
	}
	if x.Created.IsZero() {
		x.Created = tx.Now
	}
	x.Changed = tx.Now
	n, err := tx.Exec("INSERT INTO factor_binding ("+columns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
		x.ID, string(x.Account), string(x.Kind), x.Identifier, x.Label, string(x.State), b.seal.Seal(x.context(), x.Payload),
		x.Counter, store.Millis(x.Created), store.Millis(x.Changed), store.Millis(x.Used))
	if err == nil && n == 0 {
		err = ErrTaken
	}
	return x, err
}

// Activate turns a pending binding into an active one; ErrNone when it is not pending.
func (b *Bindings) Activate(tx *store.Tx, id string) error {
	return touched(tx.Exec("UPDATE factor_binding SET state = 'active', changed = $1 WHERE id = $2 AND state = 'pending'", store.Millis(tx.Now), id))
}

// Save writes the payload of a binding that was not removed; ErrNone otherwise.
func (b *Bindings) Save(tx *store.Tx, x Binding) error {
	return touched(tx.Exec("UPDATE factor_binding SET payload = $1 WHERE id = $2 AND account = $3 AND kind = $4 AND state <> 'removed'",
		b.seal.Seal(x.context(), x.Payload), x.ID, string(x.Account), string(x.Kind)))
}

// Replace puts another secret into an active binding whose counter still is what
// the caller has seen, and sets the counter to x.Counter. It returns false when the
// counter moved meanwhile: of all requests at the same time exactly one gets true.
func (b *Bindings) Replace(tx *store.Tx, x Binding, seen int64) (bool, error) {
	n, err := tx.Exec("UPDATE factor_binding SET payload = $1, counter = $2, changed = $3 WHERE id = $4 AND account = $5 AND kind = $6 AND counter = $7 AND state = 'active'",
		b.seal.Seal(x.context(), x.Payload), x.Counter, store.Millis(tx.Now), x.ID, string(x.Account), string(x.Kind), seen)
	return n == 1, err
}

// Advance moves the counter of an active binding up to counter and notes the use.
// It returns false when the counter is there or beyond already: of all requests on
// all nodes that bring the same counter exactly one gets true.
func (b *Bindings) Advance(tx *store.Tx, id string, counter int64) (bool, error) {
	n, err := tx.Exec("UPDATE factor_binding SET counter = $1, used = $2 WHERE id = $3 AND counter < $1 AND state = 'active'",
		counter, store.Millis(tx.Now), id)
	return n == 1, err
}

// Touch notes that an active binding was used.
func (b *Bindings) Touch(tx *store.Tx, id string) error {
	return touched(tx.Exec("UPDATE factor_binding SET used = $1 WHERE id = $2 AND state = 'active'", store.Millis(tx.Now), id))
}

// Rename gives a binding another label; ErrNone when it was removed.
func (b *Bindings) Rename(tx *store.Tx, id, label string) error {
	return touched(tx.Exec("UPDATE factor_binding SET label = $1 WHERE id = $2 AND state <> 'removed'", label, id))
}

// Ever returns the binding with an identifier in any state: the one in use, else the one
// that was removed last, of an account, or of whomever when that is empty. ErrNone when
// there never was one.
func (b *Bindings) Ever(tx *store.Tx, account authn.AccountID, kind authn.Kind, identifier string) (Binding, error) {
	found, err := b.ByIdentifier(tx, kind, identifier)
	if err == nil && (account == "" || found.Account == account) || err != nil && !errors.Is(err, ErrNone) {
		return found, err
	}
	return b.one(tx, "SELECT "+columns+` FROM factor_binding WHERE kind = $1 AND identifier = $2 AND identifier <> '' AND state = 'removed'
		AND ($3 = '' OR account = $3) ORDER BY changed DESC, id LIMIT 1`, string(kind), identifier, string(account))
}

// Remove takes a binding out of use; ErrNone when that was done before. The last
// few stay remembered as removed; older ones without an identifier of their own are erased.
func (b *Bindings) Remove(tx *store.Tx, id string) error {
	err := touched(tx.Exec("UPDATE factor_binding SET state = 'removed', changed = $1 WHERE id = $2 AND state <> 'removed'", store.Millis(tx.Now), id))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM factor_binding WHERE id IN (
		SELECT o.id FROM factor_binding o JOIN factor_binding r ON r.account = o.account AND r.kind = o.kind
		WHERE r.id = $1 AND o.state = 'removed' AND o.identifier IN ('', o.account) ORDER BY o.changed DESC, o.id LIMIT 1000 OFFSET $2)`, id, retiredKept)
	return err
}

// Restore brings a removed binding back into use as it was, its counter included,
// so that nothing used before works again. ErrNone when it is not a removed one,
// ErrTaken when another binding has taken its identifier meanwhile.
func (b *Bindings) Restore(tx *store.Tx, id string) error {
	err := touched(tx.Exec("UPDATE factor_binding SET state = 'active', changed = $1 WHERE id = $2 AND state = 'removed'", store.Millis(tx.Now), id))
	if store.IsUnique(err) {
		return ErrTaken
	}
	return err
}

func touched(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrNone
	}
	return err
}
