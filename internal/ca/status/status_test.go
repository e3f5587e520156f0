package status_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"seimon/internal/authn"
	"seimon/internal/ca"
	"seimon/internal/ca/status"
	"seimon/internal/keyring"
	"seimon/internal/keyring/keyringtest"
	"seimon/internal/store"
	"seimon/internal/store/storetest"
)

const base = "http://pki.example.ac.jp"

// house is an authority with a publisher beside it.
type house struct {
	t      testing.TB
	db     *store.DB
	clock  *storetest.Clock
	ring   *keyring.Ring
	ca     *ca.Authority
	status *status.Status
	issuer ca.Issuer
}

func open(t testing.TB) *house {
	t.Helper()
	db, clock := storetest.Open(t, ca.Schema(), keyring.Schema(), status.Schema())
	h := &house{t: t, db: db, clock: clock}
	var err error
	h.ring = keyringtest.Open(t, db, bytes.Repeat([]byte("k"), 32))
	hook := func(tx *store.Tx, c ca.Certificate) error { return h.status.Changed(tx, c) }
	h.ca, err = ca.Open(t.Context(), db, ca.Config{
		Seal: h.ring, MAC: h.ring.MAC, Base: base, Realm: "example.ac.jp", Shards: 4, OnIssue: hook, OnRevoke: hook, OnOrphan: hook,
		OnIssuer: func(tx *store.Tx, i ca.Issuer) error { return h.status.IssuerChanged(tx, i) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if h.issuer, err = h.ca.Found(t.Context(), ca.Plan{Organization: "Example University", Country: "JP"}); err != nil {
		t.Fatal(err)
	}
	h.read(func(tx *store.Tx) (err error) {
		h.issuer, err = h.ca.Issuer(tx, h.issuer.ID)
		return err
	})
	h.status = status.New(db, h.ca, status.Config{Seal: h.ring})
	return h
}

func (h *house) read(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.db.Read(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) write(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.db.Write(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func testKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (h *house) issue() ca.Certificate {
	h.t.Helper()
	key := testKey(h.t)
	name := strings.ToLower(rand.Text())
	p, err := h.ca.Prepare(h.t.Context(), ca.Order{Profile: ca.PersonDevice, Key: key.Public(), Label: "laptop", Holder: ca.Holder{
		Account: authn.AccountID("acc_" + name), Person: authn.PersonID("per_" + name), Name: "Kokuritsu Taro", Mail: name + "@example.ac.jp", UPN: name + "@example.ac.jp",
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := h.ca.Issue(h.t.Context(), p)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *house) revoke(c ca.Certificate, why ca.Reason) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		_, err := h.ca.Revoke(tx, c.ID, why, "test")
		return err
	})
}

// publish runs the two jobs once.
func (h *house) publish() {
	h.t.Helper()
	if err := h.status.Publish(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	if err := h.status.Refresh(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.status.Handler().ServeHTTP(w, r)
	return w
}

func (h *house) get(path string) *httptest.ResponseRecorder {
	return h.do(httptest.NewRequest(http.MethodGet, "http://pki.example.ac.jp"+path, nil))
}

// list fetches and checks a list.
func (h *house) list(path string) *x509.RevocationList {
	h.t.Helper()
	w := h.get(path)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/pkix-crl" {
		h.t.Fatalf("%s: %d %v", path, w.Code, w.Header())
	}
	l, err := x509.ParseRevocationList(w.Body.Bytes())
	if err != nil {
		h.t.Fatal(err)
	}
	signer := h.issuer.Certificate
	if strings.Contains(path, h.issuer.RootID) {
		signer = h.issuer.Root
	}
	if err := l.CheckSignatureFrom(signer); err != nil {
		h.t.Fatal(err)
	}
	return l
}

func pathOf(address string) string { return strings.TrimPrefix(address, base) }

func TestEveryListIsPublishedEvenEmpty(t *testing.T) {
	h := open(t)
	h.publish()
	c := h.issue()
	point := c.Parsed().CRLDistributionPoints[0]
	paths := map[string]int{pathOf(point): 7, "/crl/" + h.issuer.ID + "/full.crl": 7, pathOf(h.issuer.Certificate.CRLDistributionPoints[0]): 180}
	for path, days := range paths {
		if l := h.list(path); len(l.RevokedCertificateEntries) != 0 || l.Number == nil || l.NextUpdate.Sub(l.ThisUpdate) != time.Duration(days)*24*time.Hour {
			t.Errorf("%s: %d entries, number %v", path, len(l.RevokedCertificateEntries), l.Number)
		}
	}
	for shard := 1; shard <= 4; shard++ {
		h.list("/crl/" + h.issuer.ID + "/" + string(rune('0'+shard)) + ".crl")
	}
	if w := h.get("/crl/" + h.issuer.ID + "/0.crl"); w.Code != http.StatusNotFound {
		t.Errorf("there is no shard 0: %d", w.Code)
	}
}

// issuingPoint is IssuingDistributionPoint (RFC 5280 5.2.5).
type issuingPoint struct {
	Point struct {
		Full []asn1.RawValue `asn1:"optional,tag:0"`
	} `asn1:"optional,tag:0"`
	OnlyUser bool `asn1:"optional,tag:1"`
	OnlyCA   bool `asn1:"optional,tag:2"`
}

func TestTheIssuingPointIsCriticalAndTheOneInTheCertificate(t *testing.T) {
	h := open(t)
	h.publish()
	for _, point := range []string{h.issue().Parsed().CRLDistributionPoints[0], h.issuer.Certificate.CRLDistributionPoints[0]} {
		l := h.list(pathOf(point))
		i := slices.IndexFunc(l.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 28}) })
		if i < 0 || !l.Extensions[i].Critical {
			t.Fatalf("%s: no critical issuing point", point)
		}
		var p issuingPoint
		if _, err := asn1.Unmarshal(l.Extensions[i].Value, &p); err != nil {
			t.Fatal(err)
		}
		root := strings.Contains(point, h.issuer.RootID)
		if string(p.Point.Full[0].Bytes) != point || p.OnlyCA != root || p.OnlyUser == root {
			t.Errorf("%+v for %s", p, point)
		}
	}
	for _, e := range h.list("/crl/" + h.issuer.ID + "/full.crl").Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 28}) {
			t.Error("the full list has a scope")
		}
	}
}

func TestARevocationIsInItsShardAndInTheFullListAndNowhereElse(t *testing.T) {
	h := open(t)
	h.publish()
	c, other := h.issue(), h.issue()
	for other.Shard == c.Shard {
		other = h.issue()
	}
	own, elsewhere, all := pathOf(c.Parsed().CRLDistributionPoints[0]), pathOf(other.Parsed().CRLDistributionPoints[0]), "/crl/"+h.issuer.ID+"/full.crl"
	before := map[string]*big.Int{own: h.list(own).Number, all: h.list(all).Number, elsewhere: h.list(elsewhere).Number}
	h.clock.Add(time.Minute)
	h.revoke(c, ca.KeyCompromise)
	h.publish()
	for _, path := range []string{own, all} {
		l := h.list(path)
		if l.Number.Cmp(before[path]) <= 0 {
			t.Errorf("%s: number %v after %v", path, l.Number, before[path])
		}
		if len(l.RevokedCertificateEntries) != 1 || ca.SerialText(l.RevokedCertificateEntries[0].SerialNumber) != c.Serial ||
			l.RevokedCertificateEntries[0].ReasonCode != 1 || !l.RevokedCertificateEntries[0].RevocationTime.Equal(h.clock.Now()) {
			t.Errorf("%s: %+v", path, l.RevokedCertificateEntries)
		}
	}
	if l := h.list(elsewhere); l.Number.Cmp(before[elsewhere]) != 0 || len(l.RevokedCertificateEntries) != 0 {
		t.Errorf("a list without changes was signed anew: %v", l.Number)
	}
	h.write(func(tx *store.Tx) error {
		lists, err := h.status.Lists(tx)
		for _, l := range lists {
			if l.Waiting != 0 {
				t.Errorf("%+v", l)
			}
		}
		return err
	})
}

func TestALargeListIsNotSignedForEveryChange(t *testing.T) {
	h := open(t)
	h.fill(t, 10_100)
	h.publish()
	all := "/crl/" + h.issuer.ID + "/full.crl"
	before := h.list(all).Number
	c := h.issue()
	h.revoke(c, ca.KeyCompromise)
	h.clock.Add(time.Second)
	h.publish()
	if l := h.list(all); l.Number.Cmp(before) != 0 {
		t.Error("the full list was signed a second after the one before")
	}
	if l := h.list(pathOf(c.Parsed().CRLDistributionPoints[0])); len(l.RevokedCertificateEntries) < 2000 || l.Number.Cmp(before) <= 0 {
		t.Error("the shard waits as well")
	}
	h.clock.Add(10 * time.Second)
	h.publish()
	if l := h.list(all); len(l.RevokedCertificateEntries) != 10_101 {
		t.Errorf("%d entries", len(l.RevokedCertificateEntries))
	}
}

func TestAHoldGoesOnTheListsAndOffAgain(t *testing.T) {
	h := open(t)
	h.publish()
	c := h.issue()
	path := pathOf(c.Parsed().CRLDistributionPoints[0])
	h.revoke(c, ca.Hold)
	h.publish()
	if l := h.list(path); len(l.RevokedCertificateEntries) != 1 || l.RevokedCertificateEntries[0].ReasonCode != 6 {
		t.Fatalf("%+v", l.RevokedCertificateEntries)
	}
	if r := h.ask(c, nil); r.Status != ocsp.Revoked || r.RevocationReason != ocsp.CertificateHold {
		t.Fatalf("%+v", r)
	}
	h.clock.Add(time.Hour)
	h.write(func(tx *store.Tx) error {
		_, err := h.ca.Restore(tx, c.ID, "test")
		return err
	})
	h.publish()
	if l := h.list(path); len(l.RevokedCertificateEntries) != 0 {
		t.Errorf("%+v", l.RevokedCertificateEntries)
	}
	if r := h.ask(c, nil); r.Status != ocsp.Good {
		t.Errorf("%+v", r)
	}
}

// A serial whose signature somebody may hold is on the next list, not on the next but
// some.
func TestAMendedOrphanIsListedAtOnce(t *testing.T) {
	h := open(t)
	p, err := h.ca.Prepare(t.Context(), ca.Order{Profile: ca.PersonDevice, Key: testKey(t).Public(), Label: "laptop", Holder: ca.Holder{
		Account: "acc_1", Person: "per_1", Name: "Kokuritsu Taro",
	}})
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Add(2 * time.Hour)
	h.publish()
	if c := p.Certificate(); len(h.list("/crl/"+c.Issuer+"/full.crl").RevokedCertificateEntries) != 0 {
		t.Error("an intent is on the list")
	}
	mended, err := h.ca.MendOrphans(t.Context(), ca.OrphanAge, "test")
	if err != nil || len(mended) != 1 {
		t.Fatal(mended, err)
	}
	h.publish()
	for _, shard := range []string{"full", strconv.Itoa(mended[0].Shard)} {
		l := h.list("/crl/" + mended[0].Issuer + "/" + shard + ".crl")
		if len(l.RevokedCertificateEntries) != 1 || ca.SerialText(l.RevokedCertificateEntries[0].SerialNumber) != mended[0].Serial {
			t.Errorf("list %s: %+v", shard, l.RevokedCertificateEntries)
		}
	}
}

func TestListsAreSignedAnewLongBeforeTheyEnd(t *testing.T) {
	h := open(t)
	h.publish()
	path := "/crl/" + h.issuer.ID + "/full.crl"
	last := h.list(path)
	for range 20 {
		h.clock.Add(30 * time.Hour)
		h.publish()
		l := h.list(path)
		if l.Number.Cmp(last.Number) <= 0 || l.NextUpdate.Sub(h.clock.Now()) < 6*24*time.Hour {
			t.Fatalf("number %v after %v, next update %s at %s", l.Number, last.Number, l.NextUpdate, h.clock.Now())
		}
		last = l
	}
	// A clock that is set back: the list is signed anew, with a higher number.
	h.clock.Add(-100 * time.Hour)
	h.publish()
	if l := h.list(path); l.Number.Cmp(last.Number) <= 0 || l.ThisUpdate.After(h.clock.Now()) {
		t.Errorf("number %v after %v, from %s at %s", l.Number, last.Number, l.ThisUpdate, h.clock.Now())
	}
}

func TestExpiredCertificatesLeaveTheListsLater(t *testing.T) {
	h := open(t)
	c := h.issue()
	h.revoke(c, ca.Superseded)
	path := pathOf(c.Parsed().CRLDistributionPoints[0])
	h.clock.Add(c.NotAfter.Sub(h.clock.Now()) + time.Hour)
	h.publish()
	if l := h.list(path); len(l.RevokedCertificateEntries) != 1 {
		t.Error("the entry was gone before a list appeared after the certificate's end (RFC 5280 3.3)")
	}
	h.clock.Add(30 * 24 * time.Hour)
	h.publish()
	if l := h.list(path); len(l.RevokedCertificateEntries) != 0 {
		t.Error("the entry stays for ever")
	}
}

func TestCertificatesOfIssuersAreThere(t *testing.T) {
	h := open(t)
	h.publish()
	for address, want := range map[string]*x509.Certificate{
		h.issue().Parsed().IssuingCertificateURL[0]: h.issuer.Certificate, h.issuer.Certificate.IssuingCertificateURL[0]: h.issuer.Root,
	} {
		w := h.get(pathOf(address))
		if !bytes.Equal(w.Body.Bytes(), want.Raw) || w.Header().Get("Content-Type") != "application/pkix-cert" {
			t.Errorf("%s: %d %v", address, w.Code, w.Header())
		}
	}
	block, rest := pem.Decode(h.get("/ca/" + h.issuer.ID + ".pem").Body.Bytes())
	root, _ := pem.Decode(rest)
	if !bytes.Equal(block.Bytes, h.issuer.Certificate.Raw) || !bytes.Equal(root.Bytes, h.issuer.Root.Raw) {
		t.Error("the chain in PEM")
	}
	if l, _ := pem.Decode(h.get("/crl/" + h.issuer.ID + "/full.pem").Body.Bytes()); l == nil || l.Type != "X509 CRL" {
		t.Error("the full list in PEM")
	}
}

// ask asks for a certificate by POST and checks the answer as x/crypto/ocsp does.
func (h *house) ask(c ca.Certificate, hash *crypto.Hash) *ocsp.Response {
	h.t.Helper()
	cert := c.Parsed()
	o := &ocsp.RequestOptions{Hash: crypto.SHA1}
	if hash != nil {
		o.Hash = *hash
	}
	q, err := ocsp.CreateRequest(cert, h.issuer.Certificate, o)
	if err != nil {
		h.t.Fatal(err)
	}
	w := h.post("/ocsp/"+h.issuer.ID, q)
	r, err := ocsp.ParseResponseForCert(w.Body.Bytes(), cert, h.issuer.Certificate)
	if err != nil {
		h.t.Fatal(err)
	}
	if r.Certificate == nil {
		h.t.Fatal("the signer's certificate is not embedded")
	}
	return r
}

func (h *house) post(path string, q []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://pki.example.ac.jp"+path, bytes.NewReader(q))
	r.Header.Set("Content-Type", "application/ocsp-request")
	return h.do(r)
}

func TestOCSPTellsGoodRevokedAndUnknown(t *testing.T) {
	h := open(t)
	h.publish()
	c := h.issue()
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if r := h.ask(c, &hash); r.Status != ocsp.Good || !r.ThisUpdate.Equal(h.clock.Now()) || r.NextUpdate.Sub(r.ThisUpdate) != time.Hour {
			t.Errorf("%v: %+v", hash, r)
		}
	}
	// Answered from memory a moment ago, and at once right on the node that revokes.
	h.revoke(c, ca.CessationOfOperation)
	if r := h.ask(c, nil); r.Status != ocsp.Revoked || r.RevocationReason != ocsp.CessationOfOperation || !r.RevokedAt.Equal(h.clock.Now()) {
		t.Errorf("%+v", r)
	}
	never := h.issue()
	key := testKey(t)
	template := never.Parsed()
	template.SerialNumber = big.NewInt(4711)
	signer, err := h.ca.Sign(t.Context(), h.issuer.ID)
	if err != nil {
		t.Fatal(err)
	}
	if never.DER, err = x509.CreateCertificate(rand.Reader, template, h.issuer.Certificate, key.Public(), signer); err != nil {
		t.Fatal(err)
	}
	if r := h.ask(never, nil); r.Status != ocsp.Unknown {
		t.Errorf("never issued: %+v", r)
	}
}

func TestAnotherNodeAnswersRightWithinASecond(t *testing.T) {
	h := open(t)
	h.publish()
	c := h.issue()
	far := *h
	far.status = status.New(h.db, h.ca, status.Config{Seal: h.ring})
	if r := far.ask(c, nil); r.Status != ocsp.Good {
		t.Fatalf("%+v", r)
	}
	h.revoke(c, ca.KeyCompromise)
	h.clock.Add(time.Second)
	if r := far.ask(c, nil); r.Status != ocsp.Revoked {
		t.Errorf("%+v", r)
	}
}

func TestTheResponderMayBeAskedWithoutBeingChecked(t *testing.T) {
	h := open(t)
	h.publish()
	r := h.ask(h.issue(), nil)
	s := r.Certificate
	nocheck := slices.ContainsFunc(s.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "1.3.6.1.5.5.7.48.1.5" })
	if !nocheck || !slices.Equal(s.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}) || s.IsCA || s.CheckSignatureFrom(h.issuer.Certificate) != nil {
		t.Errorf("%+v", s)
	}
	// Well before its end a job makes the next one, and the answers follow.
	h.clock.Add(20 * 24 * time.Hour)
	h.publish()
	if next := h.ask(h.issue(), nil).Certificate; next.SerialNumber.Cmp(s.SerialNumber) == 0 {
		t.Error("the responder was not renewed")
	}
	// Meanwhile the publisher stood still for two months: tell to try later.
	h.clock.Add(60 * 24 * time.Hour)
	if err := h.status.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	q, err := ocsp.CreateRequest(h.issue().Parsed(), h.issuer.Certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w := h.post("/ocsp/"+h.issuer.ID, q); !bytes.Equal(w.Body.Bytes(), ocsp.TryLaterErrorResponse) {
		t.Errorf("%x", w.Body.Bytes())
	}
}

// withNonce adds a nonce to a request that has none.
func withNonce(t testing.TB, q []byte, value []byte) []byte {
	t.Helper()
	var outer struct{ TBS asn1.RawValue }
	if _, err := asn1.Unmarshal(q, &outer); err != nil {
		t.Fatal(err)
	}
	list, err := asn1.Marshal([]pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}, Value: value}})
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := asn1.Marshal(asn1.RawValue{Class: 2, Tag: 2, IsCompound: true, Bytes: list})
	if err != nil {
		t.Fatal(err)
	}
	tbs, err := asn1.Marshal(asn1.RawValue{Tag: 16, IsCompound: true, Bytes: append(slices.Clone(outer.TBS.Bytes), wrapped...)})
	if err != nil {
		t.Fatal(err)
	}
	out, err := asn1.Marshal(asn1.RawValue{Tag: 16, IsCompound: true, Bytes: tbs})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func octets(t testing.TB, n int) []byte {
	t.Helper()
	out, err := asn1.Marshal(bytes.Repeat([]byte{0xab}, n))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestNonces(t *testing.T) {
	h := open(t)
	h.publish()
	cert := h.issue().Parsed()
	q, err := ocsp.CreateRequest(cert, h.issuer.Certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 16, 32, 128} { // RFC 9654 2.1
		w := h.post("/ocsp/"+h.issuer.ID, withNonce(t, q, octets(t, n)))
		if _, err := ocsp.ParseResponseForCert(w.Body.Bytes(), cert, h.issuer.Certificate); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if !bytes.Contains(w.Body.Bytes(), octets(t, n)) || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("the nonce of %d bytes is not echoed: %v", n, w.Header())
		}
	}
	for name, value := range map[string][]byte{"none": octets(t, 0), "129 bytes": octets(t, 129), "bare": bytes.Repeat([]byte{1}, 16)} {
		if w := h.post("/ocsp/"+h.issuer.ID, withNonce(t, q, value)); !bytes.Equal(w.Body.Bytes(), ocsp.MalformedRequestErrorResponse) {
			t.Errorf("nonce %s: %x", name, w.Body.Bytes())
		}
	}
	if one, two := h.post("/ocsp/"+h.issuer.ID, q), h.post("/ocsp/"+h.issuer.ID, q); !bytes.Equal(one.Body.Bytes(), two.Body.Bytes()) {
		t.Error("without a nonce the answer is signed each time")
	}
}

func TestGetIsCachedAndEveryWayOfWritingItIsRead(t *testing.T) {
	h := open(t)
	h.publish()
	var cert *x509.Certificate
	var text string
	for !strings.Contains(text, "/") || !strings.Contains(text, "+") { // the letters that need care
		cert = h.issue().Parsed()
		q, err := ocsp.CreateRequest(cert, h.issuer.Certificate, nil)
		if err != nil {
			t.Fatal(err)
		}
		text = base64.StdEncoding.EncodeToString(q)
	}
	for name, path := range map[string]string{
		"escaped": "/ocsp/" + h.issuer.ID + "/" + url.QueryEscape(text), "only slashes": "/ocsp/" + h.issuer.ID + "/" + strings.ReplaceAll(text, "/", "%2F"),
		"bare": "/ocsp/" + h.issuer.ID + "/" + text, "no padding": "/ocsp/" + h.issuer.ID + "/" + strings.TrimRight(text, "="), "common address": "/ocsp/" + url.QueryEscape(text),
		"common address, bare": "/ocsp/" + text,
	} {
		w := h.get(path)
		if r, err := ocsp.ParseResponseForCert(w.Body.Bytes(), cert, h.issuer.Certificate); err != nil || r.Status != ocsp.Good {
			t.Errorf("%s: %d %v", name, w.Code, err)
		}
	}
	w := h.get("/ocsp/" + h.issuer.ID + "/" + url.QueryEscape(text))
	for name, want := range map[string]string{ // RFC 5019 6.2
		"Content-Type": "application/ocsp-response", "Cache-Control": "max-age=60, public, no-transform, must-revalidate",
		"Last-Modified": h.clock.Now().UTC().Format(http.TimeFormat), "Expires": h.clock.Now().Add(time.Hour).UTC().Format(http.TimeFormat),
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, base+"/ocsp/"+h.issuer.ID+"/"+url.QueryEscape(text), nil)
	r.Header.Set("If-None-Match", w.Header().Get("ETag"))
	if w := h.do(r); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("%d", w.Code)
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	h := open(t)
	h.publish()
	other := open(t)
	q, err := ocsp.CreateRequest(other.issue().Parsed(), other.issuer.Certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w := h.post("/ocsp/"+h.issuer.ID, q); !bytes.Equal(w.Body.Bytes(), ocsp.UnauthorizedErrorResponse) {
		t.Errorf("another house's certificate: %x", w.Body.Bytes())
	}
	for name, raw := range map[string][]byte{"empty": nil, "rubbish": []byte("rubbish"), "an empty sequence": {0x30, 0}, "trailing": append(slices.Clone(q), 0)} {
		if w := h.post("/ocsp/"+h.issuer.ID, raw); !bytes.Equal(w.Body.Bytes(), ocsp.MalformedRequestErrorResponse) {
			t.Errorf("%s: %x", name, w.Body.Bytes())
		}
	}
	for want, r := range map[int]*http.Request{
		http.StatusRequestEntityTooLarge: with(httptest.NewRequest(http.MethodPost, base+"/ocsp/"+h.issuer.ID, strings.NewReader(strings.Repeat("x", 10_000))), "application/ocsp-request"),
		http.StatusUnsupportedMediaType:  with(httptest.NewRequest(http.MethodPost, base+"/ocsp/"+h.issuer.ID, bytes.NewReader(q)), "text/plain"),
		http.StatusMethodNotAllowed:      httptest.NewRequest(http.MethodPut, base+"/ocsp/"+h.issuer.ID, bytes.NewReader(q)),
		http.StatusNotFound:              with(httptest.NewRequest(http.MethodPost, base+"/ocsp/iss_nobody", bytes.NewReader(q)), "application/ocsp-request"),
	} {
		if w := h.do(r); w.Code != want {
			t.Errorf("%s %s: %d, not %d", r.Method, r.URL, w.Code, want)
		}
	}
	if w := h.do(httptest.NewRequest(http.MethodPost, base+"/crl/"+h.issuer.ID+"/full.crl", nil)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST to a list: %d", w.Code)
	}
	for _, path := range []string{"/", "/crl/", "/crl/../ca", "/ca/x.cer", "/crl/" + h.issuer.ID + "/01.crl", "/crl/" + h.issuer.ID + "/9.crl", "/crl/" + h.issuer.ID + "/full"} {
		if w := h.get(path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func with(r *http.Request, kind string) *http.Request {
	r.Header.Set("Content-Type", kind)
	return r
}

func TestOneServerWithLimits(t *testing.T) {
	h := open(t)
	h.publish()
	s := httptest.NewUnstartedServer(nil)
	s.Config = h.status.Server()
	s.Start()
	defer s.Close()
	answer, err := s.Client().Get(s.URL + "/crl/" + h.issuer.ID + "/full.crl")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || len(body) == 0 || answer.Header.Get("ETag") == "" {
		t.Error(err, answer.Header)
	}
	if s.Config.ReadHeaderTimeout == 0 || s.Config.ReadTimeout == 0 || s.Config.WriteTimeout == 0 || s.Config.MaxHeaderBytes == 0 {
		t.Error("a limit is missing")
	}
}
