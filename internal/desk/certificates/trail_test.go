package certificates_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"seimon/internal/audit"
	"seimon/internal/ca"
	"seimon/internal/desk/certificates"
	"seimon/internal/login/logintest"
	"seimon/internal/store"
)

func TestTheTimeLineShowsWhatIsOnRecord(t *testing.T) {
	number := int64(0)
	h := open(t, func(r *certificates.Rooms) {
		r.Listed = func(*store.Tx, ca.Certificate) (int64, error) { return number, nil }
	})
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	c := h.certificate(b, "laptop")
	b.Get(home+"/"+c.ID+"/revoke").Submit("いま失効させる", "why", "unused").Refuse("失効リスト（番号")
	h.Must(h.desk.Watch(t.Context()))
	b.Get(home + "/" + c.ID).Refuse("失効リスト（番号")
	h.Clock.Add(2 * time.Second)
	number = 41
	for range 2 {
		h.Must(h.desk.Watch(t.Context()))
		number++
	}
	b.Get(home+"/"+c.ID).Want("失効リスト（番号 41）", "失効から2.0秒後")
	if e := h.Events(a.ID, "certificate.published"); len(e) != 1 {
		t.Errorf("%+v", e)
	}
}

// TestTheTimeLineRenewsItselfWhileSomethingIsOpen: the page may ask and says where, its list
// is announced without moving anybody, and a link does the same without script. When all is
// done, or nothing comes any more, the page is still.
func TestTheTimeLineRenewsItselfWhileSomethingIsOpen(t *testing.T) {
	number := int64(0)
	h := open(t, func(r *certificates.Rooms) {
		r.Listed = func(*store.Tx, ca.Certificate) (int64, error) { return number, nil }
	})
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	c, other := h.certificate(b, "laptop"), h.certificate(b, "tablet")
	renews := func(id string, want bool) {
		t.Helper()
		b.Get(home + "/" + id)
		for _, mark := range []string{`data-renew="` + home + "/" + id + `"`, `data-renewed aria-live="polite"`, "もう一度見る"} {
			if strings.Contains(b.Body, mark) != want {
				t.Errorf("%s: %v", mark, !want)
			}
		}
		if got := strings.Contains(b.Header.Get("Content-Security-Policy"), "connect-src 'self'"); got != want {
			t.Errorf("the page may ask: %v", got)
		}
		if strings.Contains(b.Body, "http-equiv") || b.Header.Get("Refresh") != "" {
			t.Error("the whole page is loaded anew under somebody who reads it (WCAG 2.2, failure F41)")
		}
	}
	renews(c.ID, false)
	for _, id := range []string{c.ID, other.ID} {
		b.Get(home+"/"+id+"/revoke").Submit("いま失効させる", "why", "unused")
		renews(id, true)
	}
	number = 41
	h.Must(h.desk.Watch(t.Context()))
	renews(c.ID, false)
	number = 0
	h.Write(func(tx *store.Tx) error {
		return h.Audit.Append(tx, audit.Event{Type: "certificate.service.telling", Account: other.Account, Party: "library", Session: "s_1", Facts: map[string]string{"certificate": other.ID}})
	})
	renews(other.ID, true)
	h.Clock.Add(10 * time.Minute)
	renews(other.ID, false)
}

// TestAResponderThatIsAwayHidesNothing: the list is on record though the responder
// fails, and the answer as soon as it can be given, once.
func TestAResponderThatIsAwayHidesNothing(t *testing.T) {
	answers := errors.New("the key is away")
	h := open(t, func(r *certificates.Rooms) {
		r.Listed = func(*store.Tx, ca.Certificate) (int64, error) { return 7, nil }
		r.Answered = func(context.Context, ca.Certificate) (time.Duration, bool, error) { return time.Hour, true, answers }
	})
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	c := h.certificate(b, "laptop")
	b.Get(home+"/"+c.ID+"/revoke").Submit("いま失効させる", "why", "unused")
	for range 2 {
		if err := h.desk.Watch(t.Context()); !errors.Is(err, answers) {
			t.Error(err)
		}
	}
	b.Get(home + "/" + c.ID).Want("失効リスト（番号 7）").Refuse("OCSP")
	h.Clock.Add(3 * time.Second)
	answers = nil
	for range 2 {
		h.Must(h.desk.Watch(t.Context()))
	}
	b.Get(home+"/"+c.ID).Want("失効したと答えています", "失効から3.0秒後")
	for _, kind := range []string{"certificate.answered", "certificate.published"} {
		if e := h.Events(a.ID, kind); len(e) != 1 {
			t.Errorf("%s: %+v", kind, e)
		}
	}
}

// TestEveryServiceStandsInTheTimeLine: told, failed and not to be told, in the words of
// each protocol; what other sessions of the person did does not stand there.
func TestEveryServiceStandsInTheTimeLine(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	c := h.certificate(b, "laptop")
	b.Get(home+"/"+c.ID+"/revoke").Submit("いま失効させる", "why", "lost")
	h.Write(func(tx *store.Tx) error {
		event := func(kind, session, party string, facts map[string]string) error {
			return h.Audit.Append(tx, audit.Event{Type: kind, Account: a.ID, Session: session, Party: party, Facts: facts})
		}
		mine := map[string]string{"certificate": c.ID}
		return errors.Join(event("session.ended", "ses_1", "", mine),
			event("certificate.service.telling", "ses_1", "journals", mine), event("saml.logout.failed", "ses_1", "journals", nil),
			event("certificate.service.telling", "ses_1", "courses", mine), event("cas.logout.sent", "ses_1", "courses", nil),
			event("certificate.service.telling", "ses_1", "slow", mine), event("certificate.service.untold", "ses_1", "deaf", mine),
			event("saml.logout.told", "ses_2", "elsewhere", nil), event("signin.done", "ses_1", "inside", nil))
	})
	b.Get(home+"/"+c.ID).Want("journalsに知らせましたが、返事が来ていません", "coursesに、セッションが終わったことを知らせ、受け取られました",
		"slowに、セッションが終わったことを知らせています", "deafには、ここから知らせる方法がありません")
	b.Refuse("elsewhere", "inside", "journalsに、セッションが終わったことを知らせています")
	// What happened in one moment stands in the order in which it follows.
	at := -1
	for _, said := range []string{"失効しました。理由", "始めたセッションを終わらせました", "slowに、セッションが終わったことを"} {
		next := strings.Index(b.Text(), said)
		if next <= at {
			t.Errorf("%q is not in its place", said)
		}
		at = next
	}
}
