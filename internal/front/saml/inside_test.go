package saml_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/front/saml/metadata"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/session"
)

// TestAStrangersServiceMakesUsCallNothingInside: a service of a federation writes its own
// addresses, and the gate calls the one for sign-outs itself. It must not be sent to the
// machines behind the university's wall. What the university registered may lie there.
func TestAStrangersServiceMakesUsCallNothingInside(t *testing.T) {
	called := 0
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called++ }))
	defer inside.Close()
	f := federate(t)
	f.front.Client = &http.Client{Timeout: 5 * time.Second} // as in a gate that serves
	d := xmldoc.NewWriter(xmldoc.Spaces{"md": metadata.MD, "ds": xmlsig.Space})
	d.Start("md:EntitiesDescriptor", "ID", "_feed", "validUntil", f.Clock.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))
	at := d.Len()
	d.Start("md:EntityDescriptor", "entityID", member).Start("md:SPSSODescriptor", "protocolSupportEnumeration", metadata.SAMLP)
	d.Start("md:KeyDescriptor").Start("ds:KeyInfo").Start("ds:X509Data").Leaf("ds:X509Certificate", f.sp.text()).End().End().End()
	d.Leaf("md:SingleLogoutService", "", "Binding", metadata.SOAP, "Location", strings.Replace(inside.URL, "127.0.0.1", "localhost", 1)+"/admin?do=it")
	d.Leaf("md:AssertionConsumerService", "", "Binding", metadata.POST, "Location", consumer(member), "index", "1")
	var err error
	if f.text, err = xmlsig.Sign(d.End().End().End().Bytes(), "_feed", at, xmlsig.Key{Signer: f.signer.key}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.feeds.Refresh(t.Context(), "gakunin", feed.Options{}); err != nil {
		t.Fatal(err)
	}
	detail, err := json.Marshal(map[string]any{"name": map[string]string{"Format": metadata.Transient, "Value": "_1"}})
	if err != nil {
		t.Fatal(err)
	}
	visit := session.Visit{ID: "visit_1", Session: "s_1", Account: f.hanak.ID, Party: member, Front: saml.Name, Detail: detail}
	if err := f.front.SignOut(t.Context(), visit); err == nil || called != 0 {
		t.Errorf("called %d times, %v", called, err)
	}
	if e := f.events("saml.logout.failed"); len(e) != 1 || !strings.Contains(e[0].Facts["error"], "no public address") {
		t.Errorf("on record: %+v", e)
	}
	visit.Party = "https://own.example.ac.jp/sp"
	f.service(visit.Party, func(r *saml.Registration) {
		r.Logout = []metadata.Endpoint{{Binding: metadata.SOAP, Location: inside.URL + "/soap"}}
	})
	if err := f.front.SignOut(t.Context(), visit); called != 1 {
		t.Errorf("a registered service was called %d times: %v", called, err)
	}
}
