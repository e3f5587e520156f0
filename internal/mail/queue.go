package mail

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"seimon/internal/authn"
	"seimon/internal/lang"
	"seimon/internal/store"
)

//go:embed schema words
var files embed.FS

// Schema is the tables of the queue.
func Schema() store.Schema { return store.Schema{Room: "mail", Files: files} }

// Words are the frame around every message.
func Words() lang.Source { return lang.Source{Room: "mail", Files: files} }

// Why a message is not taken.
var (
	ErrAddress = errors.New("mail: not an address that mail can be sent to")
	ErrNone    = errors.New("mail: no such message")
)

// Message is one message to one person.
type Message struct {
	To       string // a plain address: local@domain
	Lang     lang.Tag
	Template string            // words TEMPLATE.subject and TEMPLATE.body
	Facts    map[string]string // one line each; "name" also greets, "university" is there by itself
	// Quote is a text that a person wrote, of many lines; it follows the body with
	// every line marked as quoted.
	Quote   string
	ReplyTo string // a plain address for answers to this message; may be empty
	Account authn.AccountID
	Purpose string    // what Latest asks for, such as "mailcode"
	Expires time.Time // after this it is not sent any more; zero: three days from now
}

// Sealer hides the text while it waits; keyring.Ring is one.
type Sealer interface {
	Seal(context string, plain []byte) []byte
	Unseal(context string, sealed []byte) ([]byte, error)
}

// Config says who sends and which way.
type Config struct {
	// From is the plain address that messages come from and bounce to.
	From string
	// ReplyTo is where answers go, if anywhere else.
	ReplyTo string
	// Domain ends the Message-ID; empty: the domain of From.
	Domain string
	// University is the name of the university, for the sender and the signature.
	University map[lang.Tag]string
	// Help is the line of the signature that says who can be asked.
	Help map[lang.Tag]string
	// Origin is the address of this gate, for the signature.
	Origin string
	// Transport carries messages to the mail server.
	Transport Transport
	// Timeout bounds one try; 30 seconds by default.
	Timeout time.Duration
}

// Queue keeps messages until the mail server has taken them. It is safe for
// concurrent use, also by several nodes on one database.
type Queue struct {
	db    *store.DB
	words *lang.Words
	seal  Sealer
	cfg   Config
	wake  chan struct{}

	mu   sync.Mutex
	down Down
}

// Down is since when the mail server could not be spoken to, as this program met it.
type Down struct {
	Since time.Time // zero while it can
	Reply string    // why
}

// defaultLife is how long a message without an expiry is tried.
const defaultLife = 72 * time.Hour

// New makes a queue. words must hold the words of this room and of every template.
func New(db *store.DB, words *lang.Words, seal Sealer, cfg Config) (*Queue, error) {
	from, err := address(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("mail: the sender %q: %w", cfg.From, err)
	}
	cfg.From = from
	if cfg.ReplyTo != "" {
		if cfg.ReplyTo, err = address(cfg.ReplyTo); err != nil {
			return nil, fmt.Errorf("mail: the address for answers: %w", err)
		}
	}
	if cfg.Domain == "" {
		_, cfg.Domain, _ = strings.Cut(cfg.From, "@")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Transport == nil {
		return nil, errors.New("mail: there is no way to send")
	}
	return &Queue{db: db, words: words, seal: seal, cfg: cfg, wake: make(chan struct{}, 1)}, nil
}

// Wake receives after a message has been enqueued on this node: time for Deliver.
func (q *Queue) Wake() <-chan struct{} { return q.wake }

// content is what is sealed.
type content struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	ReplyTo string `json:"reply_to,omitempty"`
}

// Enqueue writes a message in its language and queues it in the caller's
// transaction. The error is ErrAddress if it could never arrive.
func (q *Queue) Enqueue(tx *store.Tx, m Message) (id string, err error) {
	c, err := q.compose(m)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	id = authn.NewID("mail")
	expires := m.Expires
	if expires.IsZero() {
		expires = tx.Now.Add(defaultLife)
	}
	_, err = tx.Exec("INSERT INTO mail_message (id, account, purpose, template, lang, masked, sealed, state, tries, server, reply, queued_at, next_at, tried_at, expires_at)"+
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, '', '', $9, $10, 0, $11)",
		id, string(m.Account), m.Purpose, m.Template, string(q.words.In(m.Lang).Tag()), MaskAddress(c.To), q.seal.Seal(sealContext(id), plain),
		string(Queued), store.Millis(tx.Now), store.Millis(tx.Now), store.Millis(expires))
	if err != nil {
		return "", err
	}
	tx.After(func() {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	})
	return id, nil
}

func sealContext(id string) string { return "mail_message:" + id }
