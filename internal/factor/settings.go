package factor

import (
	"strconv"
	"time"
)

// Settings are a kind's values from the policy document. A value that is missing
// or cannot be read counts as the default that the caller names.
type Settings map[string]string

// Int reads a whole number.
func (s Settings) Int(name string, otherwise int) int {
	if n, err := strconv.Atoi(s[name]); err == nil {
		return n
	}
	return otherwise
}

// Bool reads "true" or "false".
func (s Settings) Bool(name string, otherwise bool) bool {
	if b, err := strconv.ParseBool(s[name]); err == nil {
		return b
	}
	return otherwise
}

// Duration reads a length of time such as "10m".
func (s Settings) Duration(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(s[name]); err == nil && d > 0 {
		return d
	}
	return otherwise
}

// TimeFact writes a time the way facts carry it: RFC 3339 in UTC.
func TimeFact(t time.Time) string { return t.UTC().Format(time.RFC3339) }
