package piv

import (
	"bytes"
	"errors"
	"fmt"

	"seimon/internal/authn"
)

// The PIN and PUK of a card as it leaves the factory.
const (
	FactoryPIN = "123456"
	FactoryPUK = "12345678"
)

const (
	refPIN = 0x80 // SP 800-73-4 part 1, table 4b
	refPUK = 0x81 // PIN unblocking key
)

// pad fills a PIN or PUK up to eight bytes (SP 800-73-4 part 2, 2.4.3).
func pad(s authn.Secret) []byte {
	return append([]byte(s.Reveal()), bytes.Repeat([]byte{0xff}, 8-len(s.Reveal()))...)
}

// CheckPIN tells whether a PIN has the form of one: six to eight digits (SP 800-73-4
// part 2, 2.4.3).
func CheckPIN(pin authn.Secret) error {
	s := pin.Reveal()
	if len(s) < 6 || len(s) > 8 {
		return errors.New("a PIN has six to eight digits")
	}
	for _, r := range s {
		if r < '0' || r > '9' {
			return errors.New("a PIN has digits only, in half-width characters")
		}
	}
	return nil
}

func checkPUK(puk authn.Secret) error {
	if len(puk.Reveal()) != 8 {
		return errors.New("a PUK has eight characters")
	}
	return nil
}

// Tries asks how many PIN tries are left, without using one (SP 800-73-4 part 2,
// 3.2.1). A verified PIN does not tell: -1. Cards with more than 15 tell 15.
func (c *Card) Tries() (int, error) {
	_, err := c.send(command{"VERIFY", insVerify, 0, refPIN, nil, false})
	var wrong *PINError
	switch {
	case errors.As(err, &wrong):
		return wrong.Left, nil
	case errors.Is(err, ErrBlocked):
		return 0, nil
	case err == nil:
		return -1, nil
	}
	return 0, err
}

// Verify shows the PIN. A wrong one is a *PINError, or ErrBlocked when it was the last.
func (c *Card) Verify(pin authn.Secret) error {
	if err := CheckPIN(pin); err != nil {
		return err
	}
	_, err := c.send(command{"VERIFY", insVerify, 0, refPIN, pad(pin), false})
	return lastTry(err)
}

// lastTry makes "wrong, none left" the same as "locked".
func lastTry(err error) error {
	var wrong *PINError
	if errors.As(err, &wrong) && wrong.Left == 0 {
		return fmt.Errorf("%w: %w", ErrBlocked, err)
	}
	return err
}

// LogOut forgets that the PIN was shown. Cards of before SP 800-73-4 do not know it:
// ErrUnsupported, and taking the card out does the same.
func (c *Card) LogOut() error {
	_, err := c.send(command{"VERIFY", insVerify, 0xff, refPIN, nil, false})
	var status *StatusError
	if errors.As(err, &status) && status.Status == 0x6a86 {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return err
}

// ChangePIN replaces the PIN (SP 800-73-4 part 2, 3.2.2). A wrong old one counts.
func (c *Card) ChangePIN(old, new authn.Secret) error {
	if err := CheckPIN(new); err != nil {
		return err
	}
	if len(old.Reveal()) > 8 {
		return errors.New("a PIN has at most eight digits")
	}
	_, err := c.send(command{"CHANGE REFERENCE DATA", insChange, 0, refPIN, append(pad(old), pad(new)...), false})
	return lastTry(err)
}

// ChangePUK replaces the PUK. A wrong old one counts.
func (c *Card) ChangePUK(old, new authn.Secret) error {
	if err := errors.Join(checkPUK(old), checkPUK(new)); err != nil {
		return err
	}
	_, err := c.send(command{"CHANGE REFERENCE DATA", insChange, 0, refPUK, append(pad(old), pad(new)...), false})
	return lastTry(err)
}

// Unblock sets a new PIN with the PUK and gives all tries back (SP 800-73-4 part 2,
// 3.2.3). A wrong PUK counts; when none of its tries is left the card is lost: ErrBlocked.
func (c *Card) Unblock(puk, pin authn.Secret) error {
	if err := errors.Join(checkPUK(puk), CheckPIN(pin)); err != nil {
		return err
	}
	_, err := c.send(command{"RESET RETRY COUNTER", insUnblock, 0, refPIN, append(pad(puk), pad(pin)...), false})
	return lastTry(err)
}
