package feed_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/lang"
	"seimon/internal/rp"
	"seimon/internal/store"
)

func sha1Of(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// bent gives a signed document that was changed afterwards.
func (f *federation) bent(by signer, bend func(string) string, numbers ...int) []byte {
	return []byte(bend(string(f.write(by, numbers...))))
}

func TestForgedFeedsLeaveNothingBehind(t *testing.T) {
	h := open(t)
	f, by, evil := newFederation(h), newSigner(t), newSigner(t)
	good := string(f.write(by, 0))
	signature := good[strings.Index(good, "<ds:Signature"):strings.Index(good, "<md:Extensions")]
	huge := strings.Repeat("A", 2<<20)
	for name, text := range map[string][]byte{
		"signed by a stranger": f.write(evil, 1),
		"not signed": f.bent(by, func(s string) string {
			return s[:strings.Index(s, "<ds:Signature")] + s[strings.Index(s, "<md:Extensions"):]
		}, 1),
		"an entity added": f.bent(by, func(s string) string {
			return strings.Replace(s, "</md:EntitiesDescriptor>", `<md:EntityDescriptor entityID="https://sp00001.example.org/shibboleth"><md:SPSSODescriptor/></md:EntityDescriptor></md:EntitiesDescriptor>`, 1)
		}, 0),
		"an address changed": f.bent(by, func(s string) string { return strings.Replace(s, "Shibboleth.sso/SAML2/POST", "evil", 1) }, 1),
		"validUntil changed": f.bent(by, func(s string) string {
			return strings.Replace(s, "validUntil=\"2026-04-20", "validUntil=\"2026-04-21", 1)
		}, 1),
		"two roots": f.bent(by, func(s string) string { return s + s }, 1),
		"signature of another element": f.bent(by, func(s string) string {
			return strings.Replace(string(f.write(evil, 1)), `"><ds:Signature`, `"><!-- --><ds:Signature`, 1)
		}, 1),
		"wrapped": f.bent(by, func(s string) string {
			return `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_0" validUntil="2026-04-20T00:00:00Z">` + signature + s + `</md:EntitiesDescriptor>`
		}, 1),
		"cut short":      f.bent(by, func(s string) string { return s[:len(s)-100] }, 1),
		"huge attribute": f.bent(by, func(s string) string { return strings.Replace(s, `entityID="`, `x="`+huge+`" entityID="`, 1) }, 1),
		"huge text":      f.bent(by, func(s string) string { return strings.Replace(s, "</mdui:Description>", huge+"</mdui:Description>", 1) }, 1),
		"deep nesting": f.bent(by, func(s string) string {
			return strings.Replace(s, "<md:EntityDescriptor", strings.Repeat("<md:EntitiesDescriptor>", 50)+"<md:EntityDescriptor", 1)
		}, 1),
		"document type": f.bent(by, func(s string) string { return `<!DOCTYPE x [<!ENTITY a "b">]>` + s }, 1),
		"nothing":       {},
		"a page":        []byte("<html><body>down for maintenance</body></html>"),
	} {
		h.put(gakunin(h.world.publish("/all.xml", text), by))
		if r, err := h.refresh("gakunin"); err == nil {
			t.Errorf("%s is loaded: %+v", name, r)
		}
		if _, err := h.party(entity(1)); !errors.Is(err, rp.ErrNone) {
			t.Errorf("%s: something of it is believed: %v", name, err)
		}
		if s := h.state("gakunin"); s.Fault == "" || !strings.Contains(s.Fault, "all.xml") {
			t.Errorf("%s: no word of it: %+v", name, s)
		}
	}
}

// Documents whose signature is good and whose content is not.
func TestSignedDocumentsThatCannotBeTaken(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	now := h.clock.Now()
	write := func(d aggregate.Document, change func(i int, p *aggregate.Provider), n int) []byte {
		d.ID, d.Key = "_1", by.Key
		text, err := aggregate.Write(d, n, func(i int) aggregate.Provider {
			p := f.sample.Provider(i)
			if change != nil {
				change(i, &p)
			}
			return p
		})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for want, text := range map[string][]byte{
		"no validUntil":   write(aggregate.Document{}, nil, 1),
		"was valid until": write(aggregate.Document{ValidUntil: now.Add(-time.Hour)}, nil, 1),
		"days away":       write(aggregate.Document{ValidUntil: now.Add(100 * day)}, nil, 1),
		"stands twice":    write(aggregate.Document{ValidUntil: now.Add(day)}, func(_ int, p *aggregate.Provider) { p.ID = entity(1) }, 2),
		"no entityID":     write(aggregate.Document{ValidUntil: now.Add(day)}, func(_ int, p *aggregate.Provider) { p.ID = "" }, 1),
		"is no duration":  write(aggregate.Document{ValidUntil: now.Add(day), Cache: "six hours"}, nil, 1),
		"longer than 1048": write(aggregate.Document{ValidUntil: now.Add(day)}, func(_ int, p *aggregate.Provider) {
			p.Organization = strings.Repeat("x", 900<<10)
			p.About = p.Organization
		}, 1),
	} {
		h.put(gakunin(h.world.publish("/all.xml", text), by))
		if _, err := h.refresh("gakunin"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestAFeedCannotTakeOverAnOwnService(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	own := rp.Party{ID: entity(1), Protocol: "saml", Names: map[lang.Tag]string{lang.EN: "own"}}
	h.write(func(tx *store.Tx) error { return h.book.Put(tx, own) })
	h.put(gakunin(h.world.publish("/all.xml", f.write(by, 1)), by))
	h.must("gakunin")
	if p, err := h.party(entity(1)); err != nil || p.Source != "" || string(p.Registration) != "{}" {
		t.Errorf("%+v %v", p, err)
	}
}

func TestServersThatDoNotBehave(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	text := f.write(by, 1)
	elsewhere := newWorld(t)
	away := elsewhere.publish("/all.xml", text)
	for want, page := range map[string]http.HandlerFunc{
		"another server": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, away, http.StatusFound) },
		"answers 500":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"answers 404":    http.NotFound,
		"redirects":      func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/all.xml", http.StatusFound) },
	} {
		h.put(gakunin(h.world.serve("/all.xml", page), by))
		if _, err := h.refresh("gakunin"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if elsewhere.times("/all.xml") != 0 {
		t.Error("a server that was not configured was asked")
	}
	small := gakunin(h.world.publish("/all.xml", text), by)
	small.MaxBytes = 2000
	h.put(small)
	if _, err := h.refresh("gakunin"); err == nil || !strings.Contains(err.Error(), "longer than 2000 bytes") {
		t.Error(err)
	}
	h.put(gakunin(h.world.serve("/here.xml", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/all.xml", http.StatusFound) }), by))
	h.must("gakunin")
}

// trip answers requests without a network.
type trip func(r *http.Request) (*http.Response, error)

func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// stall is a body that stops in the middle.
type stall struct {
	io.Reader
	over context.Context
}

func (s stall) Read(b []byte) (int, error) {
	if n, err := s.Reader.Read(b); err == nil {
		return n, nil
	}
	<-s.over.Done()
	return 0, s.over.Err()
}

func (stall) Close() error { return nil }

func TestASilentServerFailsTheRefresh(t *testing.T) {
	h := open(t)
	f, by := newFederation(h), newSigner(t)
	text := f.write(by, 1)
	h.put(gakunin("https://metadata.example.org/all.xml", by))
	for want, answer := range map[string]trip{
		"no answer for": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"too slow": func(r *http.Request) (*http.Response, error) {
			h.feeds.Silence = time.Millisecond // from here on
			return &http.Response{StatusCode: http.StatusOK, Body: stall{bytes.NewReader(text[:1000]), r.Context()}, Request: r}, nil
		},
	} {
		h.feeds.Silence = time.Millisecond
		if want == "too slow" {
			h.feeds.Silence = time.Hour
		}
		h.feeds.Client.Transport = answer
		if _, err := h.refresh("gakunin"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestSettingsThatCannotBeMeant(t *testing.T) {
	h := open(t)
	by := newSigner(t)
	ok := gakunin("https://metadata.example.org/all.xml", by)
	for want, bend := range map[string]func(f *feed.Feed){
		"name":            func(f *feed.Feed) { f.ID = "Gaku Nin" },
		"kind":            func(f *feed.Feed) { f.Kind = "push" },
		"sources":         func(f *feed.Feed) { f.Sources = nil },
		"generation":      func(f *feed.Feed) { f.Sources = append(f.Sources, f.Sources[0]) },
		"must begin with": func(f *feed.Feed) { f.Sources[0].URL = "http://metadata.example.org/" },
		"no address":      func(f *feed.Feed) { f.Sources[0].URL = "https://user@metadata.example.org/" },
		"signer":          func(f *feed.Feed) { f.Sources[0].Certificates = nil },
		"url":             func(f *feed.Feed) { f.Kind, f.Sources[0].URL = feed.Query, "file:/etc/passwd" },
		"negative":        func(f *feed.Feed) { f.MaxBytes = -1 },
	} {
		bad := ok
		bad.Sources = append([]feed.Source(nil), ok.Sources...)
		bend(&bad)
		err := h.db.Write(t.Context(), func(tx *store.Tx) error { return h.feeds.Put(tx, bad) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if fmt.Sprint(ok.Check()) != "<nil>" {
		t.Error(ok.Check())
	}
}
