// Command certs gives people of a running demo certificates of every kind that a
// browser test needs, as PEM files and PKCS#12:
//
//	certs CONFIG DIR USER OTHER LATE
//
// USER gets good, spare, revoked, replaced and card; OTHER gets other; LATE gets only
// expired. foreign is
// by an issuer of the same name as the demo's, with another key. It prints what was
// made as JSON.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"seimon/internal/app"
	"seimon/internal/ca"
	"seimon/internal/directory"
	"seimon/internal/store"
)

// made is one certificate as the tests use it.
type made struct {
	Name string `json:"name"`
	Tail string `json:"tail"`
	P12  string `json:"p12"` // password: x
}

// bench is where certificates are made.
type bench struct {
	ctx context.Context
	h   *app.House
	dir string
	out map[string]made
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 6 {
		log.Fatal("usage: certs CONFIG DIR USER OTHER LATE")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		log.Fatal(err)
	}
}

func run(config, dir string, people []string) error {
	ctx := context.Background()
	c, err := app.LoadConfig(config)
	if err != nil {
		return err
	}
	h, err := app.Open(ctx, c, app.Options{})
	if err != nil {
		return err
	}
	b := &bench{ctx, h, dir, map[string]made{}}
	return errors.Join(b.all(people[0], people[1], people[2]), h.Close())
}

func (b *bench) all(user, other, late string) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	expired, err := b.issue("expired", late, func(o *ca.Order) { o.Life = 10*time.Minute + 2*time.Second }) // it begins ten minutes ago
	if err != nil {
		return err
	}
	revoked, err := b.issue("revoked", user, nil)
	if err != nil {
		return err
	}
	err = b.h.DB.Write(b.ctx, func(tx *store.Tx) error {
		_, err := b.h.CA.Revoke(tx, revoked.ID, ca.KeyCompromise, "test")
		return err
	})
	if err != nil {
		return err
	}
	old, err := b.issue("replaced", user, nil)
	if err != nil {
		return err
	}
	for name, change := range map[string]func(*ca.Order){
		"spare": nil, "card": func(o *ca.Order) { o.Profile, o.Label = ca.CardProfile, "IC card" }, "good": func(o *ca.Order) { o.Replaces = old.ID },
	} {
		if _, err := b.issue(name, user, change); err != nil {
			return err
		}
	}
	if _, err := b.issue("other", other, nil); err != nil {
		return err
	}
	if err := b.foreign(old); err != nil {
		return err
	}
	time.Sleep(time.Until(expired.NotAfter))
	return json.NewEncoder(os.Stdout).Encode(b.out)
}

func (b *bench) issue(name, user string, change func(*ca.Order)) (ca.Certificate, error) {
	var a directory.Account
	var p directory.Person
	err := b.h.DB.Read(b.ctx, func(tx *store.Tx) (err error) {
		a, p, err = b.h.People.ByUserName(tx, user)
		return err
	})
	if err != nil {
		return ca.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return ca.Certificate{}, err
	}
	o := ca.Order{Profile: ca.PersonDevice, Key: key.Public(), Label: name, Holder: ca.Holder{
		Account: a.ID, Person: a.Person, Name: p.Name.FamilyLatin + " " + p.Name.GivenLatin, Mail: p.Mail, UPN: a.UserName + "@seimon.example",
	}}
	if change != nil {
		change(&o)
	}
	prepared, err := b.h.CA.Prepare(b.ctx, o)
	if err != nil {
		return ca.Certificate{}, fmt.Errorf("%s: %w", name, err)
	}
	c, err := b.h.CA.Issue(b.ctx, prepared)
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, b.keep(name, c.Name, c.Tail(), key, c.DER)
}

// foreign is a certificate by a CA that has only the name of ours.
func (b *bench) foreign(like ca.Certificate) error {
	issuer := b.h.CA.Chain(like.Issuer)[0]
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	impostor, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := like.Parsed()
	t := &x509.Certificate{
		SerialNumber: new(big.Int).Add(leaf.SerialNumber, big.NewInt(1)), Subject: leaf.Subject, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		KeyUsage: leaf.KeyUsage, ExtKeyUsage: leaf.ExtKeyUsage, EmailAddresses: leaf.EmailAddresses,
	}
	parent := &x509.Certificate{Subject: issuer.Subject, RawSubject: issuer.RawSubject, SubjectKeyId: issuer.SubjectKeyId, PublicKey: impostor.Public()}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), impostor)
	if err != nil {
		return err
	}
	return b.keep("foreign", leaf.Subject.CommonName, ca.TailOf(ca.SerialText(t.SerialNumber)), key, der)
}

func (b *bench) keep(name, cn, tail string, key *ecdsa.PrivateKey, der []byte) error {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	file := filepath.Join(b.dir, name+".pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	p12 := filepath.Join(b.dir, name+".p12")
	b.out[name] = made{cn, tail, p12}
	out, err := exec.CommandContext(b.ctx, "openssl", "pkcs12", "-export", "-in", file, "-inkey", file, "-name", name, "-passout", "pass:x", "-out", p12).CombinedOutput()
	if err != nil {
		return fmt.Errorf("openssl: %w: %s", err, out)
	}
	return nil
}
