package policy

import (
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"seimon/internal/store"
)

//go:embed schema
var schema embed.FS

// Schema is the table of policy versions.
func Schema() store.Schema { return store.Schema{Room: "policy", Files: schema} }

// Version is one applied document.
type Version struct {
	Number int64     `json:"number"`
	File   string    `json:"file"`
	Sum    string    `json:"sum"` // SHA-256 of the text, hexadecimal
	Actor  string    `json:"actor"`
	At     time.Time `json:"at"`
}

// Book keeps the versions. A version never changes, so each is parsed once per
// node. It is safe for concurrent use.
type Book struct {
	db      *store.DB
	builtin *Document

	mu     sync.Mutex
	parsed map[string]*Document // by file and sum, so that a transaction that failed leaves nothing false
}

// maxParsed bounds the documents kept in memory.
const maxParsed = 8

// NewBook returns the book of a database.
func NewBook(db *store.DB) *Book {
	return &Book{db: db, builtin: Default(), parsed: map[string]*Document{}}
}

// Active gives the document in force and its version. Before the first version
// it is the built-in safe document with version 0.
func (b *Book) Active(tx *store.Tx) (*Document, int64, error) {
	var number int64
	var file, sum string
	err := tx.QueryRow("SELECT number, file, sum FROM policy_version ORDER BY number DESC LIMIT 1").Scan(&number, &file, &sum)
	if errors.Is(err, store.ErrNoRows) {
		return b.builtin, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	d, err := b.document(tx, number, file, sum)
	return d, number, err
}

func (b *Book) document(tx *store.Tx, number int64, file, sum string) (*Document, error) {
	if d := b.remembered(file + "\x00" + sum); d != nil {
		return d, nil
	}
	var text string
	if err := tx.QueryRow("SELECT text FROM policy_version WHERE number = $1", number).Scan(&text); err != nil {
		return nil, err
	}
	if sum != sumOf([]byte(text)) {
		return nil, fmt.Errorf("policy: version %d was changed after it was applied", number)
	}
	d, err := Parse(file, []byte(text))
	if err != nil {
		return nil, fmt.Errorf("policy: version %d: %w", number, err)
	}
	b.remember(file+"\x00"+sum, d)
	return d, nil
}

func (b *Book) remembered(key string) *Document {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.parsed[key]
}

func (b *Book) remember(key string, d *Document) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.parsed) >= maxParsed {
		clear(b.parsed)
	}
	b.parsed[key] = d
}

func sumOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Apply checks a document and makes it the version in force, in the caller's
// transaction. known tells which services exist. A bad document changes nothing;
// its error is an *Invalid. The text in force applied again is not a new version.
func (b *Book) Apply(tx *store.Tx, actor, file string, text []byte, known func(service string) bool) (int64, error) {
	d, err := Parse(file, text)
	if err != nil {
		return 0, err
	}
	if err := d.Check(known); err != nil {
		return 0, err
	}
	var number int64
	var sum string
	err = tx.QueryRow("SELECT number, sum FROM policy_version ORDER BY number DESC LIMIT 1").Scan(&number, &sum)
	if err != nil && !errors.Is(err, store.ErrNoRows) {
		return 0, err
	}
	if err == nil && sum == sumOf(text) {
		return number, nil
	}
	number++
	_, err = tx.Exec("INSERT INTO policy_version (number, file, text, sum, actor, at) VALUES ($1, $2, $3, $4, $5, $6)",
		number, file, string(text), sumOf(text), actor, store.Millis(tx.Now))
	return number, err
}

// Versions lists the versions, newest first.
func (b *Book) Versions(tx *store.Tx) ([]Version, error) {
	var out []Version
	rows, err := tx.Query("SELECT number, file, sum, actor, at FROM policy_version ORDER BY number DESC")
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		v, err := scanVersion(rows)
		out = append(out, v)
		return err
	})
	return out, err
}

// Version gives one version and its document; store.ErrNoRows when there is none.
// Version 0 is the built-in document.
func (b *Book) Version(tx *store.Tx, number int64) (Version, *Document, error) {
	if number == 0 {
		return Version{File: b.builtin.file, Sum: sumOf(b.builtin.text)}, b.builtin, nil
	}
	v, err := scanVersion(tx.QueryRow("SELECT number, file, sum, actor, at FROM policy_version WHERE number = $1", number))
	if err != nil {
		return Version{}, nil, err
	}
	d, err := b.document(tx, number, v.File, v.Sum)
	return v, d, err
}

func scanVersion(row interface{ Scan(...any) error }) (Version, error) {
	var v Version
	var at int64
	err := row.Scan(&v.Number, &v.File, &v.Sum, &v.Actor, &at)
	v.At = store.Time(at)
	return v, err
}
