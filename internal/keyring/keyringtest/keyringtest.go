// Package keyringtest opens keyrings in tests.
package keyringtest

import (
	"testing"

	"seimon/internal/keyring"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

// Open opens the ring of a database that is new. Its signing keys are those of the first
// ring under this master key in the test program, for new ones of RSA take long to find;
// its house secret is its own.
func Open(t testing.TB, db *store.DB, master []byte) *keyring.Ring {
	t.Helper()
	var ring *keyring.Ring
	storetest.Keep(t, db, "keyring "+string(master), "keyring_key", func() (err error) {
		ring, err = keyring.Open(t.Context(), db, keyring.Config{Master: master})
		return err
	})
	return ring
}
