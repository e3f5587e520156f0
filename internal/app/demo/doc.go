// Package demo is a whole small university in one command: the gate on
// sso.localhost, three services that really sign in by OpenID Connect, the people
// with their secrets, a mailbox that shows every mail, and networks to stand in.
//
// It owns the demo's certificate authority, its pages, its services and the
// network switch, which exists nowhere else. It opens the same house as "seimon
// serve" (app) and reaches into it only where a visitor needs to see what a phone
// or a letter would show. The people themselves are in demo/campus.
package demo
