package certificates

import (
	"net/http"
	"slices"
	"strconv"

	"seimon/internal/lang"
	"seimon/internal/web"
)

// guidePage is how to install a certificate on one system, with the way to all others.
type guidePage struct {
	System  string
	Seen    bool // it is the system that the reader uses
	Steps   []string
	Note    string
	Wifi    []string
	Form    string
	Systems []string
	Network string
	Profile string // the file that joins this system to the wireless network, without a key
}

func (d *Desk) guides(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/help/certificates/"+systemOf(r.UserAgent()), http.StatusSeeOther)
	return nil
}

func (d *Desk) guide(w http.ResponseWriter, r *http.Request) error {
	system := r.PathValue("system")
	if !slices.Contains(systems(), system) {
		return d.guides(w, r)
	}
	p := web.Lang(r)
	id := "certificates.guide." + system
	page := &guidePage{
		System: system, Seen: system == systemOf(r.UserAgent()), Steps: numbered(p, id), Form: formFor(system),
		Systems: systems(), Network: d.Wifi.SSID,
	}
	if p.Has(id + ".note") {
		page.Note = p.T(id + ".note")
	}
	if d.Wifi.SSID != "" {
		page.Wifi = numbered(p, id+".wifi", "ssid", d.Wifi.SSID, "realm", d.Wifi.Realm, "servers", d.Wifi.serverList(p), "outer", d.Wifi.outer())
		page.Profile = profileFor(system)
	}
	return d.Site.Render(w, r, web.View{
		Template: "certificates.guide", Title: "certificates.guide.title", TitleFacts: []any{"system", p.T(id)}, Data: page,
	})
}

// profileFor is the file with the settings of the network that a system takes.
func profileFor(system string) string {
	switch system {
	case "macos", "ios":
		return "eduroam.mobileconfig"
	case "windows", "android", "linux":
		return "eduroam.eap-config"
	}
	return ""
}

// numbered gives the sentences ID.1, ID.2 and so on.
func numbered(p lang.Printer, id string, facts ...any) []string {
	var out []string
	for n := 1; p.Has(id + "." + strconv.Itoa(n)); n++ {
		out = append(out, p.T(id+"."+strconv.Itoa(n), facts...))
	}
	return out
}
