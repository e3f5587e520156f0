package card

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/card/piv"
	"seimon/internal/directory"
	"seimon/internal/store"
)

// Sealer keeps PINs and PUKs private and derives keys that no master key's change touches.
type Sealer interface {
	Seal(context string, plain []byte) []byte
	Unseal(context string, sealed []byte) ([]byte, error)
	MAC(purpose string, data []byte) []byte
}

// Slot is a reader with a card that this program has for itself.
type Slot interface {
	piv.Transmitter
	Close() error
}

// Office is the desk where cards are made and mended: the register with everything
// that its changes need.
type Office struct {
	DB     *store.DB
	Book   *Book
	CA     *ca.Authority
	People *directory.Directory
	Seal   Sealer
	Houses Houses // for cards that were personalised elsewhere
	Actor  string // who works here, for the record
	// Holder says what stands of an account in its certificates.
	Holder func(a directory.Account, p directory.Person) ca.Holder
	// Insert takes the card in a reader; "" is the only reader that has one.
	Insert func(ctx context.Context, reader string) (Slot, error)
	// Note writes an audit event in the caller's transaction.
	Note func(tx *store.Tx, event string, account authn.AccountID, facts map[string]string) error
}

// Errors of the desk. Each says what can be done.
var (
	ErrUnknown   = errors.New("this card is not registered: put it into the stock first (seimon card stock)")
	ErrForeign   = errors.New("this card was personalised elsewhere: its management key is neither the factory's nor ours")
	ErrShared    = errors.New("this card cannot change its management key, and cards must not share one: ask the maker for cards that can, or for each card's own key; then take it back (seimon card return) and register it with that key (seimon card stock --given FILE)")
	ErrOtherPIN  = errors.New("this card has a PIN that nobody here knows: take it back (seimon card return) and register it again")
	ErrOtherCard = errors.New("another card is in the reader")
	ErrDead      = errors.New("the PUK of this card is locked too: give the person another card (seimon card replace)")
)

// bench is one card on the desk: in the reader, opened, and known.
type bench struct {
	slot   Slot
	card   *piv.Card
	serial string // "" when the card has no number of its own
	given  Given  // what the maker told of it
	guid   [16]byte
}

// put opens the card in a reader and asks who it is.
func (o Office) put(ctx context.Context, reader string) (_ *bench, err error) {
	slot, err := o.Insert(ctx, reader)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, slot.Close())
		}
	}()
	b := &bench{slot: slot}
	if b.card, err = piv.Open(slot); err != nil {
		return nil, err
	}
	if err := b.identify(); err != nil {
		return nil, err
	}
	return b, nil
}

// identify reads what the card says of itself: the maker's number, else its GUID.
func (b *bench) identify() error {
	chuid, err := b.card.CHUID()
	if err != nil && !errors.Is(err, piv.ErrNotFound) {
		return err
	}
	b.guid = chuid.GUID
	n, err := b.card.Serial()
	switch {
	case err == nil:
		b.serial = fmt.Sprintf("Y%d", n)
	case !errors.Is(err, piv.ErrUnsupported):
		return err
	case b.guid != [16]byte{}:
		b.serial = "G" + hex.EncodeToString(b.guid[:])
	}
	return nil
}

// take gives the card back, reset, and joins what went wrong.
func (b *bench) take(err *error) { *err = errors.Join(*err, b.slot.Close()) }

// known is the register's card that is on the desk.
func (o Office) known(ctx context.Context, b *bench) (c Card, err error) {
	if b.serial == "" {
		return c, ErrUnknown
	}
	err = o.DB.Read(ctx, func(tx *store.Tx) error {
		c, err = o.Book.BySerial(tx, b.serial)
		return err
	})
	if errors.Is(err, ErrNone) {
		err = fmt.Errorf("%w (its number is %s)", ErrUnknown, b.serial)
	}
	if err == nil {
		b.given, err = o.told(c)
	}
	return c, err
}

// expect is known for a command that names the card.
func (o Office) expect(ctx context.Context, b *bench, c Card) error {
	found, err := o.known(ctx, b)
	if err == nil && found.ID != c.ID {
		err = fmt.Errorf("%w: %s, not %s", ErrOtherCard, found.Called(), c.Called())
	}
	return err
}

// managementKey is the key of one card: derived from the house's secret and the
// card's number, so that no two cards share one and none has to be stored.
func (o Office) managementKey(serial string, t piv.KeyType) piv.ManagementKey {
	key := o.Seal.MAC("card.management", []byte(fmt.Sprintf("%d|%s", t, serial)))[:t.Size()]
	if t == piv.TripleDES { // FIPS 46-3: odd parity, which some cards check
		for i, b := range key {
			odd := byte(1)
			for bit := 1; bit < 8; bit++ {
				odd ^= b >> bit & 1
			}
			key[i] = b&^1 | odd
		}
	}
	return piv.ManagementKey{Type: t, Key: key}
}

// ownKeys are the keys that a card of ours may have, the usual one first.
func (o Office) ownKeys(serial string) []piv.ManagementKey {
	return []piv.ManagementKey{o.managementKey(serial, piv.AES192), o.managementKey(serial, piv.TripleDES)}
}

// manage shows the card its management key: ours, or the one that its maker told.
func (o Office) manage(b *bench) error {
	for _, k := range append(o.ownKeys(b.serial), managementKeys(b.given.Management)...) {
		if err := b.card.Manage(k); !errors.Is(err, piv.ErrDenied) {
			return err
		}
	}
	return ErrForeign
}

// factory shows the management key that cards come with.
func (o Office) factory(b *bench) error {
	for _, t := range []piv.KeyType{piv.TripleDES, piv.AES192} { // newer cards come with the same bytes as an AES key
		if err := b.card.Manage(piv.ManagementKey{Type: t, Key: piv.FactoryKey().Key}); !errors.Is(err, piv.ErrDenied) {
			return err
		}
	}
	return ErrForeign
}

// claim makes the management key of a card its own, unless it is already. A card that
// cannot change its key keeps the one that its maker gave to it alone.
func (o Office) claim(b *bench) error {
	for _, k := range o.ownKeys(b.serial) {
		if err := b.card.Manage(k); !errors.Is(err, piv.ErrDenied) {
			return err
		}
	}
	err := o.manage(b)
	told := err == nil
	if errors.Is(err, ErrForeign) {
		err = o.factory(b)
	}
	if err != nil {
		return err
	}
	for _, k := range o.ownKeys(b.serial) {
		err = b.card.SetManagementKey(k)
		var status *piv.StatusError
		if err == nil || !errors.As(err, &status) {
			break
		}
	}
	if errors.Is(err, piv.ErrUnsupported) && told {
		return nil
	}
	if errors.Is(err, piv.ErrUnsupported) {
		return fmt.Errorf("%w (%w)", ErrShared, err)
	}
	if err != nil {
		return err
	}
	return o.manage(b)
}

// sealed contexts bind a secret to its card and its use.
func (c Card) context(what string) string { return "card." + what + ":" + c.ID }

func (o Office) open(c Card, what string, sealed []byte) (authn.Secret, error) {
	plain, err := o.Seal.Unseal(c.context(what), sealed)
	if err != nil {
		return "", fmt.Errorf("%s of card %s: %w", what, c.Called(), err)
	}
	return authn.Secret(plain), nil
}

func (o Office) close(c Card, what string, secret authn.Secret) []byte {
	return o.Seal.Seal(c.context(what), []byte(secret.Reveal()))
}

// pinMAC names a PIN for disputes; without the house's secret it cannot be searched for.
func (o Office) pinMAC(c Card, pin authn.Secret) []byte {
	return o.Seal.MAC("card.pin", []byte(c.ID+"|"+pin.Reveal()))
}

// change reads a card afresh, changes and saves it.
func (o Office) change(ctx context.Context, id string, fn func(tx *store.Tx, c Card) (Card, error)) error {
	return o.DB.Write(ctx, func(tx *store.Tx) error {
		c, err := o.Book.Get(tx, id)
		if err != nil {
			return err
		}
		if c, err = fn(tx, c); err != nil {
			return err
		}
		return o.Book.save(tx, c)
	})
}

// note writes what happened to a card; the reason is there when the desk gave one.
func (o Office) note(tx *store.Tx, event string, c Card, facts ...string) error {
	f := map[string]string{"card": c.ID, "serial": c.Serial, "label": c.Label}
	for i := 0; i+1 < len(facts); i += 2 {
		if facts[i+1] != "" {
			f[facts[i]] = facts[i+1]
		}
	}
	return o.Note(tx, event, c.Account, f)
}

// lockAfter is how many wrong PINs in a row lock a card that lets us choose.
const lockAfter = 10

// tries asks how many PIN tries are left; unknownTries when the card does not tell.
func (b *bench) tries() (int, error) {
	if err := b.card.LogOut(); err != nil && !errors.Is(err, piv.ErrUnsupported) {
		return unknownTries, err
	}
	return b.card.Tries()
}

// unknownTries says that the card did not tell.
const unknownTries = -1

// day is for expiry dates on cards, which have no time of day.
const day = 24 * time.Hour
