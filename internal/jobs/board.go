package jobs

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"seimon/internal/authn"
	"seimon/internal/store"
)

//go:embed schema
var schemaFiles embed.FS

// Schema is the tables of the room.
func Schema() store.Schema { return store.Schema{Room: "jobs", Files: schemaFiles} }

const (
	lease     = time.Minute      // how long a node may be silent before its work is taken over
	beat      = lease / 4        // how often it renews
	poll      = time.Second      // how often it looks for work of other nodes and for what became due
	workers   = 4                // tasks at once on one node
	tryLimit  = 20               // failures before a task is dead: about half a day
	lostLimit = 5                // lost leases before a task is dead: it may have killed the program
	keepDone  = time.Hour        // how long a finished task can be looked at
	parting   = 10 * time.Second // how long the last writes may take after the end
)

// Board hands out work. Set it up with Handle, Every and EachNode, then call Run.
type Board struct {
	db       *store.DB
	owner    string
	kinds    []string // of handlers, sorted
	handlers map[string]func(context.Context, Task) error
	periods  []*period
	report   func(what string, err error)
	wake     chan struct{}

	mu      sync.Mutex
	running map[string]*running
}

// New returns a board. node names this node for people.
func New(db *store.DB, node string) *Board {
	b := &Board{
		db:       db,
		owner:    authn.NewID(node),
		handlers: map[string]func(context.Context, Task) error{},
		report:   func(string, error) {},
		wake:     make(chan struct{}, 1),
		running:  map[string]*running{},
	}
	b.Every("jobs.sweep", 10*time.Minute, b.sweep)
	return b
}

// Report sets what is told about failures, for the log. Call it before Run.
func (b *Board) Report(fn func(what string, err error)) { b.report = fn }

// Handle sets who runs tasks of a kind. An error makes the task wait and try
// again; Permanent ends it. run must heed ctx, which ends when the program or the
// lease does, and must bear being run twice.
func (b *Board) Handle(kind string, run func(ctx context.Context, t Task) error) {
	if _, again := b.handlers[kind]; !again {
		b.kinds = append(b.kinds, kind)
		slices.Sort(b.kinds)
	}
	b.handlers[kind] = run
}

// NewTask is a task to be done.
type NewTask struct {
	ID   string // given by the caller to watch it (State), or empty
	Kind string
	// Key, when not empty, is the name under which a kind of work waits only once:
	// submitting it again replaces the payload and keeps the earlier time. A running
	// task does not count as waiting, and two of one key never run at once.
	Key     string
	Payload []byte
	At      time.Time // not before; zero means at once
}

// Submit leaves a task behind in the caller's transaction.
func (b *Board) Submit(tx *store.Tx, t NewTask) error {
	if t.Kind == "" {
		return errors.New("jobs: a task needs a kind")
	}
	if t.ID == "" {
		t.ID = authn.NewID("task")
	}
	if t.At.IsZero() {
		t.At = tx.Now
	}
	if t.Payload == nil {
		t.Payload = []byte{}
	}
	_, err := tx.Exec(`INSERT INTO jobs_task (id, kind, key, payload, state, due, tries, lost, node, done, total, fault, created, ended)
		VALUES ($1, $2, $3, $4, 'waiting', $5, 0, 0, '', 0, 0, '', $6, 0)
		ON CONFLICT (kind, key) WHERE state = 'waiting' AND key <> '' DO UPDATE SET payload = excluded.payload, tries = 0,
			due = CASE WHEN jobs_task.due < excluded.due THEN jobs_task.due ELSE excluded.due END`,
		t.ID, t.Kind, t.Key, t.Payload, store.Millis(t.At), store.Millis(tx.Now))
	if err != nil {
		return fmt.Errorf("jobs: submit %s: %w", t.Kind, err)
	}
	tx.After(b.wakeUp)
	return nil
}

func (b *Board) wakeUp() { signal(b.wake) }

// firm outlives the end of the program for a moment: what has been leased must be
// known to be leased, and how it ended must be stored.
func firm(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), parting)
}

// signal leaves a mark for whoever waits on c.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error that trying again cannot mend.
func Permanent(err error) error { return permanent{err} }

// Task is a task in the hands of its handler.
type Task struct {
	ID, Kind, Key string
	Payload       []byte
	Tries         int // this one included
	run           *running
}

// Progress tells how far the work is, for people who watch; it is stored about
// once a second.
func (t Task) Progress(done, total int64) {
	if t.run != nil {
		t.run.progress(done, total)
	}
}
