package certdoor_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/ca"
	"seimon/internal/diagnosis"
	"seimon/internal/login/logintest"
	"seimon/internal/store"
	"seimon/internal/web/webtest"
)

// refuse is a browser whose card refuses after a while: its window, then no signature.
func (h *hall) refuse(address string, after time.Duration) {
	h.T.Helper()
	u, err := url.Parse(address)
	h.must(err)
	refuses := errors.New("the card refuses")
	_, err = tls.Dial("tcp", h.address, &tls.Config{RootCAs: h.roots, ServerName: u.Hostname(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		h.Clock.Add(after)
		return nil, refuses
	}})
	if !errors.Is(err, refuses) {
		h.T.Fatal(err)
	}
}

// until opens a page again until it says something: a connection ends when both sides
// have noticed.
func (h *hall) until(b *webtest.Browser, page, text string) {
	h.T.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for b.Get(page); !strings.Contains(b.Text(), text); b.Get(page) {
		if time.Now().After(deadline) {
			h.T.Fatal(b.Text())
		}
	}
}

// explained is the cause that the desk sees under the code on a page.
func (h *hall) explained(support string) (r diagnosis.Report) {
	h.T.Helper()
	h.must(h.DB.Read(h.T.Context(), func(tx *store.Tx) (err error) {
		r, err = diagnosis.Explain(tx, h.Audit, h.Policy, support)
		return err
	}))
	return r
}

// TestACardThatRefuses breaks the handshake of a real connection: the page, the record
// of the moment and the desk name the same cause.
func TestACardThatRefuses(t *testing.T) {
	h := open(t, nil)
	holder := h.Person("s7654321")
	c := h.Certificate(holder, func(o *ca.Order) { o.Profile, o.Card = ca.CardProfile, "card_1" })
	b := webtest.New(t, logintest.Origin, h.Site.Handler())
	b.Address = logintest.Home + ":40000"
	b.Get("/enter/webmail").Submit("次へ", "username", "s7654321").Submit("次へ", "password", logintest.Password)
	page := b.Location()
	h.refuse(begin(b), 20*time.Second)
	h.until(b, page, "前回は、このページにもどってきませんでした。何が")
	b.Submit("次へ").Want("カードが受けつけませんでした", "半角", "もう一度選ぶ")
	r := h.explained(regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}\b`).FindString(b.Text()))
	if r.Cause != "K2" || r.Account != holder.ID {
		t.Errorf("the desk sees %s of %s", r.Cause, r.Account)
	}
	var broken []string
	for _, e := range r.Timeline {
		if e.Type == "certificate.broken" {
			broken = append(broken, e.Facts["code"])
		}
	}
	if len(broken) != 1 || broken[0] != "K2" {
		t.Errorf("the record of the moment: %v", broken)
	}
	// The next try is another host, and the card works.
	key := newKey(t)
	c = h.Certificate(holder, func(o *ca.Order) {
		o.Profile, o.Card, o.Key, o.Replaces = ca.CardProfile, "card_1", key.Public(), c.ID
	})
	_, to := h.client(&tls.Certificate{Certificate: [][]byte{c.DER}, PrivateKey: key}, nil).open(t, begin(b))
	b.Get(to).Submit("次へ")
	if !b.Left() {
		t.Fatal(b.Text())
	}
}

// TestAWindowThatIsClosed: somebody with a certificate in a file hears nothing of cards.
func TestAWindowThatIsClosed(t *testing.T) {
	h := open(t, nil)
	b := h.atSecondStep()
	page := b.Location()
	h.refuse(begin(b), 20*time.Second)
	h.until(b, page, "前回は、このページにもどってきませんでした。何が")
	b.Submit("次へ").Want("ブラウザーが接続を切りました").Refuse("カードが受けつけませんでした")
}

// TestABrowsersOwnLook: Chromium breaks off when it is asked, before its person chose.
func TestABrowsersOwnLook(t *testing.T) {
	h := open(t, nil)
	b := h.atSecondStep()
	page := b.Location()
	address := begin(b)
	h.refuse(address, 0)
	h.until(b, page, "PINを受けつけなかったのかもしれません")
	_, to := h.client(h.holder(h.account), nil).open(t, address)
	b.Get(to).Submit("次へ")
	if !b.Left() {
		t.Fatal(b.Text())
	}
}

// TestTheEndOfTheListenerIsNoRefusal: connections that we end say nothing of a card.
func TestTheEndOfTheListenerIsNoRefusal(t *testing.T) {
	h := openHall(t, nil)
	b := h.atSecondStep()
	id, _, _ := strings.Cut(strings.TrimPrefix(b.URL.Path, "/login/"), "/")
	u, err := url.Parse(begin(b))
	h.must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	s := h.door.Server()
	var done sync.WaitGroup
	done.Go(func() {
		inner := tls.NewListener(h.door.Listen(l), h.door.TLS(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &h.server, nil }))
		if err := s.Serve(inner); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	_, err = tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: h.roots, ServerName: u.Hostname(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		h.Clock.Add(20 * time.Second)
		return nil, errors.Join(errors.New("ended"), s.Close())
	}})
	if err == nil {
		t.Error("the connection outlived its listener")
	}
	done.Wait()
	if untold, err := h.Tries.Untold(t.Context(), id); untold || err != nil {
		t.Errorf("it counts as a refusal: %v", err)
	}
}
