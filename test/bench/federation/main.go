// Command federation measures the import of a federation's metadata: time and peak
// memory of the program beside those of a bare streaming parse of the same file, the
// restart with the feed loaded, the first use of a service, and the memory with all
// services used once.
//
// It measures; it asserts only that what it measures was done. Each part runs in a
// process of its own, whose peak memory the kernel tells.
package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/rp"
	"seimon/internal/store"
)

type settings struct {
	dir, part, url string
	count, size    int
}

func main() {
	var s settings
	flag.IntVar(&s.count, "count", 10_000, "services in the federation")
	flag.IntVar(&s.size, "size", 6_600, "bytes of one")
	flag.StringVar(&s.url, "database", "", "URL of a database; a fresh SQLite file otherwise")
	flag.StringVar(&s.part, "part", "", "one part alone, for the program itself")
	flag.StringVar(&s.dir, "dir", "", "folder, for the program itself")
	flag.Parse()
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "federation:", err)
		os.Exit(1)
	}
}

func run(s settings) error {
	if s.part != "" {
		took, err := parts()[s.part](s)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(took)
	}
	dir, err := os.MkdirTemp("", "federation")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if s.dir = dir; s.url == "" {
		s.url = "sqlite:" + filepath.Join(dir, "bench.db")
	}
	fmt.Println("| what | time | processor time | peak memory, MiB |")
	fmt.Println("| --- | --- | --- | --- |")
	for _, p := range []struct{ name, what string }{
		{"write", "writing and signing the federation (not a target)"},
		{"read", "reading the file"},
		{"decode", "bare streaming parse (encoding/xml, tokens thrown away)"},
		{"digest", "bare SHA-256 of the file"},
		{"xmlsec1", "xmlsec1 --verify"},
		{"import", "import into an empty database"},
		{"again", "the same document again, nothing changed"},
		{"renew", "renewal: 100 of the services changed"},
		{"restart", "opening the database with the feed loaded, and one service"},
		{"first", "first use of a service, p50 / p99 / slowest of 1,000"},
		{"search", "first search in names after a start, and the second one"},
		{"all", "every service used once"},
	} {
		if err := s.measure(p.name, p.what); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// measure runs one part in a process of its own.
func (s settings) measure(part, what string) error {
	var c *exec.Cmd
	begin := time.Now()
	if part == "xmlsec1" {
		c = exec.Command("xmlsec1", "--verify", "--pubkey-cert-pem", s.file("signer.pem"), "--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:metadata:EntitiesDescriptor", s.file("feed.xml"))
	} else {
		c = exec.Command("/proc/self/exe", "-part", part, "-dir", s.dir, "-database", s.url, fmt.Sprintf("-count=%d", s.count), fmt.Sprintf("-size=%d", s.size))
		c.Stderr = os.Stderr
	}
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Run(); err != nil {
		return err
	}
	took := []string{time.Since(begin).Round(time.Millisecond).String()}
	if part != "xmlsec1" {
		if err := json.Unmarshal(out.Bytes(), &took); err != nil {
			return err
		}
	}
	usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return errors.New("this system does not tell the memory of a process")
	}
	text := took[0]
	for _, t := range took[1:] {
		text += " / " + t
	}
	busy := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	fmt.Printf("| %s | %s | %s | %d |\n", what, text, busy.Round(time.Millisecond), usage.Maxrss/1024)
	return nil
}

func (s settings) file(name string) string { return filepath.Join(s.dir, name) }

func parts() map[string]func(settings) ([]string, error) {
	return map[string]func(settings) ([]string, error){
		"write": write, "read": timed(read), "decode": timed(decode), "digest": timed(digest),
		"import": timed(load), "again": timed(load), "renew": renew, "restart": timed(restart), "first": first, "search": search, "all": timed(all),
	}
}

func timed(fn func(settings) error) func(settings) ([]string, error) {
	return func(s settings) ([]string, error) {
		begin := time.Now()
		err := fn(s)
		return []string{time.Since(begin).Round(time.Millisecond).String()}, err
	}
}

// write makes two publications: the second has 100 services changed.
func write(s settings) ([]string, error) {
	begin := time.Now()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, err
	}
	sample, err := aggregate.NewSample("federation.example.org", s.size)
	if err != nil {
		return nil, err
	}
	for i, name := range []string{"feed.xml", "renewed.xml"} {
		now := time.Now().Add(time.Duration(i) * time.Minute)
		text, err := aggregate.Write(aggregate.Document{
			ID: fmt.Sprintf("_%d", i), Name: "urn:bench", Created: now, ValidUntil: now.Add(14 * 24 * time.Hour), Cache: "PT1H", Key: xmlsig.Key{Signer: key},
		}, s.count, func(n int) aggregate.Provider {
			p := sample.Provider(n)
			if i == 1 && n%(max(s.count/100, 1)) == 0 {
				p.Contact = "renewed@example.org"
			}
			return p
		})
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(s.file(name), text, 0o600); err != nil {
			return nil, err
		}
	}
	pem := "-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString(der) + "\n-----END CERTIFICATE-----\n"
	took := time.Since(begin).Round(time.Millisecond).String()
	return []string{took}, errors.Join(os.WriteFile(s.file("signer.der"), der, 0o600), os.WriteFile(s.file("signer.pem"), []byte(pem), 0o600))
}

func (s settings) open(fn func(io.Reader) error) error {
	f, err := os.Open(s.file("feed.xml"))
	if err != nil {
		return err
	}
	return errors.Join(fn(f), f.Close())
}

func read(s settings) error {
	return s.open(func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
}

func digest(s settings) error {
	return s.open(func(r io.Reader) error { _, err := io.Copy(sha256.New(), r); return err })
}

func decode(s settings) error {
	return s.open(func(r io.Reader) error {
		d := xml.NewDecoder(r)
		for {
			if _, err := d.RawToken(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
}

// house opens the rooms as the program does.
func (s settings) house() (*store.DB, *rp.Book, *feed.Keeper, error) {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{URL: s.url})
	if err != nil {
		return nil, nil, nil, err
	}
	if err := db.Migrate(ctx, rp.Schema(), feed.Schema()); err != nil {
		return nil, nil, nil, err
	}
	book := rp.New(db, func(string, []byte) []byte { return make([]byte, 32) })
	k := feed.New(feed.Config{DB: db, Rules: book.Rules, Attribute: saml.AttributeNamed, Open: func(name string) (io.ReadCloser, error) { return os.Open(name) }})
	book.Also(k)
	return db, book, k, nil
}

func (s settings) load(file string) (feed.Report, error) {
	db, _, k, err := s.house()
	if err != nil {
		return feed.Report{}, err
	}
	defer db.Close()
	der, err := os.ReadFile(s.file("signer.der"))
	if err != nil {
		return feed.Report{}, err
	}
	f := feed.Feed{ID: "bench", Kind: feed.Aggregate, Sources: []feed.Source{{Generation: 1, URL: "file:" + s.file(file), Certificates: []string{base64.StdEncoding.EncodeToString(der)}}}}
	if err := db.Write(context.Background(), func(tx *store.Tx) error { return k.Put(tx, f) }); err != nil {
		return feed.Report{}, err
	}
	r, err := k.Refresh(context.Background(), "bench", feed.Options{})
	if err == nil && r.Services != s.count {
		err = fmt.Errorf("%d services were loaded", r.Services)
	}
	return r, err
}

func load(s settings) error { _, err := s.load("feed.xml"); return err }

func renew(s settings) ([]string, error) {
	begin := time.Now()
	r, err := s.load("renewed.xml")
	if err == nil && r.Changed < 100 {
		err = fmt.Errorf("%d services changed", r.Changed)
	}
	return []string{time.Since(begin).Round(time.Millisecond).String()}, err
}

func entity(n int) string {
	return fmt.Sprintf("https://sp%05d.federation.example.org/shibboleth", n)
}

func get(db *store.DB, book *rp.Book, n int) error {
	return db.Read(context.Background(), func(tx *store.Tx) error { _, err := book.Get(tx, entity(n)); return err })
}

func restart(s settings) error {
	db, book, _, err := s.house()
	if err != nil {
		return err
	}
	defer db.Close()
	return get(db, book, s.count/2)
}

func first(s settings) ([]string, error) {
	db, book, _, err := s.house()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	runtime.LockOSThread() // whose processor time is read
	var took, worked []time.Duration
	for n := range min(1000, s.count) {
		begin, before := time.Now(), threadTime()
		if err := get(db, book, n*7919%s.count); err != nil {
			return nil, err
		}
		took, worked = append(took, time.Since(begin)), append(worked, threadTime()-before)
	}
	return append(spread(took), append([]string{"processor time"}, spread(worked)...)...), nil
}

// search looks for names as the portal does.
func search(s settings) ([]string, error) {
	db, book, _, err := s.house()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if err := get(db, book, 0); err != nil {
		return nil, err
	}
	var out []string
	for _, text := range []string{fmt.Sprintf("sp%05d.federation", s.count/2), "研究 " + fmt.Sprint(s.count/3)} {
		begin := time.Now()
		ids, _, err := book.Search(context.Background(), text, 20)
		if err != nil || len(ids) == 0 {
			return nil, fmt.Errorf("%q finds nothing: %w", text, err)
		}
		out = append(out, time.Since(begin).Round(100*time.Microsecond).String())
	}
	return out, nil
}

// spread gives p50, p99 and the largest.
func spread(took []time.Duration) []string {
	slices.Sort(took)
	var out []string
	for _, d := range []time.Duration{took[len(took)/2], took[len(took)*99/100], took[len(took)-1]} {
		out = append(out, d.Round(10*time.Microsecond).String())
	}
	return out
}

// threadTime is the processor time of the calling thread.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0 // a figure for the reader; nothing depends on it
	}
	return time.Duration(t.Nano())
}

func all(s settings) error {
	db, book, _, err := s.house()
	if err != nil {
		return err
	}
	defer db.Close()
	for n := range s.count {
		if err := get(db, book, n); err != nil {
			return err
		}
	}
	return nil
}
