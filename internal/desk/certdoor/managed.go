package certdoor

import (
	"context"
	"encoding/json"
	"net/http"

	"seimon/internal/web"
)

// Managed are the policies with which browsers on managed computers show the
// university's certificates without asking.
type Managed struct {
	Chrome  string // managed policy of Chrome and Chromium, JSON
	Edge    string // of Edge, JSON
	Firefox string // policies.json of Firefox
}

// Policies fills the policies in for these names and the issuers of now.
func (d *Door) Policies(ctx context.Context) (Managed, error) {
	issuers, err := d.Issuers(ctx)
	if err != nil {
		return Managed{}, err
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
				return Managed{}, err
			}
			rules = append(rules, string(rule))
		}
	}
	chrome, err := indented(map[string]any{"AutoSelectCertificateForUrls": rules, "PromptOnMultipleMatchingCertificates": true})
	if err != nil {
		return Managed{}, err
	}
	edge, err := indented(map[string]any{"AutoSelectCertificateForUrls": rules})
	if err != nil {
		return Managed{}, err
	}
	firefox, err := indented(map[string]any{"policies": map[string]any{
		"SecurityDevices": map[string]any{"Add": map[string]string{"OpenSC": "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"}},
		"Certificates":    map[string]any{"ImportEnterpriseRoots": true},
		"Preferences": map[string]any{
			"security.osclientcerts.autoload": map[string]any{"Value": true, "Status": "default"},
		},
	}})
	return Managed{Chrome: chrome, Edge: edge, Firefox: firefox}, err
}

func indented(v any) (string, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return string(text), err
}

// managed is the page for those who look after computers.
func (d *Door) managed(w http.ResponseWriter, r *http.Request) error {
	p, err := d.Policies(r.Context())
	if err != nil {
		return err
	}
	return d.Site.Render(w, r, web.View{Template: "certdoor.managed", Title: "certdoor.managed.title", Data: p})
}
