package authn

import (
	"errors"
	"maps"
)

// Code is a stable, documented, searchable name of a cause, such as "P1" or
// "T2.clock". The part before the first dot is the family.
type Code string

// Family returns the part of the code before the first dot.
func (c Code) Family() Code {
	for i := range len(c) {
		if c[i] == '.' {
			return c[:i]
		}
	}
	return c
}

// Fault is the one error type that reaches people and protocols. Its code picks
// the words shown; Facts fill them; Cause is for the log and never shown.
type Fault struct {
	Code  Code
	Facts map[string]string // public parameters of the message, already safe for the owner of the account
	Cause error             // private
}

// NewFault makes a fault from a code and alternating fact names and values.
func NewFault(code Code, facts ...string) *Fault {
	f := &Fault{Code: code}
	for i := 0; i+1 < len(facts); i += 2 {
		if f.Facts == nil {
			f.Facts = map[string]string{}
		}
		f.Facts[facts[i]] = facts[i+1]
	}
	return f
}

// Because returns a copy of f with a private cause.
func (f *Fault) Because(err error) *Fault {
	return &Fault{Code: f.Code, Facts: maps.Clone(f.Facts), Cause: err}
}

// Error gives the code and the private cause, for logs.
func (f *Fault) Error() string {
	if f.Cause != nil {
		return string(f.Code) + ": " + f.Cause.Error()
	}
	return string(f.Code)
}

// Unwrap gives the private cause.
func (f *Fault) Unwrap() error { return f.Cause }

// AsFault finds the fault in an error chain, or nil.
func AsFault(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return nil
}
