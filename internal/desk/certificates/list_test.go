package certificates_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"seimon/internal/ca"
	"seimon/internal/desk/certificates"
	"seimon/internal/login/logintest"
	"seimon/internal/store"
)

// TestWhatWasReplacedCanStillBeRevoked: it opens the wireless network and the VPN until
// its day, and the device may be lost.
func TestWhatWasReplacedCanStillBeRevoked(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	old := h.certificate(b, "laptop")
	h.until(old.NotAfter.Add(-20 * day))
	h.again(b, home+"/"+old.ID+"/renew")
	_, text := request(t)
	m := h.order(b, "request", text, "label", "laptop", "replaces", old.ID)
	b.Get(home+"/"+old.ID).Want("新しいものに交換ずみ", m.Name, h.get(m.ID).Tail(), "に交換しました。", "laptopを失効させる")
	b.Get(home+"/"+old.ID+"/revoke").Submit("いま失効させる", "why", "lost").Want("証明書を失効させました", "新しい機器の証明書を作る")
	if got := h.get(old.ID); got.State != ca.Revoked || h.get(m.ID).State != ca.Active {
		t.Errorf("%s", got.State)
	}
}

// TestThePageOfACertificateKnowsItsLastUse, as the list does.
func TestThePageOfACertificateKnowsItsLastUse(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	c := h.certificate(b, "laptop")
	b.Get(home + "/" + c.ID).Want("まだ使っていません")
	h.Write(func(tx *store.Tx) error {
		all, err := h.Bindings.Of(tx, a.ID)
		for _, x := range all {
			if x.Kind == certificates.Kind {
				err = errors.Join(err, h.Bindings.Touch(tx, x.ID))
			}
		}
		return err
	})
	for _, page := range []string{home, home + "/" + c.ID} {
		b.Get(page).Want("最後にサインインに使った日時").Refuse("まだ使っていません")
	}
}

// TestADayIsADay: mail and page count the days that are left alike.
func TestADayIsADay(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	c := h.certificate(b, "laptop")
	h.until(c.NotAfter.Add(-3*day - time.Hour))
	h.Must(h.desk.Remind(t.Context()))
	h.again(b, home).Want("あと4日")
	if m := h.Mails("s1234567@example.ac.jp", "証明書の期限が近づいています"); len(m) != 1 || !strings.Contains(m[0].Text, "あと4日") {
		t.Errorf("%+v", m)
	}
	h.until(c.NotAfter.Add(-time.Hour))
	h.again(b, home)
	b.Get(home + "?lang=en").Want("1 day left")
}
