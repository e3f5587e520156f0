package mailcode

import (
	"fmt"
	"strings"
	"time"

	"seimon/internal/factor"
)

// Config is the room's part of the configuration.
type Config struct {
	// Behind lists the domains whose mailboxes are read after signing in here; names
	// below them count as well. Codes are never sent there.
	Behind []string
}

// Check tells what is wrong with the configuration.
func (c Config) Check() error {
	for _, d := range c.Behind {
		if d = domainName(d); d == "" || strings.ContainsAny(d, "@ /:*") || !strings.Contains(d, ".") {
			return fmt.Errorf("mailcode: %q is not the name of a mail domain", d)
		}
	}
	return nil
}

func domainName(d string) string {
	return strings.ToLower(strings.Trim(strings.TrimSpace(d), "."))
}

// behind returns the declared domain that an address belongs to, or "".
func (f *Factor) behind(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	domain = domainName(domain)
	for _, d := range f.domains {
		if domain == d || strings.HasSuffix(domain, "."+d) {
			return d
		}
	}
	return ""
}

const (
	digits          = 8
	lifetimeDefault = 10 * time.Minute // NIST SP 800-63B-4, 3.1.3.3
	lifetimeLongest = 24 * time.Hour
	interval        = time.Minute // between two mails of one transaction
	perHour         = 10          // mails to one account
	shortLife       = 6 * time.Hour
	addressesMost   = 5 // of one account
)

// lifetime is how long a code can be used: the policy document's "lifetime".
func lifetime(s factor.Settings) time.Duration {
	return min(max(s.Duration("lifetime", lifetimeDefault), time.Minute), lifetimeLongest)
}
