package diagnosis

import (
	"embed"
	"slices"

	"seimon/internal/authn"
)

//go:embed words
var words embed.FS

// audience is who may be told a cause.
type audience int

const (
	anyone     audience = iota // says nothing about an account
	before                     // nothing was proved: the words are the same whether the account exists or not
	afterOld                   // a recorded previous password was typed: the hall raises it only then
	afterProof                 // the password, or an equal factor, was right
	operators                  // desk, owner of the service, administrators
)

// cause is one row of the catalogue.
type cause struct {
	code    authn.Code
	see     audience
	facts   []fact
	actions []string // names of ways
}

// fact is a value that the sentences of a code may use, and how it is shown.
type fact struct {
	name string
	form form
}

// way is a page that advice may link to.
type way struct {
	name, path string
}

const (
	internalCode authn.Code = "internal" // no fault: something in the house broke
	hiddenCode   authn.Code = "hidden"   // a cause that this person may not be told
)

func (c cause) may(ctx Context) bool {
	switch c.see {
	case afterProof:
		return ctx.Proved || ctx.Operator
	case operators:
		return ctx.Operator
	}
	return true
}

// find gives the row of a code, of its family, or of a failure inside the house.
func find(code authn.Code) cause {
	all := everything()
	for _, want := range []authn.Code{code, code.Family(), internalCode} {
		for _, c := range all {
			if c.code == want {
				return c
			}
		}
	}
	return cause{code: internalCode}
}

// everything is the whole catalogue.
func everything() []cause { return slices.Concat(catalogue(), certificates(), requests()) }

func ways() []way {
	return []way{
		{"reset", "/reset"},
		{"activate", "/activate"},
		{"factors", "/portal/factors"},
		{"lost", "/help/lost-phone"},
		{"zone", "/help/zone"},
		{"relay", "/help/relay"},
		{"clock", "/help/clock"},
		{"register", "/help/register"},
		{"username", "/help/username"},
		{"saved", "/help/saved-password"},
		{"mail", "/help/mail"},
		{"cookies", "/help/cookies"},
		{"signout", "/signout"},
		{"certificates", "/portal/certificates"},
		{"import", "/help/certificates"},
		{"certificate", "/help/certificate"},
		{"card", "/help/card"},
		{"locked", "/card/locked"},
		{"number", "/card/number"},
		{"mycard", "/portal/cards"},
		{"services", "/portal"},
		{"contact", "/help/contact"},
	}
}
