package certdoor_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"seimon/internal/desk/certdoor"
	"seimon/internal/login/logintest"
	"seimon/internal/web/webtest"
)

const rule = `{"pattern":"https://[*.]cert.sso.example.ac.jp","filter":{"ISSUER":{"CN":"Example University User CA G1"}}}`

func (h *hall) policies(system string) certdoor.Managed {
	h.T.Helper()
	p, err := h.door.Policies(h.T.Context(), system)
	h.must(err)
	return p
}

func TestPoliciesForLinux(t *testing.T) {
	p := open(t, nil).policies("linux")
	for _, text := range []string{p.Chrome, p.Edge} {
		var got struct{ AutoSelectCertificateForUrls []string }
		if err := json.Unmarshal([]byte(text), &got); err != nil || !slices.Equal(got.AutoSelectCertificateForUrls, []string{rule}) {
			t.Errorf("%v: %v", got, err)
		}
	}
	var firefox struct {
		Policies struct {
			SecurityDevices struct{ Add map[string]string }
		}
	}
	if err := json.Unmarshal([]byte(p.Firefox), &firefox); err != nil || firefox.Policies.SecurityDevices.Add["OpenSC"] != "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so" {
		t.Errorf("%+v: %v", firefox, err)
	}
}

func TestPoliciesForWindows(t *testing.T) {
	p := open(t, nil).policies("windows")
	quoted := strings.ReplaceAll(rule, `"`, `\"`)
	for text, want := range map[string][]string{
		p.Chrome: {
			"Windows Registry Editor Version 5.00\r\n", `[HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Google\Chrome]` + "\r\n" + `"PromptOnMultipleMatchingCertificates"=dword:00000001`,
			`[HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Google\Chrome\AutoSelectCertificateForUrls]` + "\r\n" + `"1"="` + quoted + `"`,
		},
		p.Edge: {`[HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Edge\AutoSelectCertificateForUrls]` + "\r\n" + `"1"="` + quoted + `"`},
		p.Firefox: {
			`[HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Mozilla\Firefox\SecurityDevices\Add]` + "\r\n" + `"OpenSC"="C:\\Program Files\\OpenSC Project\\OpenSC\\pkcs11\\opensc-pkcs11.dll"`,
			`[HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Mozilla\Firefox\Certificates]` + "\r\n" + `"ImportEnterpriseRoots"=dword:00000001`,
		},
	} {
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s is missing:\n%s", w, text)
			}
		}
	}
}

// texts are the character data of the elements of a name.
func texts(t *testing.T, list, name string) (out []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(list))
	inside := false
	for {
		token, err := d.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			inside = x.Name.Local == name
		case xml.EndElement:
			inside = false
		case xml.CharData:
			if inside {
				out = append(out, string(x))
			}
		}
	}
}

func TestPoliciesForMacOS(t *testing.T) {
	p := open(t, nil).policies("macos")
	for _, text := range []string{p.Chrome, p.Edge} {
		if got := texts(t, text, "string"); strings.Join(got, "") != rule {
			t.Errorf("%q", got)
		}
	}
	if got := texts(t, p.Firefox, "key"); strings.Join(got, " ") != "EnterprisePoliciesEnabled SecurityDevices Add OpenSC Certificates ImportEnterpriseRoots" {
		t.Errorf("%q", got)
	}
	if got := texts(t, p.Firefox, "string"); strings.Join(got, "") != "/Library/OpenSC/lib/opensc-pkcs11.so" {
		t.Errorf("%q", got)
	}
}

func TestThePageOfManagedComputers(t *testing.T) {
	h := open(t, nil)
	if _, err := h.door.Policies(t.Context(), "beos"); err == nil {
		t.Error("there are policies for a system that nobody manages")
	}
	b := webtest.New(t, logintest.Origin, h.Site.Handler())
	b.Get("/help/managed-computers?system=beos").WantStatus(http.StatusOK).Want("/etc/opt/edge/policies/managed") // the browser's own
	b.Click("macOS").Want("com.google.Chrome", "/Library/OpenSC/lib/opensc-pkcs11.so")
	b.Click("Linux").Want("/etc/opt/chrome/policies/managed", "/usr/lib64/opensc-pkcs11.so")
	b.Click("Windows").Want("Microsoft", "opensc-pkcs11.dll")
	b.Get("/help/managed-computers?lang=en&system=linux").Want("On computers that several people share")
}
