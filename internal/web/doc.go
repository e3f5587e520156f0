// Package web is the frame around every page: how a request comes in and how an
// answer leaves.
//
// It owns the router, request ids, limits, security headers, the rules for
// cookies, the client's address behind declared proxies, the choice of language,
// the page frame with its stylesheet and scripts, the one page for trouble, and
// the access log. It does not own any page of its own beyond that: pages belong to
// login and the desks, endpoints to the fronts. What a failure means and what to do
// about it is the work of diagnosis; what an address means is the work of policy.
//
// Three kinds of route exist. A Page is for people: language, cross-origin
// protection, pages for errors. A Door is a Page that other sites may post to. A
// Machine answers programs.
//
// # Templates
//
// Rooms hand in templates with Site.Templates; each is {{define "room.name"}}. The
// frame writes the title as the page's only h1, then the template. Functions:
//
//	t "id" "Name" value …   a sentence
//	text "id" .Facts        a sentence with the facts of a fault
//	has "id"                whether a sentence exists
//	day, moment, clock      a date, a date with time, a time
//	span                    a time.Duration in words
//	lang                    the language of the page
//	url "/path"             an absolute address
//	asset "name"            the address of an embedded file
//	part "room.name" .Data  another template, its name known only at run time
//	dict "Key" value …      a map to hand to another template
//
// Shared pieces, to be called with dict (see templates/pieces.html): web.field,
// web.password, web.code, web.notice, web.copy, web.button.
//
// # Looks
//
// Plain HTML is already right. Classes of the stylesheet:
//
//	field, hint, error, wrong, check     a field with its texts; a box to tick
//	primary, quiet, danger               on button and a.button; one primary to a page
//	actions, leave, quiet-links          rows of buttons and links
//	choices                              ul or fieldset of links, buttons or labels with a radio, as cards
//	notice + info, warn, error, good     a box with an optional h2
//	badge + info, warn, error, good      a small mark
//	cards, items                         ul of things; ul of attributes (name, badge, values)
//	life                                 on progress: how much of a credential's life is over
//	timeline                             ol; li may be good, warn or error and begins with time
//	table                                a div around table, so that it scrolls alone
//	facts                                on dl
//	steps                                ol; li may be done, the present one has aria-current="step"
//	qr, groups                           svg or figure around one; a key or code in readable parts
//	prose, small, soft, sr, paper, no-paper
//
// # Script
//
// Script only helps; every page works without it. A page asks by attributes:
//
//	input data-code="6"       sends the form when the digits are complete
//	input data-clock          (hidden) gets the device's time in Unix milliseconds at the moment of sending
//	input data-watch          Caps Lock and full-width hints; password and user name fields have them anyway
//	input data-hint="username" also hints when a mail address is typed
//	form data-auto            is sent at once, as a page that only passes something on
//	button data-copy="ID" hidden, button data-print hidden
//
// Every form that posts is guarded against double clicks.
package web
