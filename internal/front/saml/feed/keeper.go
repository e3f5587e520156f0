package feed

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"seimon/internal/rp"
	"seimon/internal/store"
)

//go:embed schema
var schema embed.FS

// Schema is the room's tables.
func Schema() store.Schema { return store.Schema{Room: "feed", Files: schema} }

// ErrNone says that there is no such feed.
var ErrNone = errors.New("feed: no such feed")

// Config is what the room needs of the building.
type Config struct {
	DB *store.DB
	// Rules gives what services of federations receive.
	Rules func(tx *store.Tx) (*rp.Rules, error)
	// Attribute gives the directory's name of an attribute from its name in SAML;
	// empty when it is not known.
	Attribute func(name string) string
	// Self gives our own entityID, to see which of our keys a federation publishes; may
	// be nil.
	Self func() string
	// Client fetches; redirects and limits are set here.
	Client *http.Client
	// Open opens a document on this machine.
	Open func(name string) (io.ReadCloser, error)
	// Note puts an event on record.
	Note func(tx *store.Tx, event, feed string, facts map[string]string) error
	// Patience bounds a whole transfer (10 minutes), Silence a transfer without a
	// byte (30 seconds).
	Patience, Silence time.Duration
}

// Keeper keeps the feeds. It is safe for concurrent use.
type Keeper struct {
	Config
	parties *shelf
	queries queries
	names   catalogue
}

// New opens the room.
func New(c Config) *Keeper {
	c.Patience, c.Silence = orDefault(c.Patience, 10*time.Minute), orDefault(c.Silence, 30*time.Second)
	if c.Client == nil {
		c.Client = &http.Client{}
	}
	client := *c.Client
	client.CheckRedirect = stay
	c.Client = &client
	return &Keeper{Config: c, parties: newShelf(shelfBytes), queries: queries{running: map[string]*asked{}, refused: map[string]time.Time{}}}
}

const feedColumns = "id, kind, precedence, settings, loads, loaded, due_at, checked_at, fails, fault"

func scanFeed(scan func(...any) error) (State, error) {
	var s State
	var id, kind, settings, loaded string
	var precedence, due, checked int64
	if err := scan(&id, &kind, &precedence, &settings, &s.loads, &loaded, &due, &checked, &s.Fails, &s.Fault); err != nil {
		return State{}, err
	}
	if err := errors.Join(json.Unmarshal([]byte(settings), &s.Feed), json.Unmarshal([]byte(loaded), &s.Loaded)); err != nil {
		return State{}, fmt.Errorf("feed: %s is damaged: %w", id, err)
	}
	s.ID, s.Kind, s.Precedence = id, kind, int(precedence)
	s.Due, s.Checked = store.Time(due), store.Time(checked)
	return s, nil
}

// Get reads a feed; ErrNone when there is none.
func (k *Keeper) Get(tx *store.Tx, id string) (State, error) {
	s, err := scanFeed(tx.QueryRow("SELECT "+feedColumns+" FROM feed_feed WHERE id = $1", id).Scan)
	if errors.Is(err, store.ErrNoRows) {
		return State{}, ErrNone
	}
	return s, err
}

// List reads all feeds in the order in which they count.
func (k *Keeper) List(tx *store.Tx) ([]State, error) {
	var out []State
	rows, err := tx.Query("SELECT " + feedColumns + " FROM feed_feed ORDER BY precedence, id")
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		s, err := scanFeed(rows.Scan)
		out = append(out, s)
		return err
	})
	return out, err
}

// Put stores the settings of a feed. What was loaded stays; the next look at it is due.
func (k *Keeper) Put(tx *store.Tx, f Feed) error {
	if err := f.Check(); err != nil {
		return err
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO feed_feed (id, kind, precedence, settings, loads, loaded, valid_until, due_at, checked_at, fails, fault)
		VALUES ($1, $2, $3, $4, 0, '{}', 0, $5, 0, 0, '')
		ON CONFLICT (id) DO UPDATE SET kind = $2, precedence = $3, settings = $4, due_at = $5`,
		f.ID, f.Kind, f.Precedence, string(text), store.Millis(tx.Now))
	return err
}

// Remove forgets a feed and all that came with it; ErrNone when there is none.
func (k *Keeper) Remove(tx *store.Tx, id string) error {
	if _, err := tx.Exec("DELETE FROM feed_entity WHERE feed = $1", id); err != nil {
		return err
	}
	n, err := tx.Exec("DELETE FROM feed_feed WHERE id = $1", id)
	if err == nil && n == 0 {
		return ErrNone
	}
	return err
}

// Disown ends what was loaded from a generation that is not believed any more: its
// services are refused until another document is loaded.
func (k *Keeper) Disown(tx *store.Tx, id string) error {
	now := store.Millis(tx.Now)
	_, err := tx.Exec("UPDATE feed_feed SET loads = loads + 1, loaded = '{}', valid_until = $1, due_at = $1 WHERE id = $2", now, id)
	if err == nil {
		_, err = tx.Exec("UPDATE feed_entity SET gone = CASE WHEN gone > 0 THEN $1 ELSE gone END, valid_until = CASE WHEN valid_until > 0 THEN $1 ELSE valid_until END WHERE feed = $2", now, id)
	}
	return err
}

// Due lists the aggregates that should be looked at now.
func (k *Keeper) Due(tx *store.Tx) ([]string, error) {
	var out []string
	rows, err := tx.Query("SELECT id FROM feed_feed WHERE kind = $1 AND due_at <= $2 ORDER BY due_at", Aggregate, store.Millis(tx.Now))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		out = append(out, id)
		return err
	})
	return out, err
}

// The lives of what is no longer published.
const (
	keepGone    = 30 * 24 * time.Hour // of the row of a service that vanished
	keepOrphans = 24 * time.Hour      // of a document to which no row leads (yet)
)

// Sweep removes what nobody needs any more, a little at a time.
func (k *Keeper) Sweep(ctx context.Context) error {
	return k.DB.Background(ctx, func(tx *store.Tx) error {
		long := store.Millis(tx.Now.Add(-keepGone))
		if _, err := tx.Exec("DELETE FROM feed_entity WHERE gone > 0 AND gone < $1 OR valid_until > 0 AND valid_until < $1", long); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM feed_document WHERE hash IN (SELECT hash FROM feed_document WHERE stored_at < $1
			AND NOT EXISTS (SELECT 1 FROM feed_entity e WHERE e.hash = feed_document.hash) LIMIT 500)`, store.Millis(tx.Now.Add(-keepOrphans)))
		if err != nil {
			return err
		}
		_, err = tx.Exec("DELETE FROM feed_name WHERE hash IN (SELECT hash FROM feed_name WHERE NOT EXISTS (SELECT 1 FROM feed_document d WHERE d.hash = feed_name.hash) LIMIT 500)")
		return err
	})
}
