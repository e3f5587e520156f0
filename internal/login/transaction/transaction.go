package transaction

import (
	"crypto/hmac"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/policy"
	"seimon/internal/store"
)

const (
	// Life is how long a sign-in may stand still before it must be begun again.
	Life = 30 * time.Minute
	// keepFor is how long after its end a transaction still leads somewhere.
	keepFor = 24 * time.Hour
)

//go:embed schema
var schema embed.FS

// Schema is the table of transactions.
func Schema() store.Schema { return store.Schema{Room: "login", Files: schema} }

// Sealer keeps a transaction's private parts private at rest.
type Sealer interface {
	Seal(context string, plain []byte) []byte
	Unseal(context string, sealed []byte) ([]byte, error)
	MAC(purpose string, data []byte) []byte
}

// Shelf keeps the transactions.
type Shelf struct{ ring Sealer }

// New returns the shelf whose rows are sealed by ring.
func New(ring Sealer) *Shelf { return &Shelf{ring} }

// Transaction is one sign-in in one tab: what was asked, what was proved so far.
type Transaction struct {
	ID      string
	Browser string // the browser that began it; no other may go on with it
	Ask     Ask
	Support string // support code, shown to the person
	Typed   string // the user name as typed; empty until the person said who they are
	Subject authn.Subject
	// Evidence was given in this transaction. What the session brings is added at each look.
	Evidence   []authn.Evidence
	Memory     map[authn.Kind]map[string]string
	MustChange authn.Kind
	MustCode   authn.Code
	Way        authn.Kind // the factor that the person chose
	Trust      bool       // the person asked to trust this browser
	Shown      string     // the last decision that was put on record
	Seq        int64      // rises with every step, so that an old page's pass is told apart
	Session    string     // the session that this transaction ended in
	Source     string     // who began it (Source): whose others give way when there are too many
	Done       time.Time
	Created    time.Time
	Expires    time.Time

	stored string // the memory as it was loaded
}

// ErrNone says that there is none of that name, or no longer.
var ErrNone = errors.New("login: no such transaction")

const (
	sealAsk    = "login.ask:"
	sealMemory = "login.memory:"
)

// Insert stores a new transaction.
func (k *Shelf) Insert(tx *store.Tx, t *Transaction) error {
	row, err := k.pack(t)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO login_transaction (id, browser, party, ask, support, typed, account, evidence, memory,
		must_change, must_code, way, trust, shown, seq, session, done_at, created_at, expires_at, queue)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`,
		t.ID, t.Browser, t.Ask.Party, row.ask, t.Support, t.Typed, string(t.Subject.Account), row.evidence, row.memory,
		string(t.MustChange), string(t.MustCode), string(t.Way), store.Bool(t.Trust), t.Shown, t.Seq, t.Session,
		store.Millis(t.Done), store.Millis(t.Created), store.Millis(t.Expires), t.queue())
	return err
}

// Save writes t back. It fails when another request moved the transaction on
// since it was loaded.
func (k *Shelf) Save(tx *store.Tx, t *Transaction) error {
	row, err := k.pack(t)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE login_transaction SET ask = $2, typed = $3, account = $4, evidence = $5, memory = $6,
		must_change = $7, must_code = $8, way = $9, trust = $10, shown = $11, seq = $12, session = $13, done_at = $14, expires_at = $15, queue = $16
		WHERE id = $1`,
		t.ID, row.ask, t.Typed, string(t.Subject.Account), row.evidence, row.memory, string(t.MustChange), string(t.MustCode),
		string(t.Way), store.Bool(t.Trust), t.Shown, t.Seq, t.Session, store.Millis(t.Done), store.Millis(t.Expires), t.queue())
	if err == nil && n != 1 {
		return ErrNone
	}
	return err
}

// packed are the columns that hold a sealed or encoded part of a transaction.
type packed struct {
	ask, memory []byte
	evidence    string
}

func (k *Shelf) pack(t *Transaction) (packed, error) {
	ask, err := json.Marshal(t.Ask)
	if err != nil {
		return packed{}, err
	}
	memory, err := json.Marshal(t.Memory)
	if err != nil {
		return packed{}, err
	}
	evidence, err := json.Marshal(t.Evidence)
	if err != nil {
		return packed{}, err
	}
	return packed{k.ring.Seal(sealAsk+t.ID, ask), k.ring.Seal(sealMemory+t.ID, memory), string(evidence)}, nil
}

func (k *Shelf) unpack(t *Transaction, p packed) error {
	ask, err := k.ring.Unseal(sealAsk+t.ID, p.ask)
	if err != nil {
		return err
	}
	memory, err := k.ring.Unseal(sealMemory+t.ID, p.memory)
	if err != nil {
		return err
	}
	err = errors.Join(
		json.Unmarshal(ask, &t.Ask),
		json.Unmarshal(memory, &t.Memory),
		json.Unmarshal([]byte(p.evidence), &t.Evidence),
	)
	t.stored = t.noted()
	return err
}

// Load reads a transaction. An expired one is returned too: its Ask still tells
// where the person was going.
func (k *Shelf) Load(tx *store.Tx, id string) (*Transaction, error) {
	t := &Transaction{ID: id}
	var p packed
	var trust, done, created, expires int64
	var queue string
	err := tx.QueryRow(`SELECT browser, ask, support, typed, account, evidence, memory, must_change, must_code, way, trust,
		shown, seq, session, done_at, created_at, expires_at, queue FROM login_transaction WHERE id = $1`, id).
		Scan(&t.Browser, &p.ask, &t.Support, &t.Typed, &t.Subject.Account, &p.evidence, &p.memory, &t.MustChange, &t.MustCode,
			&t.Way, &trust, &t.Shown, &t.Seq, &t.Session, &done, &created, &expires, &queue)
	if errors.Is(err, store.ErrNoRows) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	t.Trust = trust != 0
	t.Source = queue[min(1, len(queue)):]
	t.Done, t.Created, t.Expires = store.Time(done), store.Time(created), store.Time(expires)
	if err := k.unpack(t, p); err != nil {
		return nil, fmt.Errorf("login: transaction %s: %w", id, err)
	}
	return t, nil
}

// Notes gives the factor's own notes, never nil.
func (t *Transaction) Notes(k authn.Kind) map[string]string {
	if t.Memory == nil {
		t.Memory = map[authn.Kind]map[string]string{}
	}
	if t.Memory[k] == nil {
		t.Memory[k] = map[string]string{}
	}
	return t.Memory[k]
}

// SaveNotes writes only what the factors noted in t. When the transaction has moved
// on since t was loaded, the notes belong to a page that is already old and are
// dropped.
func (k *Shelf) SaveNotes(tx *store.Tx, t *Transaction) error {
	now, err := k.Load(tx, t.ID)
	if err != nil || now.Seq != t.Seq || !now.Done.IsZero() {
		return err
	}
	now.Memory = t.Memory
	return k.Save(tx, now)
}

// Noted tells whether a factor has noted anything since the transaction was loaded.
func (t *Transaction) Noted() bool { return t.noted() != t.stored }

// noted is what all factors remember, as one text; empty when there is nothing.
func (t *Transaction) noted() string {
	full := map[authn.Kind]map[string]string{}
	for k, notes := range t.Memory {
		if len(notes) > 0 {
			full[k] = notes
		}
	}
	if len(full) == 0 {
		return ""
	}
	text, err := json.Marshal(full)
	if err != nil {
		panic(err) // a map of texts
	}
	return string(text)
}

// Step moves the transaction on, which makes every pass handed out before it stale.
func (t *Transaction) Step() { t.Seq++ }

// Prove adds evidence in place of older evidence of the same binding.
func (t *Transaction) Prove(e authn.Evidence) {
	kept := t.Evidence[:0:0]
	for _, old := range t.Evidence {
		if old.Kind != e.Kind {
			kept = append(kept, old)
		}
	}
	t.Evidence = append(kept, e)
}

// Keep drops what was proved with a binding that is not in use any more: a certificate
// that was revoked, or a card that was reported lost, while the sign-in stood still.
func (t *Transaction) Keep(bindings []factor.Binding) {
	t.Evidence = slices.DeleteFunc(t.Evidence, func(e authn.Evidence) bool {
		return e.Binding != "" && !slices.ContainsFunc(bindings, func(b factor.Binding) bool { return b.ID == e.Binding && b.State == factor.Active })
	})
}

// Forget starts the transaction over for another person, keeping what was asked.
func (t *Transaction) Forget() {
	t.Typed, t.Subject, t.Evidence, t.Memory = "", authn.Subject{}, nil, nil
	t.MustChange, t.MustCode, t.Way, t.Trust = "", "", "", false
	t.Step()
}

// Pass binds an answer to one step of one transaction.
func (k *Shelf) Pass(t *Transaction, step policy.Step) string {
	head := strconv.FormatInt(t.Seq, 10) + "." + string(step)
	return head + "." + base64.RawURLEncoding.EncodeToString(k.ring.MAC("login.pass", []byte(t.ID+"|"+t.Browser+"|"+head)))
}

// PassState says what a returned pass is worth.
type PassState int

const (
	Forged PassState = iota // never ours, or of another transaction
	Stale                   // ours, of a step that is over
	Good
)

// Check tells what a pass is worth for the transaction as it stands and which step it was for.
func (k *Shelf) Check(t *Transaction, given string) (PassState, policy.Step) {
	parts := strings.Split(given, ".")
	if len(parts) != 3 {
		return Forged, ""
	}
	seq, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || seq > t.Seq {
		return Forged, ""
	}
	was := *t
	was.Seq = seq
	step := policy.Step(parts[1])
	if !hmac.Equal([]byte(given), []byte(k.Pass(&was, step))) {
		return Forged, ""
	}
	if seq < t.Seq {
		return Stale, step
	}
	return Good, step
}
