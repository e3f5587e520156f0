package session

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"seimon/internal/authn"
	"seimon/internal/jobs"
	"seimon/internal/store"
)

// Visit is one service entered under a session. Entering it again renews the visit.
type Visit struct {
	ID      string          `json:"id"`
	Session string          `json:"session"`
	Account authn.AccountID `json:"account"`
	Party   string          `json:"party"`
	Front   string          `json:"front"`
	Detail  []byte          `json:"detail,omitempty"` // the front's own
	First   time.Time       `json:"first"`
	At      time.Time       `json:"at"`
	Why     string          `json:"why,omitempty"` // after the end: the reason given to End
}

const visitColumns = "id, session, account, party, front, detail, first_at, at"

func scanVisit(scan func(...any) error) (Visit, error) {
	var v Visit
	var first, at int64
	err := scan(&v.ID, &v.Session, &v.Account, &v.Party, &v.Front, &v.Detail, &first, &at)
	v.First, v.At = store.Time(first), store.Time(at)
	return v, none(err)
}

// Visit notes that v.Session entered v.Party through v.Front: one row for each
// session and party, whose id stays when it is renewed. A session that has ended
// takes no visits (ErrNone), so that none escapes its sign-out. Without a Detail the
// former one stays.
func (k *Keeper) Visit(tx *store.Tx, v Visit) (Visit, error) {
	if v.Detail == nil {
		v.Detail = []byte{}
	}
	now := store.Millis(tx.Now)
	return scanVisit(tx.QueryRow("INSERT INTO session_visit ("+visitColumns+")"+
		" SELECT $1, id, account, $3, $4, $5, $6, $6 FROM session_session WHERE id = $2 AND expires_at > $6 AND created_at > $7 AND used_at > $8"+
		" ON CONFLICT (session, party) DO UPDATE SET front = excluded.front, at = excluded.at,"+
		" detail = CASE WHEN LENGTH(excluded.detail) = 0 THEN session_visit.detail ELSE excluded.detail END RETURNING "+visitColumns,
		authn.NewID("visit"), v.Session, v.Party, v.Front, v.Detail, now, now-k.cfg.Absolute.Milliseconds(), now-k.cfg.Idle.Milliseconds()).Scan)
}

// Visits lists the visits of a session, the newest first.
func (k *Keeper) Visits(tx *store.Tx, sid string) ([]Visit, error) {
	return k.visits(tx, "session = $1", sid)
}

func (k *Keeper) visits(tx *store.Tx, which string, args ...any) ([]Visit, error) {
	var out []Visit
	rows, err := tx.Query("SELECT "+visitColumns+" FROM session_visit WHERE "+which+" ORDER BY at DESC, id", args...)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		v, err := scanVisit(rows.Scan)
		out = append(out, v)
		return err
	})
	return out, err
}

// SignOutKind is the kind of the tasks that tell a front about visits that are over.
func SignOutKind(front string) string { return "signout:" + front }

// End ends a session and hands its visits to the fronts, as tasks whose payload is
// the Visit in JSON. Ending a session that is over already does nothing.
func (k *Keeper) End(tx *store.Tx, sid, why string) error {
	visits, err := k.Visits(tx, sid)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM session_visit WHERE session = $1", sid); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM session_session WHERE id = $1", sid); err != nil {
		return err
	}
	for _, v := range visits {
		if err := k.handOver(tx, v, why); err != nil {
			return fmt.Errorf("session: sign-out of visit %s: %w", v.ID, err)
		}
	}
	return nil
}

func (k *Keeper) handOver(tx *store.Tx, v Visit, why string) error {
	if !k.cfg.Tell(v.Front) {
		return nil
	}
	v.Why = why
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return k.jobs.Submit(tx, jobs.NewTask{Kind: SignOutKind(v.Front), Key: v.ID, Payload: payload, At: tx.Now})
}

// EndAll ends every session of an account but one (except; empty: none).
func (k *Keeper) EndAll(tx *store.Tx, account authn.AccountID, why, except string) error {
	var ids []string
	rows, err := tx.Query("SELECT id FROM session_session WHERE account = $1 AND id <> $2 ORDER BY id", string(account), except)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := k.End(tx, id, why); err != nil {
			return err
		}
	}
	if k.cfg.Cut == nil {
		return nil
	}
	return k.cfg.Cut(tx, account, why)
}

// Expired is why a session ended by its time limit.
const Expired = "expired"

// Sweep ends at most limit sessions that are over by their limits, telling the fronts
// as End does, and removes as many expired trusts and forgotten browsers. It returns
// how many sessions went: when that is limit, there may be more.
func (k *Keeper) Sweep(tx *store.Tx, limit int) (int64, error) {
	now := store.Millis(tx.Now)
	const over = "(SELECT id FROM session_session WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2)"
	visits, err := k.visits(tx, "session IN "+over, now, int64(limit))
	if err != nil {
		return 0, err
	}
	for _, v := range visits {
		if err := k.handOver(tx, v, Expired); err != nil {
			return 0, fmt.Errorf("session: sign-out of visit %s: %w", v.ID, err)
		}
	}
	if _, err := tx.Exec("DELETE FROM session_visit WHERE session IN "+over, now, int64(limit)); err != nil {
		return 0, err
	}
	n, err := tx.Exec("DELETE FROM session_session WHERE id IN "+over, now, int64(limit))
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec("DELETE FROM session_trust WHERE id IN (SELECT id FROM session_trust WHERE until <= $1 ORDER BY until, id LIMIT $2)", now, int64(limit))
	if err != nil {
		return 0, err
	}
	return n, sweepBrowsers(tx, limit)
}
