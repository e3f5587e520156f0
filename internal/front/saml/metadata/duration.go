package metadata

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"seimon/internal/front/saml/xmldoc"
)

var durationForm = regexp.MustCompile(`^P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9})(?:\.\d+)?S)?)?$`)

// ReadDuration reads an xs:duration (XML Schema 1.0 part 2, 3.2.6); years and months are
// taken as 365 and 30 days.
func ReadDuration(text string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(text)
	if m == nil || text == "P" || strings.HasSuffix(text, "T") {
		return 0, fmt.Errorf("%.40q is no duration", text)
	}
	const day = 24 * time.Hour
	var sum time.Duration
	for i, unit := range []time.Duration{365 * day, 30 * day, day, time.Hour, time.Minute, time.Second} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return 0, err
		}
		sum += min(time.Duration(n), 100*365*day/unit) * unit
	}
	return sum, nil
}

// Cache gives how long a document asks to be kept (cacheDuration, SAML Metadata 2.0, 2.3.1
// and 2.3.2): the shortest that an element around the entity, or the entity, says; 0 when
// none does or what it says is no duration.
func Cache(root *xmldoc.Node) (shortest time.Duration) {
	for n := root; n != nil; n = n.First(MD, "EntityDescriptor") {
		for _, part := range append([]*xmldoc.Node{n}, n.All(MD, "SPSSODescriptor")...) {
			d, err := ReadDuration(part.Attr("cacheDuration"))
			if err == nil && d > 0 && (shortest == 0 || d < shortest) {
				shortest = d
			}
		}
	}
	return shortest
}
