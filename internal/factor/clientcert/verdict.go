package clientcert

import (
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca"
)

// Verdict is what a chain is worth, before an account is looked at.
type Verdict struct {
	Certificate ca.Certificate // a certificate of ours; zero otherwise
	Foreign     string         // id of the anchor, for one of somebody else
	Account     authn.AccountID
	Name, Tail  string
	Serial      string
	Issuer      string
	Hardware    bool // on an IC card
	NotBefore   time.Time
	NotAfter    time.Time
	Fault       *authn.Fault
}
