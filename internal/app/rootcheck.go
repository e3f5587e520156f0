package app

import (
	"time"

	"seimon/internal/ca"
	"seimon/internal/ca/status"
	"seimon/internal/diagnosis"
	"seimon/internal/store"
)

// rootListEnd is how long before the end of a root's list somebody should bring its key:
// long enough to find the people and the file.
const rootListEnd = 60 * 24 * time.Hour

// checkRoots looks at the lists of the roots, which need a key that may be offline, and
// at issuers that stand on them.
func (h *House) checkRoots(tx *store.Tx, issuers []ca.Issuer) ([]diagnosis.Finding, error) {
	roots, err := h.CA.Roots(tx)
	if err != nil {
		return nil, err
	}
	away, err := h.CA.RootsOffline(tx)
	if err != nil {
		return nil, err
	}
	behind, err := h.CA.LeftBehind(tx)
	if err != nil {
		return nil, err
	}
	lists, err := h.Status.Lists(tx)
	if err != nil {
		return nil, err
	}
	var out []diagnosis.Finding
	for _, r := range roots {
		if since, ok := behind[r.ID]; ok {
			out = append(out, found("root.backups", diagnosis.Warn, "root", r.Name, "since", since.UTC().Format(time.RFC3339))...)
		}
		for _, l := range lists {
			if l.Issuer == r.ID && l.Number > 0 && tx.Now.Before(r.Certificate.NotAfter) {
				out = append(out, rootList(r, l, away[r.ID], tx.Now)...)
			}
		}
	}
	for _, i := range issuers {
		if i.State == ca.IssuerRevoked && tx.Now.Before(i.Certificate.NotAfter) {
			out = append(out, found("issuer.revoked", diagnosis.Warn, "issuer", i.Name, "since", i.Revoked.UTC().Format(time.RFC3339), "reason", string(i.Reason))...)
		}
	}
	return out, nil
}

func rootList(r ca.Issuer, l status.Published, away bool, now time.Time) []diagnosis.Finding {
	code, severity := "", diagnosis.Warn
	switch {
	case now.After(l.NextUpdate):
		code, severity = "root.expired", diagnosis.Broken
	case l.Waiting > 0 && (away || now.Sub(l.Since) > listsLate):
		code, severity = "root.waiting", diagnosis.Broken
	case l.NextUpdate.Sub(now) < rootListEnd:
		code = "root.soon"
	default:
		return nil
	}
	if away {
		code += ".offline"
	}
	return found(code, severity, "root", r.Name, "list", listName(l.Shard), "until", l.NextUpdate.UTC().Format(time.RFC3339))
}
