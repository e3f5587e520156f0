package feed

import (
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"seimon/internal/authn"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/lang"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// Service is a service provider as a feed describes it, with what it receives.
type Service struct {
	metadata.Entity
	Feed      string
	Authority string // who registered it (MDRPI 1.0, 2.1)
	Facts     rp.Facts
	Grant     rp.Grant
	Until     time.Time // after which it is refused
	Gone      bool      // published no more
	Changed   time.Time // when its metadata last differed
	hash      hash
}

// place is where a feed has an entity.
type place struct {
	feed    string
	hash    hash
	until   time.Time
	gone    bool
	changed time.Time
}

// places lists where an entity is known, in the order in which feeds count.
func places(tx *store.Tx, id string) ([]place, error) {
	var out []place
	rows, err := tx.Query(`SELECT e.feed, e.hash, e.valid_until, e.gone, e.changed_at, f.valid_until FROM feed_entity e
		JOIN feed_feed f ON f.id = e.feed WHERE e.entity = $1 ORDER BY f.precedence, f.id`, id)
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var p place
		var sum []byte
		var own, gone, changed, whole int64
		if err := rows.Scan(&p.feed, &sum, &own, &gone, &changed, &whole); err != nil {
			return err
		}
		copy(p.hash[:], sum)
		p.until, p.gone, p.changed = store.Time(whole), gone > 0, store.Time(changed)
		switch {
		case gone > 0:
			p.until = store.Time(gone)
		case own > 0:
			p.until = store.Time(own)
		}
		out = append(out, p)
		return nil
	})
	return out, err
}

// best chooses the first feed whose word still counts: published and alive, else gone
// and alive, else the first.
func best(list []place, now time.Time) (place, bool) {
	for _, gone := range []bool{false, true} {
		for _, p := range list {
			if p.gone == gone && now.Before(p.until) {
				return p, true
			}
		}
	}
	if len(list) == 0 {
		return place{}, false
	}
	return list[0], true
}

// Find implements rp.Source.
func (k *Keeper) Find(tx *store.Tx, id string) (rp.Party, error) {
	list, err := places(tx, id)
	if err != nil {
		return rp.Party{}, err
	}
	p, ok := best(list, tx.Now)
	if !ok {
		return rp.Party{}, rp.ErrNone
	}
	rules, err := k.Rules(tx)
	if err != nil {
		return rp.Party{}, err
	}
	version := p.version(rules.Version)
	if party, ok := k.parties.get(id, version); ok {
		return party, nil
	}
	s, err := k.read(tx, id, p, rules)
	if err != nil {
		return rp.Party{}, err
	}
	party, err := s.party(version)
	if err == nil {
		k.parties.put(id, alone(party))
	}
	return party, err
}

// version changes with everything that makes up the party.
func (p place) version(rules int64) int64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %x %d %d", p.feed, p.hash, store.Millis(p.until), rules))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 1)
}

// Describe reads a service as the feed that counts has it; rp.ErrNone when no feed
// knows it.
func (k *Keeper) Describe(tx *store.Tx, id string) (Service, error) {
	list, err := places(tx, id)
	if err != nil {
		return Service{}, err
	}
	p, ok := best(list, tx.Now)
	if !ok {
		return Service{}, rp.ErrNone
	}
	rules, err := k.Rules(tx)
	if err != nil {
		return Service{}, err
	}
	return k.read(tx, id, p, rules)
}

// read reads the stored bytes of an entity, which were hashed under a signature.
func (k *Keeper) read(tx *store.Tx, id string, p place, rules *rp.Rules) (Service, error) {
	var body []byte
	if err := tx.QueryRow("SELECT body FROM feed_document WHERE hash = $1", p.hash[:]).Scan(&body); err != nil {
		return Service{}, fmt.Errorf("feed: the metadata of %s is missing: %w", id, err)
	}
	text, err := unsqueeze(body)
	if err != nil {
		return Service{}, err
	}
	if sha256.Sum256(text) != p.hash {
		return Service{}, fmt.Errorf("feed: the stored metadata of %s was changed", id)
	}
	s, err := parse(text, id)
	if err != nil {
		f := authn.NewFault("R3.metadata", "party", id, "field", "metadata", "feed", p.feed)
		f.Cause = err
		return Service{}, f
	}
	s.Feed, s.Gone, s.Changed, s.hash = p.feed, p.gone, p.changed, p.hash
	if s.Until = p.until; !s.Service.ValidUntil.IsZero() && s.Service.ValidUntil.Before(s.Until) {
		s.Until = s.Service.ValidUntil
	}
	s.Service.ValidUntil = s.Until
	s.Facts = k.facts(s)
	s.Grant = rules.Apply(s.Facts)
	return s, nil
}

// parse reads the bytes of one entity.
func parse(text []byte, id string) (Service, error) {
	root, err := xmldoc.Parse(text, xmldoc.Limits{Bytes: 2 * maxEntity})
	if err != nil {
		return Service{}, err
	}
	if root.Is(metadata.MD, "EntitiesDescriptor") {
		root = root.First(metadata.MD, "EntityDescriptor")
	}
	if root == nil {
		return Service{}, errors.New("there is no entity in it")
	}
	e, err := metadata.ReadEntity(root, time.Time{})
	if err != nil {
		return Service{}, err
	}
	if e.ID != id {
		return Service{}, fmt.Errorf("it is that of %.200q", e.ID)
	}
	if err := e.Service.Check(); err != nil {
		return Service{}, err
	}
	s := Service{Entity: e}
	if by := root.First(metadata.MD, "Extensions").First(rpi, "RegistrationInfo"); by != nil {
		s.Authority = by.Attr("registrationAuthority")
	}
	return s, nil
}

func (k *Keeper) facts(s Service) rp.Facts {
	f := rp.Facts{ID: s.ID, Feed: s.Feed, Authority: s.Authority, Categories: s.Service.Categories}
	for _, r := range s.Service.Requested {
		if name := k.Attribute(r.Name); name != "" {
			f.Wishes = append(f.Wishes, rp.Wish{Attribute: name, Required: r.Required})
		}
	}
	switch s.Service.SubjectID { // SAML Subject Identifier Attributes 1.0, 5
	case "pairwise-id", "subject-id":
		f.Wishes = append(f.Wishes, rp.Wish{Attribute: s.Service.SubjectID, Required: true})
	case "any":
		f.Wishes = append(f.Wishes, rp.Wish{Attribute: "pairwise-id", Required: true})
	}
	return f
}

// party makes a relying party of a service.
func (s Service) party(version int64) (rp.Party, error) {
	registration, err := json.Marshal(s.Service)
	if err != nil {
		return rp.Party{}, err
	}
	p := Party(s.Entity)
	p.Release, p.Consent, p.Registration, p.Source = s.Grant.Release, s.Grant.Consent, registration, s.Feed
	p.Version, p.Created, p.Updated = version, s.Changed, s.Changed
	return p, nil
}

// Party is a service as a relying party, with nothing released yet.
func Party(s metadata.Entity) rp.Party {
	p := rp.Party{ID: s.ID, Protocol: "saml", Names: map[lang.Tag]string{}, LogoURL: s.Logo, Pairwise: true}
	if a, err := mail.ParseAddress(s.Contact()); err == nil && a.Address == s.Contact() {
		p.Contact = a.Address
	}
	if text, err := json.Marshal(s.Service); err == nil {
		p.Registration = text
	}
	if strings.HasPrefix(s.Home, "https://") {
		p.HomeURL = s.Home
	}
	for tag, name := range s.Names {
		if name = tidy(name); name != "" && tag != "" {
			p.Names[lang.Tag(strings.ToLower(tag))] = name
		}
	}
	if len(p.Names) == 0 {
		p.Names[lang.EN] = tidy(s.ID)
	}
	return p
}

// tidy makes a foreign name one that can be shown in a line.
func tidy(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, name)
	name = strings.Join(strings.Fields(name), " ")
	if utf8.RuneCountInString(name) > 100 {
		name = string([]rune(name)[:99]) + "…"
	}
	return name
}

// alone copies the texts of a party out of the document that they were read from, which
// could not be forgotten otherwise.
func alone(p rp.Party) rp.Party {
	p.ID, p.LogoURL, p.HomeURL, p.Contact = strings.Clone(p.ID), strings.Clone(p.LogoURL), strings.Clone(p.HomeURL), strings.Clone(p.Contact)
	p.Registration = slices.Clip(slices.Clone(p.Registration))
	names := make(map[lang.Tag]string, len(p.Names))
	for tag, name := range p.Names {
		names[lang.Tag(strings.Clone(string(tag)))] = strings.Clone(name)
	}
	p.Names = names
	return p
}
