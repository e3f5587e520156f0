package feed

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"

	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmlstream"
	"seimon/internal/store"
)

// Limits of one document.
const (
	maxEntity   = 1 << 20 // bytes of one entity
	maxEntities = 200_000
	maxName     = 1024 // SAML Metadata 2.0, 2.2.1
	batchRows   = 64
	batchBytes  = 512 << 10
)

const rpi = "urn:oasis:names:tc:SAML:metadata:rpi"

type hash [sha256.Size]byte

// collector takes the entities out of a document as it streams by. Until the document
// is verified nothing leads to what it stores.
type collector struct {
	now   time.Time
	max   time.Duration // that validUntil may be away
	known map[string]hash
	keep  func(list []document) error // stores documents
	root  string                      // what the document should be: the local name

	validUntil, created time.Time
	cache               time.Duration
	seen                map[string]hash // service providers, by entityID
	all                 map[string]bool // every entity
	only                string          // the entityID when the root is an entity
	self                string          // our own entityID
	mine                []byte          // what the document says of us

	inside  int // depth of the open entity; 0 outside
	id      string
	service bool
	part    bytes.Buffer
	tail    string
	changed []document
	pending int
	packer  *flate.Writer
}

// document is an entity to be stored.
type document struct {
	hash  hash
	body  []byte // compressed
	names string // for searching
}

// Start is xmlstream.Handler.
func (c *collector) Start(e *xmlstream.Element) error {
	md := e.Space == metadata.MD
	switch {
	case e.Depth == 1:
		if err := c.begin(e, md); err != nil {
			return err
		}
	case c.inside > 0:
		if md && e.Depth == c.inside+1 && e.Local == "SPSSODescriptor" {
			c.service = true
		}
		return nil
	case e.Depth <= 3 && e.Space == rpi && e.Local == "PublicationInfo" && e.Depth == 3:
		return c.instant(&c.created, "creationInstant", e.Attr("creationInstant"))
	}
	if md && e.Local == "EntityDescriptor" {
		return c.open(e)
	}
	if md && e.Local == "EntitiesDescriptor" && e.Depth > xmlstream.PartDepth-1 {
		return fmt.Errorf("groups of entities are nested deeper than %d", xmlstream.PartDepth-1)
	}
	return nil
}

// begin looks at the root (SAML Metadata 2.0, 2.3.1 and 2.3.2).
func (c *collector) begin(e *xmlstream.Element, md bool) error {
	if !md || e.Local != c.root {
		return fmt.Errorf("the document is a %s, not the %s of SAML 2.0 metadata", e.Local, c.root)
	}
	until := e.Attr("validUntil")
	if until == "" { // SAML2Int: an expiry is required
		return fmt.Errorf("%s has no validUntil: without an end a stolen copy would be believed for ever", e.Local)
	}
	if err := c.instant(&c.validUntil, "validUntil", until); err != nil {
		return err
	}
	if !c.now.Before(c.validUntil) {
		return fmt.Errorf("the document was valid until %s", until)
	}
	if c.validUntil.Sub(c.now) > c.max {
		return fmt.Errorf("validUntil %s is more than %d days away (--max-validity)", until, int(c.max.Hours()/24))
	}
	if text := e.Attr("cacheDuration"); text != "" {
		d, err := metadata.ReadDuration(text)
		if err != nil {
			return err
		}
		c.cache = d
	}
	return nil
}

func (c *collector) instant(to *time.Time, name, text string) error {
	if text == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("%s %.40q is no time", name, text)
	}
	*to = t.UTC()
	return nil
}

// open begins an entity.
func (c *collector) open(e *xmlstream.Element) error {
	id := e.Attr("entityID")
	switch {
	case id == "" || len(id) > maxName:
		return fmt.Errorf("an EntityDescriptor has no entityID, or one longer than %d bytes", maxName)
	case c.all[id]:
		return fmt.Errorf("the entity %.200q stands twice in the document", id)
	case len(c.all) >= maxEntities:
		return fmt.Errorf("more than %d entities", maxEntities)
	}
	c.all[id] = true
	c.inside, c.id, c.service = e.Depth, id, false
	c.part.Reset()
	c.tail = ""
	if e.Depth == 1 {
		c.only = id
		return nil
	}
	group := strings.TrimSuffix(e.Name(), "EntityDescriptor") + "EntitiesDescriptor"
	c.part.WriteString("<" + group + e.Around() + ">")
	c.tail = "</" + group + ">"
	return nil
}

// Write is xmlstream.Handler.
func (c *collector) Write(b []byte) (int, error) {
	if c.inside == 0 {
		return len(b), nil
	}
	if c.part.Len()+len(b) > maxEntity {
		return 0, fmt.Errorf("the entity %.200q is longer than %d bytes", c.id, maxEntity)
	}
	return c.part.Write(b)
}

// End is xmlstream.Handler.
func (c *collector) End(_, _ string, depth int) error {
	if depth != c.inside {
		return nil
	}
	c.inside = 0
	if c.id == c.self && c.self != "" {
		c.mine = append(bytes.Clone(c.part.Bytes()), c.tail...)
	}
	if !c.service {
		return nil // identity providers sign nobody in here
	}
	c.part.WriteString(c.tail)
	h := hash(sha256.Sum256(c.part.Bytes()))
	c.seen[c.id] = h
	if c.known[c.id] == h {
		return nil
	}
	body, err := c.squeeze(c.part.Bytes())
	if err != nil {
		return err
	}
	c.changed = append(c.changed, document{h, body, searchable(c.id, c.part.Bytes())})
	if c.pending += len(body); len(c.changed) >= batchRows || c.pending >= batchBytes {
		return c.flush()
	}
	return nil
}

func (c *collector) flush() error {
	if len(c.changed) == 0 {
		return nil
	}
	err := c.keep(c.changed)
	c.changed, c.pending = nil, 0
	return err
}

// squeeze compresses; its writer is made once for a document.
func (c *collector) squeeze(text []byte) ([]byte, error) {
	var out bytes.Buffer
	if c.packer == nil {
		w, err := flate.NewWriter(&out, flate.BestSpeed)
		if err != nil {
			return nil, err
		}
		c.packer = w
	}
	c.packer.Reset(&out)
	if _, err := c.packer.Write(text); err != nil {
		return nil, err
	}
	err := c.packer.Close()
	return out.Bytes(), err
}

func unsqueeze(body []byte) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(body)), 2*maxEntity))
	if err != nil {
		return nil, fmt.Errorf("feed: a stored entity is damaged: %w", err)
	}
	return text, nil
}

// keepDocuments stores documents under their hashes; it may be run twice.
func keepDocuments(ctx context.Context, db *store.DB, list []document) error {
	return db.Background(ctx, func(tx *store.Tx) error {
		seen := map[hash]bool{}
		var rows, named []string
		var args, names []any
		for _, d := range list {
			if seen[d.hash] {
				continue
			}
			seen[d.hash] = true
			n := len(args)
			rows = append(rows, fmt.Sprintf("($%d, $%d, $%d)", n+1, n+2, n+3))
			args = append(args, d.hash[:], d.body, store.Millis(tx.Now))
			named = append(named, fmt.Sprintf("($%d, $%d)", len(names)+1, len(names)+2))
			names = append(names, d.hash[:], d.names)
		}
		if _, err := tx.Exec("INSERT INTO feed_name (hash, names) VALUES "+strings.Join(named, ", ")+" ON CONFLICT (hash) DO NOTHING", names...); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO feed_document (hash, body, stored_at) VALUES "+strings.Join(rows, ", ")+
			" ON CONFLICT (hash) DO UPDATE SET stored_at = excluded.stored_at", args...)
		return err
	})
}
