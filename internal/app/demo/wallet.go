package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"seimon/internal/app/demo/campus"
	"seimon/internal/ca"
	"seimon/internal/directory"
	"seimon/internal/store"
)

// Owned is a certificate that somebody of the demo has already, with its key: what a
// person would have in a browser.
type Owned struct {
	Label      string `json:"label"`
	File       string `json:"file"` // PKCS#12
	Passphrase string `json:"passphrase"`
}

// walletPassphrase opens the files of the demo's certificates. They are as public as
// everything else here.
const walletPassphrase = "demo"

// planned is a certificate that the demo makes at its first start.
type planned struct {
	label string
	life  time.Duration // 0: the profile's
}

// wallet says who has certificates: a few have one, one of them ends soon, and
// somebody with two accounts has one for the first.
func wallet(i int) []planned {
	const day = 24 * time.Hour
	switch i {
	case 0:
		return []planned{{"laptop", 0}, {"old phone", 10 * day}}
	case 3, 12:
		return []planned{{"laptop", 0}}
	case 120: // the person whose second account is the last one
		return []planned{{"office PC", 0}}
	}
	return nil
}

// fill gives people their certificates, once.
func (t *Town) fill(ctx context.Context) error {
	if err := os.MkdirAll(t.path("certificates"), 0o700); err != nil {
		return err
	}
	for i, p := range campus.People() {
		for _, plan := range wallet(i) {
			file := t.owned(p.User, plan.label).File
			if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
				if err != nil {
					return err
				}
				continue
			}
			if err := t.make(ctx, p.User, plan, file); err != nil {
				return fmt.Errorf("certificate of %s: %w", p.User, err)
			}
		}
	}
	return nil
}

// make issues a certificate and puts it with its key into a file.
func (t *Town) make(ctx context.Context, user string, plan planned, file string) error {
	var a directory.Account
	var p directory.Person
	err := t.house.DB.Read(ctx, func(tx *store.Tx) (err error) {
		a, p, err = t.house.People.ByUserName(tx, user)
		return err
	})
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	prepared, err := t.house.CA.Prepare(ctx, ca.Order{
		Profile: ca.PersonDevice, Holder: t.house.Holder(a, p), Key: key.Public(), Label: plan.label, Life: plan.life,
	})
	if err != nil {
		return err
	}
	c, err := t.house.CA.Issue(ctx, prepared)
	if err != nil {
		return err
	}
	packed, err := pkcs12.Modern2023.Encode(key, c.Parsed(), []*x509.Certificate{t.house.CA.Chain(c.Issuer)[0]}, walletPassphrase)
	if err != nil {
		return err
	}
	return replaceFile(file, packed, 0o600)
}

func (t *Town) owned(user, label string) Owned {
	return Owned{label, filepath.Join(t.path("certificates"), user+"-"+label+".p12"), walletPassphrase}
}

// carries lists the certificates that somebody had from the start.
func (t *Town) carries(user string) []Owned {
	var out []Owned
	i := slices.IndexFunc(campus.People(), func(p campus.Person) bool { return p.User == user })
	for _, plan := range wallet(i) {
		out = append(out, t.owned(user, plan.label))
	}
	return out
}

// hand gives the file of one of somebody's certificates.
func (p *pages) hand(w http.ResponseWriter, r *http.Request) error {
	all := p.carries(r.PathValue("user"))
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 0 || n >= len(all) {
		return p.missing(w, r)
	}
	body, err := os.ReadFile(all[n].File)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-pkcs12")
	w.Header().Set("Content-Disposition", `attachment; filename="`+filepath.Base(all[n].File)+`"`)
	_, err = w.Write(body)
	return err
}
