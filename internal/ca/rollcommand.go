package ca

import (
	"errors"
	"fmt"
	"slices"

	"seimon/internal/store"
)

// RolloverCommand is "seimon ca rollover": one verb for each step in an issuer's life.
type RolloverCommand struct {
	Prepare    PrepareCommand    `cmd:"" help:"Make the next issuer."`
	Distribute DistributeCommand `cmd:"" help:"Say that everything that checks certificates knows the issuer now."`
	Activate   ActivateCommand   `cmd:"" help:"Let the issuer sign certificates; the one before signs only lists and answers."`
	Retire     RetireCommand     `cmd:"" help:"End an issuer of which nothing is valid any more."`
	Discard    DiscardCommand    `cmd:"" help:"Give up an issuer that never signed a certificate."`
}

// PrepareCommand is "seimon ca rollover prepare".
type PrepareCommand struct {
	NewRoot bool `help:"Make a new root for it."`
	Making  `embed:""`
}

// Run makes the issuer.
func (c *PrepareCommand) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	i, err := o.CA.PrepareIssuer(env.Context(), c.plan(o), c.NewRoot)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Out(), "%s (%s) is prepared.\nHand it to RADIUS and VPN servers (seimon ca show --pem %s), then: seimon ca rollover distribute %s\n", i.Name, i.ID, i.ID, i.ID)
	return nil
}

// Moving is the argument of the steps.
type Moving struct {
	Issuer string `arg:"" optional:"" help:"Id of the issuer; may be left out when only one can take the step."`
}

// only finds the one issuer that can take the step.
func (m Moving) only(tx *store.Tx, a *Authority, step Step) (string, error) {
	all, err := a.Issuers(tx)
	if err != nil {
		return "", err
	}
	var can []string
	for _, i := range all {
		if slices.Contains(Possible(i.State), step) {
			can = append(can, i.ID)
		}
	}
	switch len(can) {
	case 0:
		return "", errors.New("no issuer can take this step now; seimon ca issuers tells where each stands, and seimon ca show ID what is possible")
	case 1:
		return can[0], nil
	}
	return "", fmt.Errorf("%d issuers can take this step: name one (seimon ca issuers)", len(can))
}

func (m Moving) move(env Env, step Step, then string) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	var i Issuer
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		id := m.Issuer
		if id == "" {
			if id, err = m.only(tx, o.CA, step); err != nil {
				return err
			}
		}
		i, err = o.CA.Move(tx, id, step, o.Actor)
		return err
	})
	if err != nil {
		return named(err, "issuer", m.Issuer)
	}
	fmt.Fprintf(env.Out(), "%s is %s. %s\n", i.Name, i.State, then)
	return nil
}

// DistributeCommand is "seimon ca rollover distribute".
type DistributeCommand struct {
	Moving `embed:""`
}

// Run moves the issuer.
func (c *DistributeCommand) Run(env Env) error {
	return c.move(env, Distribute, "Lists and answers are published for it from now on.")
}

// ActivateCommand is "seimon ca rollover activate".
type ActivateCommand struct {
	Moving `embed:""`
}

// Run moves the issuer, and the one before it.
func (c *ActivateCommand) Run(env Env) error {
	return c.move(env, Activate, "It signs every certificate from now on.")
}

// RetireCommand is "seimon ca rollover retire".
type RetireCommand struct {
	Moving `embed:""`
}

// Run moves the issuer.
func (c *RetireCommand) Run(env Env) error {
	return c.move(env, Retire, "Nothing is published for it any more.")
}

// DiscardCommand is "seimon ca rollover discard".
type DiscardCommand struct {
	Moving `embed:""`
}

// Run moves the issuer.
func (c *DiscardCommand) Run(env Env) error {
	return c.move(env, Discard, "It never signed a certificate.")
}
