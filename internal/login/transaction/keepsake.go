package transaction

import (
	"encoding/base64"
	"encoding/json"
	"time"
)

// mostKept bounds what a browser is given to keep, in bytes: less than what a proxy
// takes for the head of an answer (4 KiB).
const mostKept = 2400

// keepsake is what the browser keeps of a sign-in, sealed, so that the way on is known
// when the row is gone.
type keepsake struct {
	Until   int64
	Support string
	Ask     Ask
}

const sealKept = "login.kept:"

// Keepsake is what the browser is to keep of t for KeptFor, at the addresses of t alone. A
// question too long to keep is reduced to the service.
func (k *Shelf) Keepsake(t *Transaction) string {
	kept := keepsake{t.Created.Add(KeptFor).Unix(), t.Support, t.Ask}
	text := k.wrap(t.ID, kept)
	if len(text) > mostKept {
		kept.Ask = Ask{Party: t.Ask.Party}
		text = k.wrap(t.ID, kept)
	}
	return text
}

// KeptFor is how long the browser keeps it.
const KeptFor = keepFor

func (k *Shelf) wrap(id string, kept keepsake) string {
	plain, err := json.Marshal(kept)
	if err != nil {
		panic(err) // texts, numbers and a requirement
	}
	return base64.RawURLEncoding.EncodeToString(k.ring.Seal(sealKept+id, plain))
}

// Recall gives what a browser kept of a transaction that is gone, or nil. Its Ask lacks
// the front when only the service is known.
func (k *Shelf) Recall(id, text string, now time.Time) *Transaction {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > 2*mostKept {
		return nil
	}
	plain, err := k.ring.Unseal(sealKept+id, sealed)
	if err != nil {
		return nil
	}
	var kept keepsake
	if json.Unmarshal(plain, &kept) != nil || now.Unix() > kept.Until {
		return nil
	}
	return &Transaction{ID: id, Ask: kept.Ask, Support: kept.Support}
}
