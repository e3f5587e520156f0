package diagnosis

import (
	"time"

	"seimon/internal/audit"
	"seimon/internal/store"
)

const (
	// EventRefused is a request that was refused, with the cause's code among its facts.
	EventRefused = "request.refused"
	// FactDirection of such an event is "fast" or "slow": the clock of a service as its
	// signature vouches for it.
	FactDirection = "direction"
	// AbsurdClock is from where on a time is nonsense and no clock.
	AbsurdClock = 366 * 24 * time.Hour

	// clockSpan is how far back other services are looked at: when several seem to be
	// wrong in the same way, it is our own clock.
	clockSpan = time.Hour
	// clockOthers is how many others make it so.
	clockOthers = 2
)

// OwnClock tells whether it is our own clock that is wrong when that of a service seems
// to be (scenario B3).
func OwnClock(tx *store.Tx, log *audit.Log, party, direction string) (bool, error) {
	events, err := log.Find(tx, audit.Query{TypePrefix: EventRefused, Since: tx.Now.Add(-clockSpan), Newest: true, Limit: 200})
	others := map[string]bool{}
	for _, e := range events {
		if e.Party != party && e.Facts[FactDirection] == direction {
			others[e.Party] = true
		}
	}
	return len(others) >= clockOthers, err
}
