package cas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"seimon/internal/rp"
	"seimon/internal/store"
)

// Registration is what a CAS service registers beside its party.
type Registration struct {
	// Addresses are what the service may name as its own in "service".
	Addresses []Address `json:"addresses"`
	// User is what the service gets as cas:user: the name of an attribute that is
	// released to it ("userName" when empty), or "subject" for an identifier that tells
	// nothing (pairwise if the party is).
	User string `json:"user,omitempty"`
	// ProxyCallbacks are the exact addresses at which the service takes
	// proxy-granting tickets; none: it may not act for people elsewhere.
	ProxyCallbacks []string `json:"proxy_callbacks,omitempty"`
	// ProxiedBy names the parties that may enter this service for people.
	ProxiedBy []string `json:"proxied_by,omitempty"`
	// Logout is "post" to tell the service of the end of a session at the address that
	// it came from, or "none".
	Logout string `json:"logout,omitempty"`
	// TicketSeconds is how long a ticket for this service may wait for its validation:
	// 5 to 300 seconds, a minute when 0.
	TicketSeconds int `json:"ticket_seconds,omitempty"`
}

const (
	userSubject = "subject"
	logoutPost  = "post"
	logoutNone  = "none"
	maxList     = 100
	minSeconds  = 5
	maxSeconds  = 300
)

// Check is the front's part in registering a party of the protocol "cas".
func Check() rp.Check { return rp.Check{Protocol: Name, Verify: verify} }

// verify judges and completes a registration.
func verify(p, _ *rp.Party) (map[string]string, error) {
	var reg Registration
	d := json.NewDecoder(bytes.NewReader(p.Registration))
	d.DisallowUnknownFields()
	if err := d.Decode(&reg); err != nil {
		return nil, err
	}
	if reg.User == "" {
		reg.User = "userName"
	}
	if reg.Logout == "" {
		reg.Logout = logoutPost
	}
	if reg.Logout != logoutPost && reg.Logout != logoutNone {
		return nil, fmt.Errorf("logout: %q is neither post nor none", reg.Logout)
	}
	if n := reg.TicketSeconds; n != 0 && (n < minSeconds || n > maxSeconds) {
		return nil, fmt.Errorf("ticket_seconds: %d is not between %d and %d", n, minSeconds, maxSeconds)
	}
	if err := errors.Join(reg.judgeAddresses(), reg.judgeProxies(), reg.judgeUser(p)); err != nil {
		return nil, err
	}
	var err error
	p.Registration, err = json.Marshal(reg)
	return nil, err
}

func (r *Registration) judgeAddresses() error {
	if len(r.Addresses) == 0 || len(r.Addresses) > maxList {
		return fmt.Errorf("addresses: 1 to %d are needed", maxList)
	}
	for i, a := range r.Addresses {
		if a.Match == "" {
			r.Addresses[i].Match = matchExact
		}
		u, ok := plain(a.URL)
		switch {
		case !ok:
			return fmt.Errorf("addresses: %q is not a plain https address with a path", a.URL)
		case a.Match != "" && a.Match != matchExact && a.Match != matchPrefix:
			return fmt.Errorf("addresses: match of %q is neither exact nor prefix", a.URL)
		case a.Match == matchPrefix && (!strings.HasSuffix(u.EscapedPath(), "/") || u.RawQuery != "" || u.ForceQuery):
			return fmt.Errorf("addresses: the prefix %q must end with a slash", a.URL)
		}
	}
	return nil
}

func (r *Registration) judgeProxies() error {
	if len(r.ProxyCallbacks) > maxList || len(r.ProxiedBy) > maxList {
		return fmt.Errorf("proxy_callbacks, proxied_by: at most %d", maxList)
	}
	for _, text := range r.ProxyCallbacks {
		if _, ok := plain(text); !ok {
			return fmt.Errorf("proxy_callbacks: %q is not a plain https address with a path", text)
		}
	}
	return nil
}

func (r *Registration) judgeUser(p *rp.Party) error {
	if r.User == userSubject {
		return nil
	}
	for _, a := range p.Release {
		if a.Attribute == r.User && a.Required {
			return nil
		}
	}
	return fmt.Errorf("user: the attribute %q must be released to the service, and be required", r.User)
}

// service is a party together with its registration.
type service struct {
	rp.Party
	Registration
}

// life is how long a ticket for the service is good.
func (s *service) life() time.Duration {
	if s.TicketSeconds > 0 {
		return time.Duration(s.TicketSeconds) * time.Second
	}
	return ticketLife
}

// registry remembers decoded registrations by the version of their party.
type registry struct {
	mu   sync.RWMutex
	byID map[string]*service
}

func (k *registry) of(p rp.Party) (*service, error) {
	k.mu.RLock()
	s := k.byID[p.ID]
	k.mu.RUnlock()
	if s != nil && s.Version == p.Version && s.Updated.Equal(p.Updated) {
		return s, nil
	}
	s = &service{Party: p}
	if err := json.Unmarshal(p.Registration, &s.Registration); err != nil {
		return nil, fmt.Errorf("cas: registration of %s: %w", p.ID, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byID == nil {
		k.byID = map[string]*service{}
	}
	k.byID[p.ID] = s
	return s, nil
}

// at finds the enabled service whose address was named, or rp.ErrNone. An exact
// address wins over a prefix, and a longer prefix over a shorter one.
func (f *Front) at(tx *store.Tx, address string) (*service, error) {
	if _, ok := plain(address); !ok {
		return nil, rp.ErrNone
	}
	parties, err := f.Parties.Speaking(tx, Name)
	if err != nil {
		return nil, err
	}
	var best *service
	most := -1
	for _, p := range parties {
		s, err := f.registry.of(p)
		if err != nil {
			return nil, err
		}
		for _, a := range s.Addresses {
			weight := len(a.URL)
			if a.Match != matchPrefix {
				weight += maxService
			}
			if !p.Disabled && weight > most && a.covers(address) {
				best, most = s, weight
			}
		}
	}
	if best == nil {
		return nil, rp.ErrNone
	}
	return best, nil
}

// get reads an enabled service of this front by its id, or rp.ErrNone.
func (f *Front) get(tx *store.Tx, id string) (*service, error) {
	p, err := f.Parties.Get(tx, id)
	if err == nil && (p.Protocol != Name || p.Disabled) {
		err = rp.ErrNone
	}
	if err != nil {
		return nil, err
	}
	return f.registry.of(p)
}

func (s *service) proxiedBy(id string) bool { return slices.Contains(s.ProxiedBy, id) }
