package feed

import (
	"time"

	"seimon/internal/store"
)

// Alarm is something about a feed that somebody must look after.
type Alarm struct {
	Feed  string
	Code  string // AlarmExpired, AlarmSoon, AlarmFailing or AlarmNever
	Until time.Time
	Days  int // left, whole
	Fault string
	Since time.Time // of the last success; zero if there was none
}

// The alarms.
const (
	AlarmExpired = "expired" // none of its services can be used
	AlarmSoon    = "soon"    // it dies within a few days
	AlarmFailing = "failing" // the last looks at it failed
	AlarmNever   = "never"   // nothing was loaded yet
)

// soon is how long before its end a feed should have been renewed: federations renew
// daily and give a week or two.
const soon = 4 * 24 * time.Hour

// failing is how many looks may fail before somebody should know.
const failing = 3

// Alarms looks at all aggregates.
func (k *Keeper) Alarms(tx *store.Tx) ([]Alarm, error) {
	list, err := k.List(tx)
	if err != nil {
		return nil, err
	}
	var out []Alarm
	for _, s := range list {
		if s.Kind == Aggregate {
			if a := s.alarm(tx.Now); a.Code != "" {
				out = append(out, a)
			}
		}
	}
	return out, nil
}

func (s State) alarm(now time.Time) Alarm {
	l := s.Loaded
	a := Alarm{Feed: s.ID, Until: l.ValidUntil, Days: int(l.ValidUntil.Sub(now).Hours() / 24), Fault: s.Fault, Since: l.At}
	switch {
	case l.At.IsZero():
		a.Code, a.Days = AlarmNever, 0
	case !now.Before(l.ValidUntil):
		a.Code, a.Days = AlarmExpired, 0
	case l.ValidUntil.Sub(now) < min(soon, l.ValidUntil.Sub(l.At)/2):
		a.Code = AlarmSoon
	case s.Fails >= failing:
		a.Code = AlarmFailing
	}
	return a
}

// Left is the time until the first feed dies; negative after that. ok is false
// without a loaded feed.
func (k *Keeper) Left(tx *store.Tx) (left time.Duration, ok bool, err error) {
	list, err := k.List(tx)
	for _, s := range list {
		if d := s.Loaded.ValidUntil.Sub(tx.Now); s.Kind == Aggregate && !s.Loaded.At.IsZero() && (!ok || d < left) {
			left, ok = d, true
		}
	}
	return left, ok, err
}
