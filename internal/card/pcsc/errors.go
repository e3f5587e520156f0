package pcsc

import (
	"errors"
	"fmt"
)

// What goes wrong at a reader. Each says what a person can do.
var (
	ErrNotRunning = errors.New("the card service does not answer: start pcscd (systemctl start pcscd.socket)")
	ErrStopped    = errors.New("the card service stopped in the middle: look at pcscd and do the same again")
	ErrNoReader   = errors.New("no card reader is connected")
	ErrNoCard     = errors.New("no card is in the reader: put it in, chip first and facing up")
	ErrManyCards  = errors.New("several cards are in readers: leave one in, or name the reader")
	ErrTaken      = errors.New("another program uses the card: close it (a browser, gpg) and do the same again")
	ErrRemoved    = errors.New("the card was taken out in the middle: put it in and do the same again")
	ErrSilent     = errors.New("the card does not answer: clean its contacts, put it in chip first")
)

// ResultError is any other result of pcscd.
type ResultError struct{ Result uint32 }

// Error gives the number as pcsc-lite writes it.
func (e *ResultError) Error() string {
	return fmt.Sprintf("the card service answered 0x%08X", e.Result)
}

// judge turns a result of pcscd into an error (pcsclite.h).
func judge(result uint32) error {
	if result == 0 {
		return nil
	}
	e := &ResultError{result}
	known := map[uint32]error{
		0x8010000C: ErrNoCard,     // SCARD_E_NO_SMARTCARD
		0x8010000B: ErrTaken,      // SCARD_E_SHARING_VIOLATION
		0x80100069: ErrRemoved,    // SCARD_W_REMOVED_CARD
		0x80100068: ErrRemoved,    // SCARD_W_RESET_CARD: another program began anew with it
		0x80100016: ErrRemoved,    // SCARD_E_NOT_TRANSACTED: pulled out during a command
		0x80100003: ErrRemoved,    // SCARD_E_INVALID_HANDLE: the reader was pulled out
		0x80100067: ErrSilent,     // SCARD_W_UNPOWERED_CARD
		0x80100066: ErrSilent,     // SCARD_W_UNRESPONSIVE_CARD
		0x80100065: ErrSilent,     // SCARD_W_UNSUPPORTED_CARD
		0x80100009: ErrNoReader,   // SCARD_E_UNKNOWN_READER
		0x80100017: ErrNoReader,   // SCARD_E_READER_UNAVAILABLE
		0x8010002E: ErrNoReader,   // SCARD_E_NO_READERS_AVAILABLE
		0x8010001D: ErrNotRunning, // SCARD_E_NO_SERVICE
		0x8010001E: ErrStopped,    // SCARD_E_SERVICE_STOPPED
	}
	if cause, ok := known[result]; ok {
		return fmt.Errorf("%w (%w)", cause, e)
	}
	return e
}
