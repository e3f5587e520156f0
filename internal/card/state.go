package card

import (
	"fmt"
	"slices"
)

// State is where a card stands in its life.
type State string

// The states. A card signs in only while it is handed or active.
const (
	Stock         State = "stock"         // registered, belongs to nobody
	Personalising State = "personalising" // begun; the same command goes on
	Personalised  State = "personalised"  // whole, still at the desk
	Handed        State = "handed"        // its person has it, the PIN was never seen to work
	Active        State = "active"        // its person has it and has used it
	Suspended     State = "suspended"     // for a while: certificate on hold
	Lost          State = "lost"          // for good: certificate revoked
	Replaced      State = "replaced"      // another card took its place
	Returned      State = "returned"      // back at the desk, or destroyed; the end of this row
)

// States lists every state in the order of a card's life.
func States() []State {
	return []State{Stock, Personalising, Personalised, Handed, Active, Suspended, Lost, Replaced, Returned}
}

// Usable tells whether a card in this state may sign in.
func (s State) Usable() bool { return s == Handed || s == Active }

// next gives the states that may follow.
func (s State) next() []State {
	switch s {
	case Stock:
		return []State{Personalising, Handed, Returned} // handed: personalised elsewhere
	case Personalising:
		return []State{Personalised, Returned}
	case Personalised:
		return []State{Handed, Lost, Returned}
	case Handed:
		return []State{Active, Suspended, Lost, Replaced, Returned}
	case Active:
		return []State{Suspended, Lost, Replaced, Returned}
	case Suspended:
		return []State{Handed, Active, Lost, Replaced, Returned}
	case Lost:
		return []State{Replaced, Returned}
	case Replaced:
		return []State{Returned}
	}
	return nil
}

// StateError says that a card cannot go from one state to another.
type StateError struct {
	Card     string // as people call it
	Now, Not State
}

// Error says it in words.
func (e *StateError) Error() string {
	return fmt.Sprintf("card %s is %s and cannot become %s", e.Card, e.Now, e.Not)
}

func (c Card) may(to State) error {
	if slices.Contains(c.State.next(), to) {
		return nil
	}
	return &StateError{Card: c.Called(), Now: c.State, Not: to}
}
