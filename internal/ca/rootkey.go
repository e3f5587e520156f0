package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// Offline says that a root's key is not here. What needs it has to wait until the key
// is brought back.
type Offline struct{ Root, Name string }

// Error says what to do.
func (o *Offline) Error() string {
	return fmt.Sprintf("the key of the root %q is offline: bring it back with seimon ca root import FILE, and take it away again afterwards", o.Name)
}

// exportBlock is the kind of the PEM block of an exported key.
const exportBlock = "SEIMON ROOT KEY"

// exported is a root's key as it lies in a file, sealed under a passphrase. Everything
// but the sealed key is bound to it as associated data.
type exported struct {
	Root   string `json:"root"`
	Name   string `json:"name"`
	Public []byte `json:"public"` // SubjectPublicKeyInfo
	KDF    kdf    `json:"argon2id"`
	Nonce  []byte `json:"nonce"`
	Sealed []byte `json:"sealed,omitempty"` // PKCS#8 under AES-256-GCM
}

// kdf says how the passphrase becomes a key (RFC 9106, Argon2id).
type kdf struct {
	Salt    []byte `json:"salt"`
	Passes  uint32 `json:"passes"`
	Memory  uint32 `json:"memory_kib"`
	Threads uint8  `json:"threads"`
}

// What a file may ask of this program, and what new ones do (RFC 9106 4: the second
// recommended option has 64 MiB and three passes).
const (
	exportMemory  = 64 << 10
	exportPasses  = 4
	exportThreads = 4
	maxMemory     = 1 << 20
	maxPasses     = 64
	// MinPassphrase is the least length of a passphrase, in characters.
	MinPassphrase = 15
)

func (e exported) cipher(passphrase authn.Secret) (cipher.AEAD, []byte, error) {
	k := e.KDF
	if k.Memory < 8<<10 || k.Memory > maxMemory || k.Passes < 1 || k.Passes > maxPasses || k.Threads < 1 || len(k.Salt) < 16 {
		return nil, nil, errors.New("ca: the file asks for a derivation that is not accepted")
	}
	key := argon2.IDKey([]byte(passphrase.Reveal()), k.Salt, k.Passes, k.Memory, k.Threads, 32)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, nil, err
	}
	e.Sealed = nil
	about, err := json.Marshal(e)
	return aead, about, err
}

// rootRow reads a root and its key as they are stored now.
func (a *Authority) rootRow(ctx context.Context, id string) (root Issuer, key keyRow, err error) {
	err = a.db.Read(ctx, func(tx *store.Tx) error {
		roots, err := a.Roots(tx)
		if err != nil {
			return err
		}
		for _, r := range roots {
			if r.ID == id || id == "" && len(roots) == 1 {
				root = r
			}
		}
		if root.ID == "" {
			return ErrNone
		}
		var row string
		if err := tx.QueryRow("SELECT key_id FROM ca_issuer WHERE id = $1", root.ID).Scan(&row); err != nil {
			return err
		}
		key, err = readKey(tx, row)
		return err
	})
	return root, key, err
}

// ExportRoot gives the key of a root, sealed under a passphrase, as PEM. An empty id
// means the only root. The key stays here until RemoveRoot.
func (a *Authority) ExportRoot(ctx context.Context, id string, passphrase authn.Secret, actor string) (Issuer, []byte, error) {
	if utf8.RuneCountInString(passphrase.Reveal()) < MinPassphrase {
		return Issuer{}, nil, fmt.Errorf("ca: the passphrase must have at least %d characters", MinPassphrase)
	}
	root, row, err := a.rootRow(ctx, id)
	if err != nil {
		return root, nil, err
	}
	if row.handle != "" {
		return root, nil, errors.New("ca: the root's key lies in the helper and never leaves it: take the token itself away")
	}
	if len(row.sealed) == 0 {
		return root, nil, &Offline{root.ID, root.Name}
	}
	signer, err := a.open(ctx, row)
	if err != nil {
		return root, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return root, nil, err
	}
	e := exported{Root: root.ID, Name: root.Name, Public: row.public, KDF: kdf{make([]byte, 16), exportPasses, exportMemory, exportThreads}, Nonce: make([]byte, 12)}
	rand.Read(e.KDF.Salt) //nolint:errcheck // never fails (crypto/rand.Read)
	rand.Read(e.Nonce)    //nolint:errcheck // never fails (crypto/rand.Read)
	aead, about, err := e.cipher(passphrase)
	if err != nil {
		return root, nil, err
	}
	e.Sealed = aead.Seal(nil, e.Nonce, private, about)
	text, err := json.Marshal(e)
	if err != nil {
		return root, nil, err
	}
	err = a.db.Write(ctx, func(tx *store.Tx) error { return a.noteRoot(tx, "ca.root.exported", root, actor) })
	return root, pem.EncodeToMemory(&pem.Block{Type: exportBlock, Bytes: text}), err
}

func (a *Authority) noteRoot(tx *store.Tx, event string, root Issuer, actor string) error {
	return a.note(tx, event, actor, Certificate{}, map[string]string{"issuer_id": root.ID, "issuer": root.Name})
}

// ErrPassphrase says that a file does not open with a passphrase, or was changed.
var ErrPassphrase = errors.New("ca: the passphrase is not the one of this file, or the file was changed")

// openExport opens a file and makes sure that it holds the very key of its root: it
// signs, and the root's certificate verifies.
func (a *Authority) openExport(ctx context.Context, text []byte, passphrase authn.Secret) (root Issuer, row keyRow, private []byte, err error) {
	block, _ := pem.Decode(text)
	var e exported
	if block == nil || block.Type != exportBlock || json.Unmarshal(block.Bytes, &e) != nil || e.Root == "" {
		return root, row, nil, errors.New("ca: the file holds no exported root key")
	}
	if root, row, err = a.rootRow(ctx, e.Root); err != nil {
		return root, row, nil, err
	}
	aead, about, err := e.cipher(passphrase)
	if err != nil {
		return root, row, nil, err
	}
	if len(e.Nonce) != aead.NonceSize() {
		return root, row, nil, ErrPassphrase
	}
	if private, err = aead.Open(nil, e.Nonce, e.Sealed, about); err != nil {
		return root, row, nil, ErrPassphrase
	}
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return root, row, nil, err
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return root, row, nil, errors.New("ca: the key in the file cannot sign")
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil || !bytes.Equal(public, row.public) {
		return root, row, nil, fmt.Errorf("ca: the file does not hold the key of the root %q", root.Name)
	}
	probe := []byte("the key of the root " + root.ID)
	algorithm, hash := signatureAlgorithm(signer.Public()), crypto.SHA256
	if algorithm == x509.ECDSAWithSHA384 {
		hash = crypto.SHA384
	}
	h := hash.New()
	h.Write(probe)
	signature, err := signer.Sign(rand.Reader, h.Sum(nil), hash)
	if err == nil {
		err = root.Certificate.CheckSignature(algorithm, probe, signature)
	}
	return root, row, private, err
}

// RemoveRoot takes a root's key out of the database once the export opens and holds
// that very key. Lists of the root are signed anew only after ImportRoot.
func (a *Authority) RemoveRoot(ctx context.Context, export []byte, passphrase authn.Secret, actor string) (Issuer, error) {
	root, row, _, err := a.openExport(ctx, export, passphrase)
	if err != nil {
		return root, err
	}
	if len(row.sealed) == 0 {
		return root, &Offline{root.ID, root.Name}
	}
	mark := a.cfg.Seal.Seal(goneContext(row.id), []byte(row.id))
	err = a.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec("UPDATE ca_key SET sealed = $1, gone_at = $2, gone_mark = $3 WHERE id = $4", []byte{}, store.Millis(tx.Now), mark, row.id); err != nil {
			return err
		}
		return a.noteRoot(tx, "ca.root.removed", root, actor)
	})
	return root, err
}

func goneContext(id string) string { return "ca_key_gone:" + id }

// LeftBehind tells which roots whose keys are offline can still be had from backups, and
// since when no new one holds them: the master key of that day is still in use here.
func (a *Authority) LeftBehind(tx *store.Tx) (map[string]time.Time, error) {
	rows, err := tx.Query(`SELECT i.id, k.id, k.gone_at, k.gone_mark FROM ca_issuer i JOIN ca_key k ON k.id = i.key_id
		WHERE k.gone_at > 0 AND k.handle = '' AND LENGTH(k.sealed) = 0`)
	out := map[string]time.Time{}
	err = store.Each(rows, err, func(rows *sql.Rows) error {
		var root, key string
		var at int64
		var mark []byte
		if err := rows.Scan(&root, &key, &at, &mark); err != nil {
			return err
		}
		if _, err := a.cfg.Seal.Unseal(goneContext(key), mark); err == nil {
			out[root] = store.Time(at)
		}
		return nil
	})
	return out, err
}

// ImportRoot brings a root's key back into the database.
func (a *Authority) ImportRoot(ctx context.Context, export []byte, passphrase authn.Secret, actor string) (Issuer, error) {
	root, row, private, err := a.openExport(ctx, export, passphrase)
	if err != nil {
		return root, err
	}
	if len(row.sealed) > 0 {
		return root, fmt.Errorf("ca: the key of the root %q is here already", root.Name)
	}
	sealed := a.cfg.Seal.Seal(keyContext(row.id), private)
	err = a.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec("UPDATE ca_key SET sealed = $1 WHERE id = $2", sealed, row.id); err != nil {
			return err
		}
		return a.noteRoot(tx, "ca.root.imported", root, actor)
	})
	return root, err
}

// RootsOffline tells which roots have no key here, by id.
func (a *Authority) RootsOffline(tx *store.Tx) (map[string]bool, error) {
	out := map[string]bool{}
	roots, err := a.Roots(tx)
	if err != nil {
		return nil, err
	}
	for _, r := range roots {
		var n int64
		err := tx.QueryRow("SELECT COUNT(*) FROM ca_issuer i JOIN ca_key k ON k.id = i.key_id WHERE i.id = $1 AND k.handle = '' AND LENGTH(k.sealed) = 0", r.ID).Scan(&n)
		if err != nil {
			return nil, err
		}
		out[r.ID] = n > 0
	}
	return out, nil
}

// rootSigner opens a root's key for this one use: nothing of it stays in memory, so
// that a key that was taken away is away everywhere.
func (a *Authority) rootSigner(ctx context.Context, s *signing) (crypto.Signer, error) {
	root, row, err := a.rootRow(ctx, s.id)
	if err != nil {
		return nil, err
	}
	if row.handle == "" && len(row.sealed) == 0 {
		return nil, &Offline{root.ID, root.Name}
	}
	return a.open(ctx, row)
}

// exportPrint names an exported file: people compare it with what they wrote down.
func exportPrint(text []byte) string {
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%X", sum[:8])
}
