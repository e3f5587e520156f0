package certificates

import (
	"seimon/internal/desk"
	"seimon/internal/lang"
	"seimon/internal/store"
)

// mailChanged says which address a certificate carries and which it should, and since
// when, if that is known.
func (i item) mailChanged(p lang.Printer) string {
	if i.MailSince.IsZero() {
		return p.T("certificates.mailchanged", "label", i.Label, "old", i.Mail, "new", i.NewMail)
	}
	return p.T("certificates.mailchanged.since", "label", i.Label, "old", i.Mail, "new", i.NewMail, "day", p.Day(i.MailSince))
}

// Todo tells what needs attention about a person's certificates: one that ends soon,
// one with a former address, one of another account.
func (d *Desk) Todo(tx *store.Tx, v desk.Visit) ([]desk.Todo, error) {
	p := v.P()
	own, err := d.items(tx, v.Account, v.Person)
	if err != nil {
		return nil, err
	}
	var out []desk.Todo
	for _, i := range own {
		renew := home + "/" + i.ID + "/renew"
		switch {
		case i.Renew == "mail":
			out = append(out, desk.Todo{
				Tone: "warn", Text: i.mailChanged(p),
				Label: p.T("certificates.mailchanged.do", "label", i.Label), Path: renew,
			})
		case i.Stand == "soon" && i.Renew != "":
			out = append(out, desk.Todo{
				Tone: "warn", Text: p.T("certificates.todo.soon", "label", i.Label, "day", p.Day(i.NotAfter)),
				Label: p.T("certificates.renew", "label", i.Label), Path: renew,
			})
		}
	}
	others, err := d.others(tx, v, own)
	for _, i := range others {
		out = append(out, desk.Todo{
			Tone: "info", Text: p.T("certificates.other", "label", i.Label, "user", i.Foreign),
			Label: p.T("certificates.other.do", "label", i.Label), Path: home + "/" + i.ID + "/renew",
		})
	}
	return out, err
}
