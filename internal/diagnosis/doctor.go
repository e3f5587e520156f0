package diagnosis

import (
	"context"
)

// Severity says how much a finding matters.
type Severity string

// The severities.
const (
	Broken Severity = "broken" // people cannot sign in, or the gate is not safe
	Warn   Severity = "warn"   // it will break, or is unwise
	Good   Severity = "good"
)

// Finding is one thing that the doctor saw.
type Finding struct {
	Code     string            `json:"code"` // stable: "doctor.clock"
	Severity Severity          `json:"severity"`
	ID       string            `json:"-"` // message id; ID+".next" says what to do
	Facts    map[string]string `json:"facts,omitempty"`
}

// Check looks at one thing. An error means that it could not look.
type Check struct {
	Code string
	Run  func(ctx context.Context) ([]Finding, error)
}
