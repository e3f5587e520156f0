package password

import (
	"errors"
	"fmt"
	"runtime"

	"seimon/internal/factor"
)

// Config is the room's part of the configuration. Zero values mean the defaults.
type Config struct {
	Memory   uint32   // KiB for one hash; default 19456 (19 MiB)
	Time     uint32   // passes over the memory; default 2
	Threads  uint8    // lanes; default 1
	Parallel int      // hashes at the same time, each with its own memory; default: the processors
	Queue    int      // sign-ins that may wait for a turn; default 64 for each of Parallel
	Words    []string // the university's own words, refused in new passwords: names, places, mascots
	Decoys   []string // example hashes of imported formats, see the package comment
}

func (c Config) filled() Config {
	if c.Memory == 0 {
		c.Memory = 19 << 10
	}
	if c.Time == 0 {
		c.Time = 2
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	if c.Parallel == 0 {
		c.Parallel = runtime.GOMAXPROCS(0)
	}
	if c.Queue == 0 {
		c.Queue = 64 * c.Parallel
	}
	return c
}

// Check tells everything that is wrong with the configuration.
func (c Config) Check() error {
	c = c.filled()
	var wrong []error
	if p := (params{memory: c.Memory, time: c.Time, threads: c.Threads}); !p.sane() {
		wrong = append(wrong, fmt.Errorf("password: memory %d KiB, time %d, threads %d are outside what can be served", c.Memory, c.Time, c.Threads))
	}
	if c.Parallel < 0 || c.Queue < 0 {
		wrong = append(wrong, errors.New("password: parallel and queue cannot be negative"))
	}
	for i, d := range c.Decoys {
		if err := CheckHash(d); err != nil {
			wrong = append(wrong, fmt.Errorf("decoy %d: %w", i+1, err))
		}
	}
	return errors.Join(wrong...)
}

// settings are the policy document's words on passwords: minimum (characters),
// alone (characters where it is the only proof), used_alone ("false" when no rule
// lets a password of this person stand alone) and max_age.
type settings struct{ factor.Settings }

const (
	leastMinimum = 8  // NIST SP 800-63B-4, 3.1.1.2, as one of two factors
	leastAlone   = 15 // the same, as the only factor
	// MaxLength and MaxBytes bound a password (NIST asks for at least 64 characters).
	MaxLength = 256
	MaxBytes  = 1024
)

func (s settings) minimum() int { return max(1, s.Int("minimum", leastMinimum)) }

func (s settings) alone() int { return max(s.minimum(), s.Int("alone", leastAlone)) }

// needed is the least length of a new password in characters.
func (s settings) needed() int {
	if s.Bool("used_alone", true) {
		return s.alone()
	}
	return s.minimum()
}
