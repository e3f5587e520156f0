package certdoor

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"seimon/internal/web"
)

// Systems are those for which policies are written, each in its own form.
func Systems() []string { return []string{"windows", "macos", "linux"} }

// Managed are the policies with which browsers on managed computers of one system show
// the university's certificates without asking: registry files for Windows, property
// lists for macOS, JSON for Linux.
type Managed struct {
	System  string
	Systems []string
	Chrome  string // Chrome; on Linux Chromium as well
	Edge    string
	Firefox string
}

// Policies fills the policies in for these names and the issuers of now.
func (d *Door) Policies(ctx context.Context, system string) (Managed, error) {
	if !slices.Contains(Systems(), system) {
		return Managed{}, fmt.Errorf("there are no policies for the system %q", system)
	}
	m := Managed{System: system, Systems: Systems()}
	rules, err := d.rules(ctx)
	if err != nil {
		return m, err
	}
	module := policyEntry{"SecurityDevices", policyMap{{"Add", policyMap{{"OpenSC", openSC(system)}}}}}
	roots := policyEntry{"Certificates", policyMap{{"ImportEnterpriseRoots", true}}}
	choose := policyEntry{"AutoSelectCertificateForUrls", rules}
	switch system {
	case "windows":
		m.Chrome = registry(`Google\Chrome`, policyMap{choose, {"PromptOnMultipleMatchingCertificates", true}})
		m.Edge = registry(`Microsoft\Edge`, policyMap{choose})
		m.Firefox = registry(`Mozilla\Firefox`, policyMap{module, roots})
	case "macos":
		m.Chrome = propertyList(policyMap{choose, {"PromptOnMultipleMatchingCertificates", true}})
		m.Edge = propertyList(policyMap{choose})
		m.Firefox = propertyList(policyMap{{"EnterprisePoliciesEnabled", true}, module, roots})
	default:
		m.Chrome = indented(policyMap{choose, {"PromptOnMultipleMatchingCertificates", true}})
		m.Edge = indented(policyMap{choose})
		m.Firefox = indented(policyMap{{"policies", policyMap{module, roots}}})
	}
	return m, nil
}

// openSC is where OpenSC's own packages lay its PKCS#11 module; on Linux, Debian's.
func openSC(system string) string {
	switch system {
	case "windows":
		return `C:\Program Files\OpenSC Project\OpenSC\pkcs11\opensc-pkcs11.dll`
	case "macos":
		return "/Library/OpenSC/lib/opensc-pkcs11.so"
	}
	return "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"
}

// rules say which host is shown which issuer's certificate: JSON within the policy.
func (d *Door) rules(ctx context.Context) ([]string, error) {
	issuers, err := d.Issuers(ctx)
	if err != nil {
		return nil, err
	}
	var rules []string
	for _, pattern := range d.Names.Patterns() {
		for _, cn := range issuers {
			type name struct {
				CN string
			}
			rule, err := json.Marshal(struct {
				Pattern string          `json:"pattern"`
				Filter  map[string]name `json:"filter"`
			}{pattern, map[string]name{"ISSUER": {cn}}})
			if err != nil {
				return nil, err
			}
			rules = append(rules, string(rule))
		}
	}
	return rules, nil
}

// policyMap is a policy in the order in which it is written; a value is a bool, a
// string, strings or another map.
type policyMap []policyEntry

type policyEntry struct {
	name  string
	value any
}

// indented writes JSON.
func indented(m policyMap) string {
	var take func(policyMap) map[string]any
	take = func(m policyMap) map[string]any {
		out := map[string]any{}
		for _, e := range m {
			out[e.name] = e.value
			if inner, ok := e.value.(policyMap); ok {
				out[e.name] = take(inner)
			}
		}
		return out
	}
	text, err := json.MarshalIndent(take(m), "", "  ")
	if err != nil {
		panic(err) // texts, bools and maps of them
	}
	return string(text)
}

// registry writes a file for regedit: lists and maps are keys of their own, and the
// values of a list are numbered from 1.
func registry(product string, m policyMap) string {
	var out strings.Builder
	out.WriteString("Windows Registry Editor Version 5.00\r\n")
	var key func(path string, m policyMap)
	key = func(path string, m policyMap) {
		var inner policyMap
		var own strings.Builder
		for _, e := range m {
			switch v := e.value.(type) {
			case bool:
				fmt.Fprintf(&own, "%s=dword:%08x\r\n", quoted(e.name), map[bool]int{true: 1}[v])
			case string:
				fmt.Fprintf(&own, "%s=%s\r\n", quoted(e.name), quoted(v))
			case []string:
				numbered := policyMap{}
				for i, one := range v {
					numbered = append(numbered, policyEntry{fmt.Sprint(i + 1), one})
				}
				inner = append(inner, policyEntry{e.name, numbered})
			case policyMap:
				inner = append(inner, e)
			}
		}
		if own.Len() > 0 {
			fmt.Fprintf(&out, "\r\n[%s]\r\n%s", path, own.String())
		}
		for _, e := range inner {
			key(path+`\`+e.name, e.value.(policyMap))
		}
	}
	key(`HKEY_LOCAL_MACHINE\SOFTWARE\Policies\`+product, m)
	return out.String()
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// propertyList writes a property list of Apple's.
func propertyList(m policyMap) string {
	var out strings.Builder
	out.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
`)
	element := func(indent, name, text string) {
		out.WriteString(indent + "<" + name + ">")
		xml.EscapeText(&out, []byte(text)) //nolint:errcheck // a builder takes everything
		out.WriteString("</" + name + ">\n")
	}
	var dict func(indent string, m policyMap)
	dict = func(indent string, m policyMap) {
		out.WriteString(indent + "<dict>\n")
		for _, e := range m {
			element(indent+"  ", "key", e.name)
			switch v := e.value.(type) {
			case bool:
				fmt.Fprintf(&out, "%s  <%t/>\n", indent, v)
			case string:
				element(indent+"  ", "string", v)
			case []string:
				out.WriteString(indent + "  <array>\n")
				for _, one := range v {
					element(indent+"    ", "string", one)
				}
				out.WriteString(indent + "  </array>\n")
			case policyMap:
				dict(indent+"  ", v)
			}
		}
		out.WriteString(indent + "</dict>\n")
	}
	dict("", m)
	out.WriteString("</plist>\n")
	return out.String()
}

// managed is the page for those who look after computers.
func (d *Door) managed(w http.ResponseWriter, r *http.Request) error {
	system := r.URL.Query().Get("system")
	if !slices.Contains(Systems(), system) {
		system = systemOf(r.UserAgent())
	}
	p, err := d.Policies(r.Context(), system)
	if err != nil {
		return err
	}
	return d.Site.Render(w, r, web.View{Template: "certdoor.managed", Title: "certdoor.managed.title", Data: p})
}

// systemOf guesses the system from what a browser says of itself.
func systemOf(agent string) string {
	switch {
	case strings.Contains(agent, "Macintosh"):
		return "macos"
	case strings.Contains(agent, "Linux"), strings.Contains(agent, "X11"):
		return "linux"
	}
	return "windows"
}
