package policy

import (
	"embed"
	"time"

	"seimon/internal/store"
)

//go:embed schema
var schema embed.FS

// Schema is the table of policy versions.
func Schema() store.Schema { return store.Schema{Room: "policy", Files: schema} }

// Version is one applied document.
type Version struct {
	Number int64
	File   string
	Sum    string // SHA-256 of the text, hexadecimal
	Actor  string
	At     time.Time
}

// Book keeps the versions. Documents are parsed once per version and node.
type Book struct {
	db *store.DB
}

// NewBook returns the book of a database.
func NewBook(db *store.DB) *Book { return &Book{db: db} }

// Active gives the document in force and its version. Before the first version
// it is the built-in safe document with version 0.
func (b *Book) Active(tx *store.Tx) (*Document, int64, error) { return Default(), 0, nil }

// Apply checks a document and makes it the version in force, in the caller's
// transaction. known tells which services exist. A bad document changes nothing;
// its error is an *Invalid.
func (b *Book) Apply(tx *store.Tx, actor, file string, text []byte, known func(service string) bool) (int64, error) {
	return 0, nil
}

// Versions lists the versions, newest first.
func (b *Book) Versions(tx *store.Tx) ([]Version, error) { return nil, nil }

// Version gives one version and its document; store.ErrNoRows when there is none.
func (b *Book) Version(tx *store.Tx, number int64) (Version, *Document, error) {
	return Version{}, nil, nil
}
