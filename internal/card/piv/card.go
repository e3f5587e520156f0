package piv

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Card is the PIV application of a card, selected. It is for one goroutine.
type Card struct {
	t Transmitter
	// Application is what the card says of itself when it is selected.
	Application Application
}

// Application is the property template (SP 800-73-4 part 2, 3.1.1).
type Application struct {
	AID        []byte
	Label      string
	Algorithms []Algorithm // empty when the card does not tell
}

// aid begins the name of the application, whatever its version (SP 800-73-4 part 1, 2.2).
var aid = []byte{0xa0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00}

// Open selects the PIV application, or says ErrNoApplication.
func Open(t Transmitter) (*Card, error) {
	c := &Card{t: t}
	out, err := c.send(command{"SELECT", insSelect, 0x04, 0x00, aid, true})
	var status *StatusError
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnsupported) || errors.As(err, &status) {
		return nil, fmt.Errorf("%w: %w", ErrNoApplication, err)
	}
	if err != nil {
		return nil, err
	}
	if c.Application, err = parseApplication(out); err != nil {
		return nil, err
	}
	return c, nil
}

func parseApplication(b []byte) (a Application, err error) {
	list, err := inside(b, 0x61)
	if err != nil {
		return a, err
	}
	for _, t := range list {
		switch t.tag {
		case 0x4f:
			a.AID = t.value
		case 0x50:
			a.Label = string(t.value)
		case 0xac: // one template for each algorithm, or one for all
			inner, err := parseTLV(t.value)
			if err != nil {
				return a, err
			}
			for _, x := range inner {
				if x.tag == 0x80 && len(x.value) == 1 {
					a.Algorithms = append(a.Algorithms, Algorithm(x.value[0]))
				}
			}
		}
	}
	return a, nil
}

// Serial is the number that the maker gave the card, or ErrUnsupported.
func (c *Card) Serial() (uint32, error) {
	out, err := c.send(command{"GET SERIAL", insSerial, 0, 0, nil, true})
	if err != nil {
		return 0, err
	}
	if len(out) != 4 {
		return 0, fmt.Errorf("piv: a serial number of %d bytes", len(out))
	}
	return binary.BigEndian.Uint32(out), nil
}

// SetTries sets how many wrong PINs and PUKs in a row lock the card (1 to 255 each).
// Management key and PIN must have been shown; PIN and PUK become the factory's.
func (c *Card) SetTries(pin, puk int) error {
	if pin < 1 || pin > 255 || puk < 1 || puk > 255 {
		return errors.New("piv: tries are between 1 and 255")
	}
	_, err := c.send(command{"SET TRIES", insSetTries, byte(pin), byte(puk), nil, false})
	return err
}
