package app

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"seimon/internal/audit"
	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/desk"
	"seimon/internal/desk/certificates"
	"seimon/internal/desk/portal"
	"seimon/internal/login/signout"
	"seimon/internal/session"
	"seimon/internal/store"
)

// EduroamConfig is the wireless network that certificates open, as devices must know
// it. All of it is public.
type EduroamConfig struct {
	SSID    string   `toml:"ssid"`    // eduroam when empty
	Realm   string   `toml:"realm"`   // the university's part of outer identities; empty: no network
	Servers []string `toml:"servers"` // names in the certificates of the RADIUS servers
	CA      string   `toml:"ca"`      // PEM with the roots of those certificates
	// Consortium are Passpoint roaming consortium identifiers in hexadecimal.
	Consortium []string `toml:"consortium"`
	// Certificate and Key sign the profiles for Apple's systems; optional.
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
}

func (c *Config) checkEduroam(wrong complaint) {
	e := c.Eduroam
	if e.Realm == "" {
		if e.SSID != "" || len(e.Servers) > 0 || e.CA != "" {
			wrong("eduroam.realm", "realm is missing: the university's part of outer identities, such as example.ac.jp")
		}
		return
	}
	if len(e.SSID) > 32 {
		wrong("eduroam.ssid", "the name of a network has at most 32 bytes")
	}
	if len(e.Servers) == 0 {
		wrong("eduroam.servers", "servers is missing: the names in the certificates of the RADIUS servers")
	}
	if e.CA == "" {
		wrong("eduroam.ca", "ca is missing: the roots of the RADIUS servers' certificates, without which devices trust any network of this name")
	}
	for _, text := range e.Consortium {
		if b, err := hex.DecodeString(text); err != nil || len(b) != 3 && len(b) != 5 {
			wrong("eduroam.consortium", "%q is not a roaming consortium identifier of 3 or 5 bytes in hexadecimal", text)
		}
	}
	if (e.Certificate == "") != (e.Key == "") {
		wrong("eduroam.certificate", "certificate and key belong together")
	}
	for key, name := range map[string]string{"ca": e.CA, "certificate": e.Certificate, "key": e.Key} {
		c.needFile(wrong, "eduroam."+key, name)
	}
}

// wifi is the network as the desk for certificates takes it.
func (h *House) wifi() (certificates.Wifi, error) {
	e := h.Config.Eduroam
	if e.Realm == "" {
		return certificates.Wifi{}, nil
	}
	out := certificates.Wifi{
		SSID: e.SSID, Realm: e.Realm, Servers: e.Servers, Consortium: e.Consortium, Names: tagged(h.Config.University.Name),
		HelpMail: h.Config.Mail.Desk, HelpURL: h.Config.University.HelpURL,
	}
	if out.SSID == "" {
		out.SSID = "eduroam"
	}
	var err error
	if out.Roots, err = readCertificates(h.Config.path(e.CA)); err != nil {
		return out, fmt.Errorf("%s%w", h.Config.at("eduroam.ca"), err)
	}
	if e.Certificate == "" {
		return out, nil
	}
	pair, err := tls.LoadX509KeyPair(h.Config.path(e.Certificate), h.Config.path(e.Key))
	if err != nil {
		return out, fmt.Errorf("%s%w", h.Config.at("eduroam.certificate"), err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return out, errors.New("the key that signs profiles cannot sign")
	}
	out.Signer = signer
	for _, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return out, err
		}
		out.Sign = append(out.Sign, c)
	}
	return out, nil
}

// readCertificates reads every certificate of a PEM file; there must be one.
func readCertificates(file string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return out, nil
}

// openCertificates opens the person's desk for certificates behind the portal's door.
func openCertificates(h *House) error {
	wifi, err := h.wifi()
	if err != nil {
		return err
	}
	lobby := h.Hall.Front(desk.Portal).(*portal.Portal)
	d, err := certificates.New(certificates.Rooms{Hall: h.Hall, CA: h.CA, Lobby: lobby, Holder: h.Holder, Wifi: wifi, Listed: h.listed, Answered: h.Status.Answered})
	if err != nil {
		return err
	}
	h.history = d.Trail
	lobby.AddPlace("/portal/certificates", "certificates")
	lobby.AddTodo(d.Todo)
	h.OnIssue = append(h.OnIssue, d.Issued)
	h.OnRevoke = append(h.OnRevoke, d.Revoked)
	h.Jobs.Every("certificates.remind", time.Hour, d.Remind)
	h.Jobs.Every("certificates.leave", time.Minute, d.Leave)
	h.Jobs.Every("certificates.watch", time.Second, d.Watch)
	return nil
}

// listed gives the number of the newest list of a certificate's shard when no change
// as old as its revocation waits to enter it, and 0 otherwise.
func (h *House) listed(tx *store.Tx, c ca.Certificate) (int64, error) {
	lists, err := h.Status.Lists(tx)
	for _, l := range lists {
		waits := l.Waiting > 0 && !l.Since.After(c.Revoked)
		if l.Issuer == c.Issuer && l.Shard == c.Shard && !waits && !l.ThisUpdate.Before(c.Revoked.Truncate(time.Second)) {
			return l.Number, nil
		}
	}
	return 0, err
}

// recordCut puts on record what ended with a revoked certificate: each session, each
// service that lost its offline access, and that this was all.
func (h *House) recordCut(tx *store.Tx, c ca.Certificate, why string, ended []session.Session, clients []string) error {
	event := func(kind string, facts map[string]string) audit.Event {
		facts["certificate"], facts["why"] = c.ID, why
		return audit.Event{Type: kind, Account: c.Account, Actor: "system", Facts: facts}
	}
	for _, s := range ended {
		e := event("session.ended", map[string]string{"agent": s.Agent, "from": s.Address})
		e.Session = s.ID
		if err := h.Audit.Append(tx, e); err != nil {
			return err
		}
	}
	for _, client := range clients {
		e := event("certificate.access.ended", map[string]string{})
		e.Party = client
		if err := h.Audit.Append(tx, e); err != nil {
			return err
		}
	}
	return h.Audit.Append(tx, event("certificate.cut", map[string]string{"sessions": strconv.Itoa(len(ended)), "access": strconv.Itoa(len(clients))}))
}

// visitsOf gives what an account's sessions were used for, by session.
func (h *House) visitsOf(tx *store.Tx, account authn.AccountID) (map[string][]session.Visit, error) {
	all, err := h.Sessions.Of(tx, account)
	out := map[string][]session.Visit{}
	for _, s := range all {
		if err == nil {
			out[s.ID], err = h.Sessions.Visits(tx, s.ID)
		}
	}
	return out, err
}

// recordTelling puts on record which services are being told that a session has ended
// with a certificate, and which cannot be told. The fronts record how it went.
func (h *House) recordTelling(tx *store.Tx, c ca.Certificate, ended []session.Session, visits map[string][]session.Visit) error {
	for _, s := range ended {
		for _, v := range visits[s.ID] {
			f, ok := h.Hall.Front(v.Front).(signout.Teller)
			if !ok {
				continue // it keeps nothing of its own, such as the portal
			}
			can, err := f.CanTell(tx, v)
			if err != nil {
				return err
			}
			kind := "certificate.service.untold"
			if can {
				kind = "certificate.service.telling"
			}
			err = h.Audit.Append(tx, audit.Event{
				Type: kind, Account: c.Account, Actor: "system", Session: s.ID, Party: v.Party, Facts: map[string]string{"certificate": c.ID},
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
