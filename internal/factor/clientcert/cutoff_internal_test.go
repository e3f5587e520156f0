package clientcert

import (
	"testing"
	"time"
)

// TestADayBeginsAtMidnightOfTheCampus: the same day of a policy begins at another moment
// on every campus.
func TestADayBeginsAtMidnightOfTheCampus(t *testing.T) {
	for zone, want := range map[*time.Location]string{
		nil:                                  "2026-04-01T00:00:00Z",
		time.FixedZone("JST", 9*3600):        "2026-03-31T15:00:00Z",
		time.FixedZone("Honolulu", -10*3600): "2026-04-01T10:00:00Z",
		time.FixedZone("Kathmandu", 5*3600+45*60): "2026-03-31T18:15:00Z",
	} {
		f := New(Rooms{Zone: zone})
		if at, set := f.cutOff(map[string]string{"cut_off": "2026-04-01"}); !set || at.UTC().Format(time.RFC3339) != want {
			t.Errorf("%v: %v %v, want %s", zone, at.UTC(), set, want)
		}
		if at, set := f.cutOff(nil); set {
			t.Errorf("without a day: %v", at)
		}
	}
}
