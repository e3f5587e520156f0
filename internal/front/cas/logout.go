package cas

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/rp"
	"seimon/internal/session"
	"seimon/internal/store"
)

// SignOut implements login.SignOuter: every ticket of the visit ends, and the service
// is told of each one that it took, at the address that the person came back to (CAS
// Protocol 3.0, 2.3.3). An error asks to be called again later; those told are
// forgotten one by one, so that nobody is told twice for another's sake.
func (f *Front) SignOut(ctx context.Context, v session.Visit) error {
	var tickets []ticket
	err := f.DB.Write(ctx, func(tx *store.Tx) error {
		tickets = nil
		_, err := tx.Exec("DELETE FROM cas_ticket WHERE session = $1 AND (used_at = 0 OR kind = $2)", v.Session, kindGrant)
		if err != nil {
			return err
		}
		taken, err := f.taken(tx, v.ID)
		if err != nil {
			return err
		}
		for _, t := range taken {
			// A proxy ticket hangs on the visit of who asked for it, but was another's.
			s, err := f.get(tx, t.party)
			if err != nil && !errors.Is(err, rp.ErrNone) {
				return err
			}
			if err == nil && s.Logout == logoutPost {
				tickets = append(tickets, t)
			} else if _, err := tx.Exec("DELETE FROM cas_ticket WHERE hash = $1", t.hash); err != nil {
				return err
			}
		}
		return nil
	})
	var faults []error
	for _, t := range tickets {
		faults = append(faults, f.tell(ctx, v, t))
	}
	return errors.Join(append(faults, err)...)
}

// taken lists the tickets of a visit that a service has validated.
func (f *Front) taken(tx *store.Tx, visit string) ([]ticket, error) {
	var out []ticket
	rows, err := tx.Query("SELECT hash, kind, party, sealed FROM cas_ticket WHERE visit = $1 AND used_at > 0 ORDER BY used_at", visit)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var t ticket
		var sealed []byte
		if err := rows.Scan(&t.hash, &t.kind, &t.party, &sealed); err != nil {
			return err
		}
		err := f.open(&t, sealed)
		out = append(out, t)
		return err
	})
	return out, err
}

// tell posts the end of a session to a service and puts the result on record.
func (f *Front) tell(ctx context.Context, v session.Visit, t ticket) error {
	body := url.Values{"logoutRequest": {logoutRequest(t, f.DB.Now())}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.Service, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, err := f.carry(r)
	// Services answer a sign-out with all sorts of pages and redirects; only what says
	// "later" is tried again.
	again := err != nil || status >= 500 || status == http.StatusTooManyRequests
	event, facts := "cas.logout.sent", map[string]string{"status": strconv.Itoa(status)}
	if again {
		event = "cas.logout.failed"
		if err == nil {
			err = errors.New("the service answered " + strconv.Itoa(status))
		}
		facts["error"] = shorten(err.Error())
	}
	recorded := f.DB.Write(ctx, func(tx *store.Tx) error {
		if !again {
			if _, err := tx.Exec("DELETE FROM cas_ticket WHERE hash = $1", t.hash); err != nil {
				return err
			}
		}
		return f.Audit.Append(tx, audit.Event{
			Type: event, Account: v.Account, Actor: "service:" + t.party, Session: v.Session, Party: t.party, Facts: facts,
		})
	})
	return errors.Join(err, recorded)
}

// logoutRequest is the message about one ticket (CAS Protocol 3.0, appendix C).
func logoutRequest(t ticket, now time.Time) string {
	return el("samlp:LogoutRequest", "",
		el("saml:NameID", t.User),
		el("samlp:SessionIndex", t.Ticket),
	).with("xmlns:samlp", "urn:oasis:names:tc:SAML:2.0:protocol").with("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion").
		with("ID", authn.NewID("out")).with("Version", "2.0").with("IssueInstant", now.UTC().Format(time.RFC3339)).String()
}

// CanTell tells whether the service of a visit can be told of the end of a session: it
// takes such messages, and has taken a ticket.
func (f *Front) CanTell(tx *store.Tx, v session.Visit) (bool, error) {
	s, err := f.get(tx, v.Party)
	if errors.Is(err, rp.ErrNone) {
		return false, nil
	}
	if err != nil || s.Logout != logoutPost {
		return false, err
	}
	tickets, err := f.taken(tx, v.ID)
	return len(tickets) > 0, err
}
