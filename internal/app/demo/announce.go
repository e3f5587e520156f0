package demo

import (
	"fmt"
	"io"
	"text/tabwriter"

	"seimon/internal/app/demo/campus"
	"seimon/internal/lang"
)

// Announcement is what "--json" prints when the demo is ready.
type Announcement struct {
	SSO      string    `json:"sso"`
	CAFile   string    `json:"ca_file"`
	Mailbox  string    `json:"mailbox"`
	Home     string    `json:"home"`
	Config   string    `json:"config"`
	People   []Citizen `json:"people"`
	Services []Offered `json:"services"`
	Networks []Place   `json:"networks"`
	Cards    []Held    `json:"cards,omitempty"`
	CertHost string    `json:"cert_host"` // where certificates are shown; * is a name for each time
	// SAMLMetadata is where the gate's signed SAML metadata is.
	SAMLMetadata string `json:"saml_metadata"`

	IssuerCAFile string `json:"issuer_ca_file"` // the issuer of people's certificates and its root
	OCSP         string `json:"ocsp"`
	CRL          string `json:"crl"` // the full list
}

// Citizen is one account with its secrets.
type Citizen struct {
	User           string `json:"user"`
	Password       string `json:"password"`
	TOTPSecret     string `json:"totp_secret,omitempty"`
	Kind           string `json:"kind"`
	Name           string `json:"name"`
	NameLatin      string `json:"name_latin"`
	Trouble        string `json:"trouble,omitempty"`
	FormerPassword string `json:"former_password,omitempty"`
	OldTOTPSecret  string `json:"old_totp_secret,omitempty"`
	ActivationCode string `json:"activation_code,omitempty"`
	// Certificates are those that the person has from the start.
	Certificates []Owned `json:"certificates,omitempty"`
}

// Offered is one service and its registration.
type Offered struct {
	Name         string `json:"name"`
	Protocol     string `json:"protocol"`
	URL          string `json:"url"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
	RedirectURI  string `json:"redirect_uri"`
}

// Place is one network and how to stand in it.
type Place struct {
	Name string `json:"name"`
	How  string `json:"how"`
}

// Announcement tells everything that a program needs to walk the demo.
func (t *Town) Announcement() Announcement {
	out := Announcement{
		SSO: t.origin(ssoHost), CAFile: t.ca.file, Mailbox: t.origin(demoHost) + "/mailbox",
		Home: t.origin(demoHost) + "/", Config: t.path("seimon.toml"), CertHost: t.certPattern(),
		IssuerCAFile: t.path(issuerFile), OCSP: "http://" + t.statusAddress() + "/ocsp/" + t.issuer, CRL: "http://" + t.statusAddress() + "/crl/" + t.issuer + "/full.crl",
	}
	for _, p := range campus.People() {
		out.People = append(out.People, Citizen{
			User: p.User, Password: p.Password, TOTPSecret: p.Secret, Kind: p.Kind, Name: p.Family + " " + p.Given,
			NameLatin: p.GivenLatin + " " + p.FamilyLatin, Trouble: string(p.Trouble), FormerPassword: p.Former,
			OldTOTPSecret: p.OldSecret, ActivationCode: t.letters[p.User], Certificates: t.carries(p.User),
		})
	}
	for _, c := range t.cards {
		out.Cards = append(out.Cards, c.held())
	}
	for _, s := range t.services {
		o := Offered{
			Name: s.id, Protocol: "oidc", URL: s.Origin + "/", ClientID: s.ClientID, ClientSecret: s.ClientSecret, RedirectURI: s.RedirectURI(),
		}
		if s.saml {
			o.Protocol, o.RedirectURI = "saml", s.ConsumerURL()
		}
		if s.cas {
			o.Protocol, o.RedirectURI = "cas", s.EntryURL()
		}
		out.Services = append(out.Services, o)
	}
	out.SAMLMetadata = t.house.SAMLMetadata()
	for _, n := range networks() {
		out.Networks = append(out.Networks, Place{n.name, fmt.Sprintf("open %s%s%s in the browser, or send the header %s: %s to %s",
			t.origin(ssoHost), networkPath, n.name, networkHeader, n.name, t.origin(ssoHost))})
	}
	return out
}

// print tells a visitor where to go.
func (t *Town) print(w io.Writer, kept bool) error {
	p := t.words.In(lang.EN)
	fmt.Fprintf(w, `
  Seimon: a small university is open.

    Start here      %s/
    The gate        %s/portal
    Every mail      %s/mailbox

  Your browser does not know the demo's certificate authority. Go on past its
  warning, or trust %s
  (it can vouch for nothing but names below localhost).

`, t.origin(demoHost), t.origin(ssoHost), t.origin(demoHost), t.ca.file)
	table := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintln(table, "    USER\tPASSWORD\tONE-TIME CODE\tWHO")
	for _, c := range campus.People()[:12] {
		code := "none"
		if c.Secret != "" {
			code = "on the people page"
		}
		who := c.Family + " " + c.Given
		if c.Trouble != campus.None {
			who += ", " + p.T("demo.trouble."+string(c.Trouble))
		}
		fmt.Fprintf(table, "    %s\t%s\t%s\t%s\n", c.User, c.Password, code, who)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for i, c := range t.cards {
		where := "in the virtual reader"
		if i > 0 {
			where = "outside; put it in on the people page"
		}
		fmt.Fprintf(w, "\n  IC card %s of %s: PIN %s, %s", c.Label, c.User, c.card.PIN(), where)
	}
	if len(t.cards) > 0 {
		fmt.Fprint(w, "\n  A browser sees it with the module opensc-pkcs11.so (docs/cards.md).\n")
	}
	end := "Ctrl-C ends the demo and removes its data."
	if kept {
		end = "Ctrl-C ends the demo; its data stays in " + t.dir
	}
	end = "Other commands work beside it: seimon --config " + t.path("seimon.toml") + " user list\n\n  " + end
	_, err := fmt.Fprintf(w, "\n  Everybody: %s/people\n\n  %s\n\n", t.origin(demoHost), end)
	return err
}
