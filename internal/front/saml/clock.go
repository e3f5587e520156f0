package saml

import (
	"strconv"
	"time"

	"seimon/internal/authn"
	"seimon/internal/diagnosis"
	"seimon/internal/front/saml/xmldoc"
)

// fresh checks when a message was made (SAML Core 2.0, 1.3.3). A fault says whose clock
// is wrong by how much, as far as the message shows it (scenario B3).
func fresh(party string, n *xmldoc.Node, signed bool, now time.Time) error {
	text := n.Attr("IssueInstant")
	t, err := time.Parse(time.RFC3339, text)
	age := now.Sub(t)
	switch {
	case err != nil || age.Abs() > diagnosis.AbsurdClock:
		return fault(badRequest, party, "IssueInstant", text)
	case age < -skew, age > requestLife+skew:
		return wrongClock(party, n, "IssueInstant", age, signed)
	}
	return nil
}

// notOver checks until when a LogoutRequest is to be obeyed (SAML Core 2.0, 3.7.1). One
// that was over when it came was made by a slow clock, unless it was made just now.
func notOver(party string, n *xmldoc.Node, now time.Time) error {
	text := n.Attr("NotOnOrAfter")
	if text == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err == nil && now.Before(t.Add(skew)) {
		return nil
	}
	made, err2 := time.Parse(time.RFC3339, n.Attr("IssueInstant"))
	if err != nil || err2 != nil || now.Sub(made) <= skew {
		return fault(badLogout, party, "NotOnOrAfter", text)
	}
	return wrongClock(party, n, "NotOnOrAfter", now.Sub(made), true)
}

// wrongClock makes the fault. Only what is signed counts when it is asked whose clock
// it is.
func wrongClock(party string, n *xmldoc.Node, field string, age time.Duration, signed bool) *authn.Fault {
	code, direction := clockSlow, "slow"
	if age < 0 {
		code, direction = clockFast, "fast"
	}
	no := fault(code, party, field, n.Attr(field))
	no.Facts["what"], no.Facts["seconds"] = n.Local, strconv.FormatInt(int64(age.Abs().Round(time.Second)/time.Second), 10)
	if signed {
		no.Facts[diagnosis.FactDirection] = direction
	}
	return no
}
