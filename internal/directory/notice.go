package directory

// NoticeAddress is where notices for a person go: the address for notices, or
// the mail address, whichever was verified. It is empty when none was.
func (p Person) NoticeAddress() string {
	if p.Notify != "" && !p.NotifyVerified.IsZero() {
		return p.Notify
	}
	if !p.MailVerified.IsZero() {
		return p.Mail
	}
	return ""
}
