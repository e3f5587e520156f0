package mail

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// State is how far a message has come.
type State string

// The states. All but Queued are final, and the text is erased in them.
const (
	Queued  State = "queued"  // waits, perhaps after failed tries
	Handed  State = "handed"  // the mail server has taken it
	Refused State = "refused" // the mail server will not take it
	Expired State = "expired" // it would have come too late
)

// Delivery is what is known about a message.
type Delivery struct {
	ID       string
	Account  authn.AccountID
	Purpose  string
	Template string
	To       string // masked
	State    State
	At       time.Time // of the newest fact: queued, last tried, handed over, refused, expired
	Queued   time.Time
	Next     time.Time // the next try, while queued
	Expires  time.Time
	Server   string // the mail server last tried
	Reply    string // what it said, or why it could not be reached; one line
	Tries    int64
}

const deliveryColumns = "id, account, purpose, template, masked, state, tries, server, reply, queued_at, next_at, tried_at, expires_at"

func scanDelivery(scan func(...any) error) (Delivery, error) {
	var d Delivery
	var queued, next, tried, expires int64
	err := scan(&d.ID, &d.Account, &d.Purpose, &d.Template, &d.To, &d.State, &d.Tries, &d.Server, &d.Reply, &queued, &next, &tried, &expires)
	if errors.Is(err, store.ErrNoRows) {
		return Delivery{}, ErrNone
	}
	d.Queued, d.Expires = store.Time(queued), store.Time(expires)
	d.At = store.Time(max(queued, tried))
	if d.State == Queued {
		d.Next = store.Time(next)
	}
	return d, err
}

// Delivery tells what became of a message, or ErrNone.
func (q *Queue) Delivery(tx *store.Tx, id string) (Delivery, error) {
	return scanDelivery(tx.QueryRow("SELECT "+deliveryColumns+" FROM mail_message WHERE id = $1", id).Scan)
}

// Latest tells what became of the newest message to an account for a purpose, or ErrNone.
func (q *Queue) Latest(tx *store.Tx, account authn.AccountID, purpose string) (Delivery, error) {
	return scanDelivery(tx.QueryRow("SELECT "+deliveryColumns+" FROM mail_message WHERE account = $1 AND purpose = $2 ORDER BY number DESC LIMIT 1",
		string(account), purpose).Scan)
}

// Deliveries lists the newest messages to an account, at most limit, the newest first.
func (q *Queue) Deliveries(tx *store.Tx, account authn.AccountID, limit int) ([]Delivery, error) {
	var out []Delivery
	rows, err := tx.Query("SELECT "+deliveryColumns+" FROM mail_message WHERE account = $1 ORDER BY number DESC LIMIT $2", string(account), int64(limit))
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		d, err := scanDelivery(rows.Scan)
		out = append(out, d)
		return err
	})
	return out, err
}

// Backlog is what waits although it was tried: a sign that mail is out of order.
type Backlog struct {
	Waiting int64
	Since   time.Time // when the oldest of them was queued
	Reply   string    // what was last said to one of them
}

// Backlog tells whether mail is getting stuck.
func (q *Queue) Backlog(tx *store.Tx) (Backlog, error) {
	var b Backlog
	var since int64
	err := tx.QueryRow("SELECT COUNT(*), COALESCE(MIN(queued_at), 0) FROM mail_message WHERE state = $1 AND reply <> ''", string(Queued)).Scan(&b.Waiting, &since)
	if err != nil || b.Waiting == 0 {
		return b, err
	}
	b.Since = store.Time(since)
	err = tx.QueryRow("SELECT reply FROM mail_message WHERE state = $1 AND reply <> '' ORDER BY tried_at DESC LIMIT 1", string(Queued)).Scan(&b.Reply)
	return b, err
}

// Sweep removes at most limit final messages that were queued before a time.
func (q *Queue) Sweep(tx *store.Tx, before time.Time, limit int) (int64, error) {
	return tx.Exec("DELETE FROM mail_message WHERE number IN (SELECT number FROM mail_message WHERE state <> $1 AND queued_at < $2 ORDER BY number LIMIT $3)",
		string(Queued), store.Millis(before), int64(limit))
}

// batch is how many messages are carried at the same time.
const batch = 8

// claim is one message that this node carries now.
type claim struct {
	id     string
	lang   lang.Tag
	sealed []byte
	tries  int64
	result result
}

// result is the outcome of a try.
type result struct {
	state State
	reply string
	down  bool // the server could not be spoken to: others need not try now
	at    time.Time
}

// Deliver carries what is due, the most urgent first, until nothing is left or
// the mail server cannot be reached. Several nodes may call it at once: each
// message is carried by one of them.
func (q *Queue) Deliver(ctx context.Context) error {
	for {
		claims, err := q.claim(ctx)
		if err != nil || len(claims) == 0 {
			return err
		}
		var carriers sync.WaitGroup
		for _, c := range claims {
			carriers.Go(func() { c.result = q.carry(ctx, c) })
		}
		carriers.Wait()
		q.heard(claims)
		if err := q.note(ctx, claims); err != nil {
			return err
		}
		for _, c := range claims {
			if c.result.down {
				return ctx.Err()
			}
		}
	}
}

// heard notes whether the mail server could be spoken to.
func (q *Queue) heard(claims []*claim) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range claims {
		if !c.result.down {
			q.down = Down{}
			return
		}
		if q.down.Since.IsZero() {
			q.down.Since = c.result.at
		}
		q.down.Reply = c.result.reply
	}
}

// Down tells since when the mail server has been out of reach.
func (q *Queue) Down() Down {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.down
}

// claim takes due messages for this node: they are due again only after twice the
// time that a try may take.
func (q *Queue) claim(ctx context.Context) ([]*claim, error) {
	var claims []*claim
	err := q.db.Write(ctx, func(tx *store.Tx) error {
		claims = nil
		now := store.Millis(tx.Now)
		_, err := tx.Exec("UPDATE mail_message SET state = $1, sealed = $2, tried_at = $3 WHERE state = $4 AND expires_at <= $5",
			string(Expired), []byte{}, now, string(Queued), now)
		if err != nil {
			return err
		}
		rows, err := tx.Query("UPDATE mail_message SET next_at = $1, tries = tries + 1 WHERE id IN"+
			" (SELECT id FROM mail_message WHERE state = $2 AND next_at <= $3 ORDER BY expires_at, number LIMIT $4) RETURNING id, lang, sealed, tries",
			store.Millis(tx.Now.Add(2*q.cfg.Timeout)), string(Queued), now, int64(batch))
		return store.Each(rows, err, func(rows *sql.Rows) error {
			c := &claim{}
			claims = append(claims, c)
			return rows.Scan(&c.id, &c.lang, &c.sealed, &c.tries)
		})
	})
	return claims, err
}

// carry tries once to hand a message over.
func (q *Queue) carry(ctx context.Context, c *claim) result {
	at := q.db.Now()
	var text content
	plain, err := q.seal.Unseal(sealContext(c.id), c.sealed)
	if err == nil {
		err = json.Unmarshal(plain, &text)
	}
	var message []byte
	if err == nil {
		message, err = q.message(text, envelope{c.id, c.lang, at})
	}
	if err != nil {
		return result{state: Queued, reply: "the message could not be read: " + err.Error(), at: at}
	}
	ctx, cancel := context.WithTimeout(ctx, q.cfg.Timeout)
	defer cancel()
	reply, err := q.cfg.Transport.Send(ctx, q.cfg.From, text.To, message)
	r := result{state: Handed, reply: reply, at: q.db.Now()}
	if err != nil {
		var refusal *Refusal
		spoken := errors.As(err, &refusal)
		r.reply, r.state, r.down = err.Error(), Queued, !spoken
		if spoken && refusal.Final {
			r.state = Refused
		}
	}
	r.reply = hideAddress(oneLine(r.reply, replyMax), text.To)
	return r
}

// replyMax bounds what is kept of a server's reply, in characters.
const replyMax = 300

// note writes down what became of the claimed messages.
func (q *Queue) note(ctx context.Context, claims []*claim) error {
	server := serverOf(q.cfg.Transport)
	// What was handed over must be known as such even if the program is told to stop.
	return q.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		for _, c := range claims {
			r := c.result
			sealed, next := c.sealed, r.at.Add(pause(c.tries))
			if r.state != Queued {
				sealed = []byte{}
			}
			_, err := tx.Exec("UPDATE mail_message SET state = $1, sealed = $2, server = $3, reply = $4, tried_at = $5, next_at = $6 WHERE id = $7 AND state = $8",
				string(r.state), sealed, server, r.reply, store.Millis(r.at), store.Millis(next), c.id, string(Queued))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// pause is the time until the next try after so many: short at first, because
// people wait for codes, and longer the longer it fails.
func pause(tries int64) time.Duration {
	steps := []time.Duration{5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
		5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour}
	return steps[min(max(tries, 1), int64(len(steps)))-1]
}
