package shibboleth

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/rp"
)

const xsi = "http://www.w3.org/2001/XMLSchema-instance"

// kind is the xsi:type of an element without its prefix.
func kind(n *xmldoc.Node) string {
	t := n.AttrIn(xsi, "type")
	return t[strings.LastIndexByte(t, ':')+1:]
}

// below gives all elements of a local name, whatever vocabulary the version used.
func below(n *xmldoc.Node, local string) []*xmldoc.Node {
	var out []*xmldoc.Node
	n.Walk(func(c *xmldoc.Node) bool {
		if c.Local == local {
			out = append(out, c)
		}
		return true
	})
	return out
}

func children(n *xmldoc.Node, local string) []*xmldoc.Node {
	return slices.DeleteFunc(n.Elements(), func(c *xmldoc.Node) bool { return c.Local != local })
}

// resolver notes which attributes have a counterpart.
func (r *reader) resolver(file string, root *xmldoc.Node) error {
	for _, d := range below(root, "AttributeDefinition") {
		id := d.Attr("id")
		switch name := attributeName(id); {
		case name == "":
			r.leave(file, "the attribute %s has no counterpart; give it to the accounts under a name of your own", id)
		case kind(d) == "ScriptedAttribute" || kind(d) == "Template":
			r.leave(file, "the attribute %s is computed by a %s; here %s comes from the directory", id, strings.TrimSuffix(kind(d), "Attribute"), name)
		default:
			r.carry(file, "the attribute %s is %s", id, name)
		}
	}
	for _, c := range below(root, "DataConnector") {
		r.leave(file, "the data connector %s (%s): import the people with seimon user import", c.Attr("id"), kind(c))
	}
	return nil
}

// override is what relying-party.xml says about services.
type override struct{ sign, encrypt, format string }

var literal = regexp.MustCompile(`'([^']+)'`)

// relyingParties reads the overrides by name.
func (r *reader) relyingParties(file string, root *xmldoc.Node) error {
	for _, b := range below(root, "bean") {
		if b.Attr("parent") != "RelyingPartyByName" {
			if p := b.Attr("parent"); strings.HasPrefix(p, "RelyingPartyBy") {
				r.leave(file, "an override by %s: say it for each service", strings.TrimPrefix(p, "RelyingPartyBy"))
			}
			continue
		}
		ids := constructor(b, "relyingPartyIds")
		o, found := override{}, false
		for _, profile := range below(b, "bean") {
			if profile.Attr("parent") == "SAML2.SSO" {
				o, found = overrideOf(profile), true
			}
		}
		for _, ref := range below(b, "ref") {
			found = found || ref.Attr("bean") == "SAML2.SSO"
		}
		for _, id := range ids {
			if !found {
				r.leave(file, "%s has no profile SAML2.SSO", id)
				continue
			}
			r.settings[id] = o
			r.carry(file, "the override for %s", id)
		}
	}
	return nil
}

// constructor reads an argument c:NAME, one value or a list in Spring's expressions.
func constructor(b *xmldoc.Node, name string) []string {
	text := b.AttrIn("http://www.springframework.org/schema/c", name)
	if !strings.HasPrefix(text, "#{") {
		return strings.Fields(text)
	}
	var out []string
	for _, m := range literal.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

func overrideOf(b *xmldoc.Node) override {
	p := func(name string) string { return b.AttrIn("http://www.springframework.org/schema/p", name) }
	var o override
	switch responses, assertions := p("signResponses"), p("signAssertions"); {
	case assertions == "true" && responses == "false":
		o.sign = "assertion"
	case assertions == "true":
		o.sign = "both"
	case assertions == "false":
		o.sign = "response"
	}
	if p("encryptAssertions") == "false" {
		o.encrypt = "never"
	}
	first, _, _ := strings.Cut(strings.TrimSpace(strings.Trim(p("nameIDFormatPrecedence"), "#{}'")), "'")
	if first, _, _ = strings.Cut(first, ","); slices.Contains([]string{metadata.Transient, metadata.Persistent, metadata.Email}, first) {
		o.format = first
	}
	return o
}

// providers takes where metadata comes from.
func (r *reader) providers(file string, root *xmldoc.Node) error {
	for i, m := range below(root, "MetadataProvider") {
		id := m.Attr("id")
		switch kind(m) {
		case "ChainingMetadataProvider":
		case "FileBackedHTTPMetadataProvider", "HTTPMetadataProvider":
			r.remote(file, m, feed.Feed{ID: feedName(id), Kind: feed.Aggregate, Precedence: 10 * (i + 1)}, m.Attr("metadataURL"))
		case "DynamicHTTPMetadataProvider":
			for _, q := range below(m, "MetadataQueryProtocol") {
				r.remote(file, m, feed.Feed{ID: feedName(id), Kind: feed.Query, Precedence: 10 * (i + 1)}, q.Text())
			}
		case "FilesystemMetadataProvider", "ResourceBackedMetadataProvider":
			r.local(file, id, r.inside(m.Attr("metadataFile")))
		case "LocalDynamicMetadataProvider":
			r.folder(file, id, r.inside(m.Attr("sourceDirectory")))
		default:
			r.leave(file, "the metadata provider %s (%s)", id, kind(m))
		}
	}
	return nil
}

var notName = regexp.MustCompile(`[^a-z0-9]+`)

func feedName(id string) string {
	name := strings.Trim(notName.ReplaceAllString(strings.ToLower(id), "-"), "-")
	return name[:min(len(name), 32)]
}

// remote takes a signed feed with the certificate of its signer.
func (r *reader) remote(file string, m *xmldoc.Node, f feed.Feed, url string) {
	var signers []string
	for _, filter := range below(m, "MetadataFilter") {
		switch kind(filter) {
		case "SignatureValidation":
			text, err := r.file(r.inside(filter.Attr("certificateFile")))
			if err == nil {
				signers, err = feed.ReadSigners(text)
			}
			if err != nil {
				r.leave(file, "the feed %s: its signer (%s) cannot be read: %v", m.Attr("id"), filter.Attr("certificateFile"), err)
				return
			}
		case "RequiredValidUntil":
			if d, err := metadata.ReadDuration(filter.Attr("maxValidityInterval")); err == nil {
				f.MaxValidity = min(d, 366*24*time.Hour)
			}
		case "EntityRoleWhiteList", "EntityRole":
		default:
			r.leave(file, "the feed %s: the filter %s", m.Attr("id"), kind(filter))
		}
	}
	generation := 1
	if _, n, ok := strings.Cut(url, "generation="); ok && len(n) > 0 && n[0] >= '1' && n[0] <= '9' {
		generation = int(n[0] - '0')
	}
	f.Sources = []feed.Source{{Generation: generation, URL: strings.TrimSpace(r.expand(url)), Certificates: signers}}
	if err := f.Check(); err != nil {
		r.leave(file, "the feed %s: %v", m.Attr("id"), err)
		return
	}
	r.plan.Feeds = append(r.plan.Feeds, f)
	r.carry(file, "the feed %s from %s, signed by %s", f.ID, f.Sources[0].URL, feed.Fingerprint(signers[0]))
}

// local takes the one service that a file of metadata describes.
func (r *reader) local(file, id, name string) {
	text, err := r.file(name)
	if err != nil {
		r.leave(file, "the metadata of %s: %v", id, err)
		return
	}
	e, err := metadata.Read(text, r.now)
	if err == nil {
		err = e.Service.Check()
	}
	if err != nil {
		r.leave(name, "%v", err)
		return
	}
	p := feed.Party(e)
	r.parties[p.ID] = &p
	r.carry(name, "the service %s", p.ID)
}

func (r *reader) folder(file, id, name string) {
	d, err := readDir(r.files, name)
	if err != nil {
		r.leave(file, "the metadata of %s: %v", id, err)
		return
	}
	for _, n := range d {
		if strings.HasSuffix(n, ".xml") {
			r.local(file, id, path.Join(name, n))
		}
	}
}

// finish joins services with what they receive and how they are answered.
func (r *reader) finish() {
	const filter, relying = "conf/attribute-filter.xml", "conf/relying-party.xml"
	r.grant(filter)
	slices.SortStableFunc(r.plan.Rules, func(a, b rp.Rule) int { return strings.Compare(a.Name, b.Name) })
	for id, o := range r.settings {
		p := r.parties[id]
		if p == nil {
			if o != (override{}) {
				r.leave(relying, "the override for %s, whose metadata comes from a feed: register the service by hand to keep it", id)
			}
			continue
		}
		var x saml.Registration
		if err := json.Unmarshal(p.Registration, &x); err != nil {
			continue // it was written just now
		}
		x.Sign, x.Encrypt, x.Format = o.sign, o.encrypt, o.format
		if text, err := json.Marshal(x); err == nil {
			p.Registration = text
		}
	}
	for _, p := range r.parties {
		r.plan.Parties = append(r.plan.Parties, *p)
	}
	slices.SortFunc(r.plan.Parties, func(a, b rp.Party) int { return strings.Compare(a.ID, b.ID) })
	slices.SortStableFunc(r.plan.Left, func(a, b Remark) int { return strings.Compare(a.File, b.File) })
}
