// Package welcome is the desk for people who are not signed in: the first page,
// activation by letter, a new password when the old one is forgotten, help, how the
// gate sees a request, and the inquiry that carries the case along.
//
// It owns the links of forgotten passwords (hashed, used once) and the pages below
// /activate, /reset and /help. Nothing here tells whether an account exists: what
// is typed at /reset is only put down, and a job does the looking. A new password
// opens no session and touches no second step.
//
// It does not judge passwords (factor), sign anybody in (login), or hold the
// letters (directory); the texts of most help pages belong to diagnosis. A person's
// own pages are in desk/portal.
package welcome
