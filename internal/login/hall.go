package login

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"time"

	"seimon/internal/audit"
	"seimon/internal/directory"
	"seimon/internal/factor"
	"seimon/internal/lang"
	"seimon/internal/login/transaction"
	"seimon/internal/mail"
	"seimon/internal/policy"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
	"seimon/internal/throttle"
	"seimon/internal/web"
)

const (
	// repeatFor is how long after its end a sign-in answers a double click again.
	repeatFor = time.Minute
	// enrolFresh is the greatest age of the first factor when a factor is added on the way in.
	enrolFresh = 10 * time.Minute
)

// Rooms are the rooms below that the hall brings together; the desks use the same.
type Rooms struct {
	DB       *store.DB
	Site     *web.Site
	Policy   *policy.Book
	People   *directory.Directory
	Sessions *session.Keeper
	Parties  *rp.Book
	Throttle *throttle.Throttle
	Audit    *audit.Log
	Bindings *factor.Bindings
	Factors  factor.Set
	Mail     *mail.Queue
	Ring     transaction.Sealer
	Words    *lang.Words
	Log      *slog.Logger
	// HelpURL is where the person finds people to ask; it may be empty.
	HelpURL string
}

// Hall brings a person from a service's question to its answer.
type Hall struct {
	Rooms
	shelf  *transaction.Shelf
	crowd  *transaction.Crowd
	fronts map[string]Front
}

//go:embed words
var ownWords embed.FS

//go:embed templates
var templates embed.FS

// Schema is the hall's tables.
func Schema() store.Schema { return transaction.Schema() }

// Words is what the hall says.
func Words() lang.Source { return lang.Source{Room: "login", Files: ownWords} }

// New builds the hall and mounts its pages and those of the fronts.
func New(r Rooms) (*Hall, error) {
	h := &Hall{Rooms: r, shelf: transaction.New(r.Ring), fronts: map[string]Front{}}
	h.crowd = transaction.NewCrowd(r.DB, r.Audit, r.Sessions, transaction.DefaultBounds())
	sub, err := fs.Sub(templates, "templates")
	if err != nil {
		return nil, err
	}
	if err := h.Site.Templates(sub); err != nil {
		return nil, fmt.Errorf("login: templates: %w", err)
	}
	h.Site.Page("GET /login/{id}", h.show)
	h.Site.Page("POST /login/{id}", h.answer)
	h.Site.Page("GET /login/{id}/again", h.again)
	h.Site.Page("GET /login", h.bare)
	return h, nil
}

// Open mounts the fronts; each sign-in returns to the one that asked.
func (h *Hall) Open(fronts ...Front) error {
	for _, f := range fronts {
		if _, twice := h.fronts[f.Name()]; twice {
			return fmt.Errorf("login: two fronts are named %q", f.Name())
		}
		h.fronts[f.Name()] = f
		f.Mount(h.Site)
	}
	return nil
}

// Front gives a front by name, or nil.
func (h *Hall) Front(name string) Front { return h.fronts[name] }

// Fronts lists the fronts.
func (h *Hall) Fronts() []Front { return slices.Collect(maps.Values(h.fronts)) }

// Sweep removes transactions that are over; see transaction.Crowd.
func (h *Hall) Sweep(ctx context.Context) error { return h.crowd.Sweep(ctx) }
