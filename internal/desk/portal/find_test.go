package portal_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"seimon/internal/lang"
	"seimon/internal/login/logintest"
	"seimon/internal/rp"
	"seimon/internal/store"
)

// alliance is a federation of very many services.
type alliance int

func (n alliance) party(i int) rp.Party {
	return rp.Party{
		ID: fmt.Sprintf("https://sp%05d.example.org/sp", i), Protocol: "test", Source: "gakunin", Consent: rp.ConsentInform, Pairwise: true,
		Names: map[lang.Tag]string{lang.JA: fmt.Sprintf("連携サービス %d 番", i), lang.EN: fmt.Sprintf("Allied service %d", i)},
	}
}

func (n alliance) Find(_ *store.Tx, id string) (rp.Party, error) {
	for i := range int(n) {
		if p := n.party(i); p.ID == id {
			return p, nil
		}
	}
	return rp.Party{}, rp.ErrNone
}

func (n alliance) Search(_ context.Context, text string, limit int) (ids []string, more bool, err error) {
	for i := range int(n) {
		if p := n.party(i); text != "" && strings.Contains(p.Names[lang.JA], text) {
			if len(ids) == limit {
				return ids, true, nil
			}
			ids = append(ids, p.ID)
		}
	}
	return ids, false, nil
}

func (n alliance) Any(*store.Tx) (bool, error) { return n > 0, nil }

func TestServicesOfFederationsAreFoundAndRemembered(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus)
	if strings.Contains(b.Body, "ほかの機関のサービス") {
		t.Error("a search among nothing is offered")
	}
	world := alliance(10_000)
	h.Parties.Also(world)
	h.portal.Enter = func(p rp.Party) string { return "/start?party=" + p.ID }
	b.Get("/portal").Want("ほかの機関のサービス")
	if strings.Contains(b.Body, "連携サービス") {
		t.Error("services that were never used are listed")
	}
	used := world.party(4711)
	h.Write(func(tx *store.Tx) error {
		return h.Parties.Consent(tx, used, a.ID, nil, []rp.Item{{Attribute: "mail", Values: []string{"x"}, Required: true}})
	})
	b.Get("/portal").Want("連携サービス 4711 番", "学外連携")
	if n := strings.Count(b.Body, `href="/start`); n != 1 {
		t.Errorf("%d services of the federation are listed", n)
	}
	if !strings.Contains(b.Body, `href="/start?party=`+used.ID) {
		t.Error("there is no way to the service")
	}
	b.Get("/portal/consents").Want("連携サービス 4711 番")
	b.Get("/portal/test").Want("連携サービス 4711 番")
	b.Get("/portal/services?q=%E9%80%A3%E6%90%BA").Want("見つかったサービス", "ほかにもあります")
	if n := strings.Count(b.Body, "連携サービス"); n != 20 {
		t.Errorf("%d results are shown", n)
	}
	b.Get("/portal/services?q=9999").Want("連携サービス 9999 番")
	b.Get("/portal/services?q=%3Cscript%3E").Want("見つかりませんでした")
	if strings.Contains(b.Body, "<script>") {
		t.Error("the text is not escaped")
	}
	b.Get("/portal/services?q=" + strings.Repeat("x", 5000)).Want("見つかりませんでした")
	b.Get("/portal/services").Want("サービスを探す")
	if strings.Contains(b.Body, "見つかりませんでした") {
		t.Error("a search that was not asked for")
	}
}
