package saml

import (
	"context"
	"errors"
	"fmt"

	"seimon/internal/store"
)

// ErrKey says that a key cannot take this step.
var ErrKey = errors.New("no key can take this step: seimon saml keys lists them, seimon saml keys add makes one that can be activated, and activating one makes the other a former key")

// AddKey makes another key of a kind. Where one signs already, the new one is published
// beside it and waits (KeyNext) until services have read our metadata again; the first
// of its kind signs at once, for it can only be used by services that register it.
func (f *Front) AddKey(ctx context.Context, algorithm string) error {
	k, err := f.generate(algorithm)
	if err != nil {
		return err
	}
	err = f.DB.Write(ctx, func(tx *store.Tx) error {
		state := KeyActive
		err := eachKey(tx, func(have Key, _ []byte) error {
			switch {
			case have.Algorithm != algorithm || have.State == KeyRetired:
			case have.State == KeyNext:
				return fmt.Errorf("saml: the key %s waits already", have.ID)
			default:
				state = KeyNext
			}
			return nil
		})
		if err != nil {
			return err
		}
		return k.insert(tx, state)
	})
	if err != nil {
		return err
	}
	return f.load(ctx)
}

// Activate lets the waiting key of a kind sign; the one that signed stays published.
func (f *Front) Activate(ctx context.Context, algorithm string) error {
	err := f.DB.Write(ctx, func(tx *store.Tx) error {
		n, err := move(tx, algorithm, KeyActive, KeyFormer, KeyNext)
		if err != nil || n == 0 {
			return errors.Join(err, ErrKey)
		}
		_, err = move(tx, algorithm, KeyNext, KeyActive, "")
		return err
	})
	if err != nil {
		return err
	}
	return f.load(ctx)
}

// Retire takes the former key of a kind out of our metadata.
func (f *Front) Retire(ctx context.Context, algorithm string) error {
	err := f.DB.Write(ctx, func(tx *store.Tx) error {
		n, err := move(tx, algorithm, KeyFormer, KeyRetired, "")
		if err == nil && n == 0 {
			err = ErrKey
		}
		return err
	})
	if err != nil {
		return err
	}
	return f.load(ctx)
}

// move takes the keys of a kind from one state to another, provided that there is one
// in the state waiting (when named).
func move(tx *store.Tx, algorithm string, from, to, waiting KeyState) (int64, error) {
	if waiting != "" {
		var n int64
		err := tx.QueryRow("SELECT count(*) FROM saml_key WHERE algorithm = $1 AND state = $2", algorithm, string(waiting)).Scan(&n)
		if err != nil || n == 0 {
			return 0, err
		}
	}
	return tx.Exec("UPDATE saml_key SET state = $3, changed_at = $4 WHERE algorithm = $1 AND state = $2",
		algorithm, string(from), string(to), store.Millis(tx.Now))
}

// Keys lists the signing keys, oldest first.
func (f *Front) Keys(tx *store.Tx) ([]Key, error) {
	var out []Key
	err := eachKey(tx, func(k Key, _ []byte) error {
		out = append(out, k)
		return nil
	})
	return out, err
}

// NoteReady puts an administrator's word on record that a service knows a key, or takes
// it back.
func (f *Front) NoteReady(tx *store.Tx, key, party, says string, back bool) error {
	if back {
		_, err := tx.Exec("DELETE FROM saml_uptake WHERE key = $1 AND party = $2 AND kind = $3", key, party, uptakeNoted)
		return err
	}
	return noteUptake(tx, key, party, uptakeNoted, says)
}

// Try lets a waiting key sign for one service ahead of the others, or no longer.
// Refresh makes it so on every node.
func (f *Front) Try(tx *store.Tx, kind, party string, back bool) error {
	k, ok, err := Rolling(tx, kind)
	if err != nil || !ok || k.State != KeyNext {
		return errors.Join(err, ErrKey)
	}
	if back { // sessions that begin from now on are told by the other key
		_, err := tx.Exec("DELETE FROM saml_uptake WHERE key = $1 AND party = $2 AND kind IN ($3, $4)", k.ID, party, uptakeTrial, uptakeSigned)
		return err
	}
	return noteUptake(tx, k.ID, party, uptakeTrial, "")
}
