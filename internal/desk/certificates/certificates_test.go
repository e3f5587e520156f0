package certificates_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"seimon/internal/ca"
	"seimon/internal/directory"
	"seimon/internal/login/logintest"
	"seimon/internal/store"
)

func TestAScriptGetsACertificateForItsRequest(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	ok(t, b, home+"/new")
	key, text := request(t)
	m := h.order(b, "request", text, "label", "  laptop\t2026 ")
	if m.Cause != "" || len(m.Certificates) != 2 || !strings.HasPrefix(m.File, "certificate-") || m.Page != home+"/"+m.ID {
		t.Fatalf("%+v", m)
	}
	leaf, issuer := der(t, m.Certificates[0]), der(t, m.Certificates[1])
	if !leaf.PublicKey.(*ecdsa.PublicKey).Equal(key.Public()) || leaf.CheckSignatureFrom(issuer) != nil {
		t.Error("the certificate is not for the key, or not from the issuer")
	}
	if !strings.Contains(leaf.Subject.CommonName, "laptop 2026") || leaf.Subject.CommonName != m.Name || leaf.EmailAddresses[0] != "s1234567@example.ac.jp" {
		t.Errorf("%s %v", leaf.Subject, leaf.EmailAddresses)
	}
	if n := len(h.Mails("s1234567@example.ac.jp", "証明書を発行しました")); n != 1 {
		t.Errorf("the owner was told %d times", n)
	}
	b.Get(home).Want("laptop 2026", "有効", h.get(m.ID).Tail(), "3台のうち1台")
	b.Get(m.Page).Want("発行しました", h.get(m.ID).Serial)
	if again := h.order(b, "request", text, "label", "laptop 2026"); again.ID != m.ID || len(h.of(a.ID)) != 1 {
		t.Errorf("the same request again made another certificate: %+v", again)
	}
}

func TestWithoutScriptARequestIsSentAndTheCertificateFetched(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	_, text := request(t)
	b.Submit("申請を送る", "label", "lab PC", "request", text).Want("証明書を発行しました")
	c := h.of(a.ID)[0]
	ok(t, b, home+"/"+c.ID)
	b.Get(home + "/" + c.ID + "/file/pem")
	first, rest := pem.Decode([]byte(b.Body))
	second, _ := pem.Decode(rest)
	if first == nil || second == nil || !bytes.Equal(first.Bytes, c.DER) {
		t.Error("the PEM file is not the certificate and its issuer")
	}
	if b.Get(home + "/" + c.ID + "/file/cer"); b.Body != string(c.DER) {
		t.Error("the DER file is not the certificate")
	}
	b.Get(home + "/" + c.ID + "/file/p12").WantStatus(http.StatusNotFound)
	b.Get(home+"/new").Submit("申請を送る", "label", "x", "request", "nonsense").WantStatus(http.StatusUnprocessableEntity).Want("送られた申請か")
	if len(h.of(a.ID)) != 1 {
		t.Error("nonsense became a certificate")
	}
}

func TestWhoMayIssueFromWhere(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Home, home+"/new")
	b.WantStatus(http.StatusForbidden).Want("この場所からは", "学内のネットワークかVPN")
	_, text := request(t)
	if m := h.order(b, "request", text, "label", "x"); m.Cause == "" || b.Status != http.StatusUnprocessableEntity {
		t.Errorf("from off campus with a password alone: %+v", m)
	}
	b.Get(home).Want("証明書を作れません")
	with := h.Person("s2345678")
	h.App(with.ID)
	b = h.signIn("s2345678", logintest.Home, home+"/new")
	h.Clock.Add(31e9)
	b.Submit("次へ", "code", h.Code(with.ID, 0))
	ok(t, b, home+"/new")
	if m := h.order(b, "request", text, "label", "x"); m.ID == "" {
		t.Errorf("with two classes: %+v", m)
	}
}

func TestAnOldProofIsNotEnough(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	h.Clock.Add(20 * 60e9)
	_, text := request(t)
	if b.Post(home+"/order", url.Values{"request": {text}, "label": {"x"}}); !strings.Contains(b.Location(), "/login/") {
		t.Errorf("%d at %s", b.Status, b.Location())
	}
	if len(h.of(a.ID)) != 0 {
		t.Error("a certificate was made on an old proof")
	}
	h.Prove(b, "s1234567")
	ok(t, b, home+"/new")
}

func TestTheNumberOfDevicesIsLimited(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	for i := range 3 {
		h.certificate(b, fmt.Sprint("device ", i))
	}
	_, text := request(t)
	if m := h.order(b, "request", text, "label", "one more"); !strings.Contains(m.Cause, "3枚") {
		t.Errorf("%+v", m)
	}
	b.Get(home).Want("持てる枚数いっぱい")
	b.Get(home + "/new").WantStatus(http.StatusConflict).Want("3枚").Refuse("機器の名前")
	h.Write(func(tx *store.Tx) error {
		_, err := h.ca.Revoke(tx, h.of(a.ID)[0].ID, ca.Superseded, "test")
		return err
	})
	h.certificate(b, "one more")
}

func TestTheLimitHoldsAgainstManyAtOnce(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	var all sync.WaitGroup
	for i := range 8 {
		tab := b.Tab()
		_, text := request(t)
		all.Go(func() {
			tab.Post(home+"/order", url.Values{"request": {text}, "label": {fmt.Sprint("device ", i)}})
		})
	}
	all.Wait()
	if n := len(h.of(a.ID)); n != 3 {
		t.Errorf("eight orders at once made %d certificates", n)
	}
}

func TestRenewalFollowsTheOldOne(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	old := h.certificate(b, "laptop")
	b.Get(home+"/"+old.ID+"/renew").WantStatus(http.StatusConflict).Want("まだ更新できません", "更新できます")
	h.until(old.NotAfter.Add(-29 * day))
	h.again(b, home).Want("もうすぐ期限", "laptopを更新する")
	b.Get("/portal").Want("laptopの証明書は", "期限になります")
	h.again(b, home+"/"+old.ID+"/renew").Want("証明書を更新する", old.Tail())
	_, text := request(t)
	m := h.order(b, "request", text, "label", "laptop", "replaces", old.ID)
	if m.ID == "" || h.get(old.ID).ReplacedBy != m.ID || h.get(m.ID).Replaces != old.ID {
		t.Fatalf("%+v", m)
	}
	b.Get(home).Want("新しいものに交換ずみ")
	if n := len(h.Mails("s1234567@example.ac.jp", "証明書を更新しました")); n != 1 {
		t.Errorf("the owner was told %d times", n)
	}
	_, text = request(t)
	if m := h.order(b, "request", text, "label", "laptop", "replaces", old.ID); m.Cause == "" {
		t.Error("a certificate was replaced twice")
	}
	if len(h.of(a.ID)) != 2 {
		t.Error("more certificates than expected")
	}
}

// TestALostAnswerToARenewalIsAskedForAgain: the telephone changed its network while the
// answer was on its way. The old certificate does not sign in any more, so that without
// the new one nothing would be left.
func TestALostAnswerToARenewalIsAskedForAgain(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	old := h.certificate(b, "laptop")
	h.until(old.NotAfter.Add(-29 * day))
	h.again(b, home+"/"+old.ID+"/renew")
	_, text := request(t)
	order := []string{"request", text, "label", "laptop", "replaces", old.ID}
	first := h.order(b, order...)
	if again := h.order(b, order...); again.ID != first.ID || first.ID == "" || len(again.Certificates) == 0 {
		t.Errorf("sent again: %+v, first %+v", again, first)
	}
	page := home + "/" + old.ID + "/renew"
	if b.Post(page, url.Values{"way": {"request"}, "request": {text}, "label": {"laptop"}}); !strings.Contains(b.Location(), first.ID) {
		t.Errorf("the form sent again: %d at %s", b.Status, b.Location())
	}
	_, other := request(t)
	if m := h.order(b, "request", other, "label", "laptop", "replaces", old.ID); m.ID != "" {
		t.Error("another key replaced it once more")
	}
	h.Clock.Add(day / 24)
	h.again(b, home+"/new")
	if m := h.order(b, order...); m.ID != "" {
		t.Error("long afterwards it is no lost answer")
	}
	if n := len(h.of(a.ID)); n != 2 {
		t.Errorf("%d certificates", n)
	}
}

func TestAChangedAddressAndAnotherAccountOfferANewOne(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	old := h.certificate(b, "laptop")
	h.Write(func(tx *store.Tx) error {
		if err := h.People.SetMail(tx, a.Person, directory.UseMail, "taro@example.ac.jp"); err != nil {
			return err
		}
		return h.People.VerifyMail(tx, a.Person, directory.UseMail, "taro@example.ac.jp")
	})
	b.Get(home).Want("前のメールアドレス s1234567@example.ac.jp", "taro@example.ac.jp")
	h.again(b, home+"/"+old.ID+"/renew")
	_, text := request(t)
	if m := h.order(b, "request", text, "label", "laptop", "replaces", old.ID); h.get(m.ID).Mail != "taro@example.ac.jp" {
		t.Errorf("%+v", m)
	}
	b.Get(home).Refuse("前のメールアドレス")

	h.second(a, "d1234567")
	c := h.At(logintest.Campus).Get(home)
	h.Prove(c, "d1234567")
	c.Get("/portal").Want("別のアカウント s1234567")
	c.Get(home).Want("別のアカウント s1234567", "このアカウントでlaptopの証明書を作る")
	id := h.of(a.ID)[0].ID
	h.again(c, home+"/"+id+"/renew").Want("別のアカウント s1234567")
	if got := c.Field("label"); got != "laptop" {
		t.Errorf("the label is %q", got)
	}
	c.Get(home + "/" + id).WantStatus(http.StatusNotFound)
	c.Get(home + "/" + id + "/revoke").WantStatus(http.StatusNotFound)
	// Once the device has one of this account, nothing is left to do about it.
	h.certificate(c, "laptop")
	c.Get(home).Want("laptop").Refuse("別のアカウント")
	c.Get("/portal").Refuse("別のアカウント")
}

func TestRevokingNeedsAReasonAndShowsWhatWasCutOff(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	c := h.certificate(b, "laptop")
	b.Get(home+"/"+c.ID+"/revoke").Want("二度と使えません", "最後の証明書")
	b.Post(home+"/"+c.ID+"/revoke", nil).WantStatus(http.StatusUnprocessableEntity).Want("理由を選んでください")
	b.Get(home+"/"+c.ID+"/revoke").Submit("いま失効させる", "why", "lost").Want("証明書を失効させました", "ほかの人が鍵を持っているかもしれない")
	if got := h.get(c.ID); got.State != ca.Revoked || got.Reason != ca.KeyCompromise {
		t.Errorf("%s %s", got.State, got.Reason)
	}
	if e := h.Events(a.ID, "certificate.revoked"); len(e) != 1 || e[0].Actor != string(a.ID) {
		t.Errorf("%+v", e)
	}
	if m := h.Mails("s1234567@example.ac.jp", "証明書を失効させました"); len(m) != 1 || !strings.Contains(m[0].Text, "ほかの人が鍵を持っているかもしれない") {
		t.Errorf("%+v", m)
	}
	b.Get(home + "/" + c.ID + "/revoke")
	ok(t, b, home+"/"+c.ID)
	h.again(b, home+"/"+c.ID+"/renew").WantStatus(http.StatusConflict)
}

func TestNobodyTouchesCertificatesOfOthers(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	mine := h.certificate(h.signIn("s1234567", logintest.Campus, home+"/new"), "laptop")
	h.Person("s7654321")
	b := h.signIn("s7654321", logintest.Campus, home+"/new")
	for _, page := range []string{"", "/renew", "/revoke", "/file/pem", "/file/cer"} {
		b.Get(home + "/" + mine.ID + page).WantStatus(http.StatusNotFound)
	}
	b.Post(home+"/"+mine.ID+"/revoke", url.Values{"why": {"lost"}}).WantStatus(http.StatusNotFound)
	_, text := request(t)
	if m := h.order(b, "request", text, "label", "x", "replaces", mine.ID); m.Cause == "" {
		t.Error("somebody else's certificate was replaced")
	}
	if got := h.get(mine.ID); got.State != ca.Active || got.ReplacedBy != "" {
		t.Errorf("%+v", got)
	}
	b.Get(home).Refuse("laptop")
}

func TestHostileRequests(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	h.Person("s7654321")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	other := h.signIn("s7654321", logintest.Campus, home+"/new")
	key, text := request(t)
	if m := h.order(other, "request", text, "label", "x"); m.ID == "" {
		t.Fatal(m.Cause)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	h.Must(err)
	basic, err := asn1.Marshal(struct{ CA bool }{true})
	h.Must(err)
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.Must(err)
	ambitious, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: basic}}}, own)
	h.Must(err)
	forged, _ := pem.Decode([]byte(requestFor(t, own)))
	forged.Bytes[len(forged.Bytes)-1] ^= 1
	for name, bad := range map[string]string{
		"empty": "", "text": "hello", "another's key": requestFor(t, key), "short key": requestFor(t, small),
		"wants to be an issuer":       string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: ambitious})),
		"signature of something else": string(pem.EncodeToMemory(forged)),
		"huge":                        strings.Repeat("A", 30<<10),
	} {
		if m := h.order(b, "request", bad, "label", "x"); m.ID != "" || m.Cause == "" || m.Next == "" {
			t.Errorf("%s: %+v", name, m)
		}
	}
	// What a request asks for beside its key has no effect.
	names, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "The President", Organization: []string{"Elsewhere"}}, EmailAddresses: []string{"president@example.ac.jp"}, DNSNames: []string{"sso.example.ac.jp"},
	}, own)
	h.Must(err)
	m := h.order(b, "request", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: names})), "label", "x")
	leaf := der(t, m.Certificates[0])
	if strings.Contains(leaf.Subject.String(), "President") || len(leaf.DNSNames) > 0 || leaf.EmailAddresses[0] != "s1234567@example.ac.jp" {
		t.Errorf("%s %v %v", leaf.Subject, leaf.DNSNames, leaf.EmailAddresses)
	}
	for _, label := range []string{"", " \t", "\u202e\u0000"} {
		_, text := request(t)
		if m := h.order(b, "request", text, "label", label); m.ID != "" {
			t.Errorf("the label %q was taken", label)
		}
	}
	if n := len(h.of(a.ID)); n != 1 {
		t.Errorf("%d certificates", n)
	}
}

// private are the ways in which a private key could be written.
func private(t testing.TB, key any) []string {
	t.Helper()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return []string{string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), string(pkcs8)}
}

func TestNoRouteTakesAPrivateKey(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	key, text := request(t)
	for _, secret := range private(t, key) {
		for _, to := range []string{home + "/order", home + "/new"} {
			b.Post(to, url.Values{"request": {secret}, "label": {"x"}, "key": {secret}})
			b.Post(to, url.Values{"request": {secret + text}, "label": {"x"}})
		}
	}
	if n := len(h.of(a.ID)); n != 0 {
		t.Errorf("a request with a private key made %d certificates", n)
	}
	// The page itself has no field that could carry the key or its passphrase away.
	b.Get(home + "/new")
	for _, form := range b.Page().All("form") {
		for _, in := range form.All("input") {
			if name := in.Attr["name"]; in.Attr["id"] == "passphrase" && name != "" || strings.Contains(name, "key") || strings.Contains(name, "p12") {
				t.Errorf("the field %q would be sent", name)
			}
		}
	}
}

func TestTheServerMakesAKeyOnlyWhereItMay(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new").Refuse("サーバーが鍵を作り")
	b.Post(home+"/new", url.Values{"way": {"server"}, "label": {"old phone"}, "passphrase": {"a long passphrase"}}).WantStatus(http.StatusUnprocessableEntity)
	if len(h.of(a.ID)) != 0 {
		t.Fatal("the server made a key that the rules do not allow")
	}
	h.Apply(rules + "server_made = true\n")
	h.again(b, home+"/new").Want("サーバーが鍵を作り")
	b.Post(home+"/new", url.Values{"way": {"server"}, "label": {"old phone"}, "passphrase": {"short"}}).WantStatus(http.StatusUnprocessableEntity).Want("12文字以上")
	// The compatible form is no stronger than its passphrase; what was chosen and typed stays.
	b.Post(home+"/new", url.Values{"way": {"server"}, "label": {"old phone"}, "passphrase": {"a long passphrase"}, "form": {"compatible"}}).
		WantStatus(http.StatusUnprocessableEntity).Want("20文字以上")
	if got := b.Field("passphrase"); got != "a long passphrase" {
		t.Errorf("the passphrase that was written down became %q", got)
	}
	if n := len(h.of(a.ID)); n != 0 {
		t.Fatalf("%d certificates with a passphrase that is too short", n)
	}
	if suggested := h.again(b, home+"/new").Field("passphrase"); len(suggested) < 20 || strings.ContainsAny(suggested, "ilo01") {
		t.Errorf("%q is too short for the compatible form, or its letters are taken for others", suggested)
	}
	for _, form := range []string{"modern", "compatible"} {
		const pass = "a long passphrase, longer"
		b.Post(home+"/new", url.Values{"way": {"server"}, "label": {"phone " + form}, "passphrase": {pass}, "form": {form}})
		key, leaf, _, err := pkcs12.DecodeChain([]byte(b.Body), pass)
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		known := slices.ContainsFunc(h.of(a.ID), func(c ca.Certificate) bool { return bytes.Equal(c.DER, leaf.Raw) && c.Label == "phone "+form })
		if !known || !key.(*ecdsa.PrivateKey).PublicKey.Equal(leaf.PublicKey) {
			t.Errorf("%s: the file holds something else", form)
		}
	}
	if e := h.Events(a.ID, "certificate.servermade"); len(e) != 2 {
		t.Errorf("%d events", len(e))
	}
}

func TestEveryPageInBothLanguages(t *testing.T) {
	h := open(t, network)
	h.Apply(rules + "server_made = true\n")
	h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	c := h.certificate(b, "laptop")
	pages := []string{home, home + "/log", home + "/new", home + "/" + c.ID, home + "/" + c.ID + "/revoke", "/help/certificates"}
	for _, system := range []string{"windows", "macos", "ios", "android", "linux", "chrome", "firefox", "thunderbird"} {
		pages = append(pages, "/help/certificates/"+system)
	}
	for _, tag := range []string{"ja", "en"} {
		for _, page := range pages {
			b.Get(page + "?lang=" + tag)
			ok(t, b, page)
			if n := len(b.Page().All("h1")); n != 1 {
				t.Errorf("%s has %d h1", page, n)
			}
			b.Refuse("<no value>", "certificates.")
		}
	}
	b.Get("/help/certificates/amiga")
	ok(t, b, "/help/certificates/linux")
}

func TestNobodyEntersWithoutSigningIn(t *testing.T) {
	h := open(t)
	h.Person("s1234567")
	for _, page := range []string{home, home + "/new", home + "/cert_x", home + "/cert_x/revoke", home + "/cert_x/renew", home + "/cert_x/file/pem"} {
		if b := h.At(logintest.Campus).Get(page); !strings.Contains(b.Location(), "/login/") {
			t.Errorf("GET %s: %s", page, b.Location())
		}
	}
	for _, form := range []string{home + "/new", home + "/order", home + "/cert_x/revoke", home + "/cert_x/renew"} {
		if b := h.At(logintest.Campus).Post(form, nil); !strings.Contains(b.Location(), "/login/") {
			t.Errorf("POST %s: %s", form, b.Location())
		}
		b := h.signIn("s1234567", logintest.Campus, home)
		if b.ForeignPost("https://evil.example", form, nil); b.Status != http.StatusForbidden {
			t.Errorf("POST %s from another site: %d", form, b.Status)
		}
	}
}

func TestTheLogShowsEveryCertificateOfThePerson(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	c := h.certificate(b, "laptop")
	b.Get(home+"/log").Want("数秒で記録に入ります", "Person s1234567 - laptop")
	b.Get(home + "/" + c.ID + "/proof").WantStatus(http.StatusNotFound)
	h.Must(h.ca.Sequence(t.Context()))
	b.Get(home+"/log").Want("すべての証明が正しいことを確かめました", c.Tail(), "0番。証明を確かめました")
	var p ca.LogProof
	if b.Get(home + "/" + c.ID + "/proof"); json.Unmarshal([]byte(b.Body), &p) != nil || p.Check(nil) != nil || !bytes.Equal(p.Certificate, c.DER) {
		t.Error("the proof does not hold")
	}
	// What is changed behind the log's back is told.
	h.Write(func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE ca_certificate SET issued_at = issued_at + 1000 WHERE id = $1", c.ID)
		return err
	})
	b.Get(home + "/log").Want("正しくない証明が1件あります")
	h.second(a, "d1234567")
	other := h.At(logintest.Campus).Get(home + "/log")
	h.Prove(other, "d1234567")
	other.Want(c.Tail(), "s1234567").Refuse("証明をダウンロードする")
	h.Person("s7654321")
	h.signIn("s7654321", logintest.Campus, home+"/log").Refuse(c.Tail())
}

func TestOneRequestSentManyTimesAtOnceIsOneCertificate(t *testing.T) {
	h := open(t)
	a := h.Person("s1234567")
	b := h.signIn("s1234567", logintest.Campus, home+"/new")
	_, text := request(t)
	var all sync.WaitGroup
	for range 5 {
		tab := b.Tab()
		all.Go(func() { tab.Post(home+"/order", url.Values{"request": {text}, "label": {"laptop"}}) })
	}
	all.Wait()
	if n := len(h.of(a.ID)); n != 1 {
		t.Errorf("one request made %d certificates", n)
	}
	if m := h.order(b, "request", text, "label", "laptop"); m.ID != h.of(a.ID)[0].ID {
		t.Errorf("asked again: %+v", m)
	}
}
