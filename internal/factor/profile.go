package factor

import "seimon/internal/directory"

// ProfileOf is what a factor may know of a person and one account.
func ProfileOf(a directory.Account, person directory.Person) Profile {
	n := person.Name
	p := Profile{
		Names: []string{n.Family, n.Given, n.FamilyKana, n.GivenKana, n.FamilyLatin, n.GivenLatin},
		Kind:  a.Kind,
	}
	for _, x := range []Address{
		{Use: string(directory.UseNotify), Address: person.Notify, Verified: person.NotifyVerified},
		{Use: string(directory.UseMail), Address: person.Mail, Verified: person.MailVerified},
		{Use: string(directory.UseRecovery), Address: person.Recovery, Verified: person.RecoveryVerified},
	} {
		if x.Address != "" {
			p.Addresses = append(p.Addresses, x)
		}
	}
	return p
}
