package certdoor_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"seimon/internal/ca"
	"seimon/internal/desk/certdoor"
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
	deadline := time.Now().Add(time.Minute)
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

// pooled is a hall with fixed names, and somebody with a card at its second step in a
// browser of this address.
func pooled(t *testing.T) (h *hall, b *webtest.Browser) {
	h = open(t, func(d *certdoor.Door) {
		d.Names = certdoor.Names{Pool: []string{"c1.example.ac.jp", "c2.example.ac.jp"}}
	})
	h.server = h.serverCertificate("*.example.ac.jp")
	h.Certificate(h.Person("s7654321"), func(o *ca.Order) { o.Profile, o.Card = ca.CardProfile, "card_1" })
	return h, h.second("s7654321")
}

func (h *hall) second(user string) *webtest.Browser {
	b := webtest.New(h.T, logintest.Origin, h.Site.Handler())
	b.Address = "127.0.0.1:40000"
	return b.Get("/enter/webmail").Submit("次へ", "username", user).Submit("次へ", "password", logintest.Password)
}

// TestACardThatRefusesAtANameOfAPool: the name serves many, but only one try from this
// address is under way there.
func TestACardThatRefusesAtANameOfAPool(t *testing.T) {
	h, b := pooled(t)
	page := b.Location()
	h.refuse(begin(b), 20*time.Second)
	h.until(b, page, "前回は、このページにもどってきませんでした。何が")
	b.Submit("次へ").Want("カードが受けつけませんでした", "半角", "もう一度選ぶ")
	if r := h.explained(regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}\b`).FindString(b.Text())); r.Cause != "K2" {
		t.Errorf("the desk sees %s", r.Cause)
	}
}

// TestTwoAtOneNameOfAPool: of two people behind one address nobody hears of the other's
// card; the page says what may have been.
func TestTwoAtOneNameOfAPool(t *testing.T) {
	h, b := pooled(t)
	page := b.Location()
	h.Certificate(h.Person("s2222222"), func(o *ca.Order) { o.Profile, o.Card = ca.CardProfile, "card_2" })
	other := h.second("s2222222")
	otherPage := other.Location()
	address, others := begin(b), begin(other)
	if u, v := host(t, address), host(t, others); u != v {
		t.Fatalf("%s and %s", u, v)
	}
	h.refuse(address, 20*time.Second)
	h.until(b, page, "PINを受けつけなかったのかもしれません")
	other.Get(otherPage)
	for _, each := range []*webtest.Browser{b, other} {
		each.Refuse("何があったかを調べます")
	}
}

func host(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Hostname()
}

// TestATryThatNobodySaw: a proxy that ends TLS tells nothing of a card that refuses;
// whoever comes back to the page hears what may have been, and is asked afresh.
func TestATryThatNobodySaw(t *testing.T) {
	h := open(t, func(d *certdoor.Door) {
		d.Fields, d.Proxies = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	b := h.atSecondStep()
	page := b.Location()
	first := begin(b)
	h.Clock.Add(time.Second)
	b.Get(page).Refuse("前回は、このページにもどってきませんでした")
	h.Clock.Add(20 * time.Second)
	b.Get(page).Want("前回は、このページにもどってきませんでした", "PINは半角で")
	if again := begin(b); again == first {
		t.Error("the next try is at the same address")
	}
}
