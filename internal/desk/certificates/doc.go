// Package certificates is the desk for a person's own certificates: which there are,
// a new one for a device, renewal, revocation, and how to install them.
//
// It owns the pages below /portal/certificates and /help/certificates, the limit on
// devices, the profiles for eduroam, the reminders before the end of a certificate and
// the revocation when somebody leaves. The private key is made in the person's browser
// and no route takes one; where the university allows it (policy, [clientcert]
// server_made) the server makes one, hands it over once and forgets it.
//
// It signs nothing and keeps no certificate (ca), publishes nothing (ca/status), does
// not judge one that signs in (factor/clientcert, ca/trust), lets nobody in (login)
// and does not decide from where one may be issued (policy). Its pages stand behind
// the door of desk/portal, which it knows only as a Lobby.
package certificates
