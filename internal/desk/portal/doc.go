// Package portal is a person's own desk: who am I here, what can I sign in with,
// where am I signed in, what happened to my account, and how does the gate see me.
//
// It owns the pages below /portal, the errands between two steps of one change, the
// addresses that wait for their code and the removals that can still be undone. Every
// page and every form passes login.Hall.Enter, so the same decision guards them as
// any service; what changes a credential asks for a fresh proof on top, writes its
// audit event in the same transaction and tells the owner.
//
// It proves nothing (factor), lets nobody in (login), does not decide what may be
// set up from where (policy) and does not hold what it shows (session, rp, audit,
// directory). Pages for people who cannot sign in are in desk/welcome.
package portal
