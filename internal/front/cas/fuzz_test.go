package cas

import (
	"encoding/xml"
	"net/url"
	"strings"
	"testing"
)

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"https://wiki.example.org/app/", "https://a@b/", "https://wiki.example.org/app/..;/x", "https://wiki.example.org/app/%2e", "https://[::1]:8/a?b#c"} {
		f.Add(s)
	}
	registered := Address{URL: "https://wiki.example.org/app/", Match: matchPrefix}
	f.Fuzz(func(t *testing.T, text string) {
		if !registered.covers(text) {
			return
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" || u.Host != "wiki.example.org" || u.User != nil || u.Fragment != "" || !strings.HasPrefix(text, registered.URL) {
			t.Fatalf("%q is taken for one below the prefix", text)
		}
		if clean := u.JoinPath().Path; !strings.HasPrefix(clean, "/app/") || strings.Contains(u.Path, "/../") || strings.ContainsAny(text, "\r\n\\ ") {
			t.Fatalf("%q leads out of the prefix to %q", text, clean)
		}
	})
}

func FuzzTicketForm(f *testing.F) {
	f.Add("ST-" + strings.Repeat("A", 52))
	f.Add("PGT-")
	f.Fuzz(func(t *testing.T, text string) {
		if formed(text, kindService) && (len(text) != 55 || strings.ContainsAny(text, " <>&\"'")) {
			t.Fatalf("%q is taken for a ticket", text)
		}
	})
}

func FuzzSAMLRequest(f *testing.F) {
	f.Add([]byte(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><p:Request xmlns:p="urn:oasis:names:tc:SAML:1.0:protocol" RequestID="a"><p:AssertionArtifact>ST-1</p:AssertionArtifact></p:Request></e:Body></e:Envelope>`))
	f.Add([]byte(`<!DOCTYPE a []><a/>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		ticket, id, err := samlRequest(body)
		if err == nil && (ticket == "" || strings.Contains(string(body), "<!DOCTYPE") && !strings.Contains(string(body), "<![CDATA[") && !strings.Contains(string(body), "<!--")) {
			t.Fatalf("%q %q from %q", ticket, id, body)
		}
	})
}

func FuzzEscaping(f *testing.F) {
	f.Add("a", `<b>&"'`)
	f.Add("]]>", "\x00\xff\ufffe")
	f.Fuzz(func(t *testing.T, text, value string) {
		written := el("a", text, el("b", value)).with("c", value).String()
		var read struct {
			Text string `xml:",chardata"`
			C    string `xml:"c,attr"`
			B    string `xml:"b"`
		}
		if err := xml.Unmarshal([]byte(written), &read); err != nil {
			t.Fatalf("%v: %q", err, written)
		}
		if read.B != read.C || strings.Contains(written, "<"+text+">") && text == "script" {
			t.Fatalf("%q", written)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add("hanako")
	f.Add("hanako\nadmin")
	f.Add("\u0085\u2028")
	f.Fuzz(func(t *testing.T, user string) {
		answer := lines(user)
		first, name, _ := strings.Cut(strings.TrimSuffix(answer, "\n"), "\n")
		if first == "yes" && (name != user || strings.ContainsAny(name, "\r\n")) || first != "yes" && answer != "no\n\n" {
			t.Fatalf("%q is told as %q", user, answer)
		}
	})
}
