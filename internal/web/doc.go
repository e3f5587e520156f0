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
package web
