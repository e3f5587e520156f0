// Package lang speaks to people in their language: sentences by message id, dates,
// times and spans.
//
// It owns the rules for word files, the check that each language is complete, the
// choice of a language from what a browser or a service asks for, and the
// university's own words laid over ours. It does not own the words: each room
// brings its words/ja.toml and words/en.toml. Choosing the language of one request
// (cookie, link) belongs to web.
//
// A word file is flat TOML. Each id begins with the name of its room; a value is a
// whole sentence with simple placeholders, or a table of plural forms chosen by the
// fact Count:
//
//	"totp.prompt.label" = "Code"
//	"totp.tries" = { one = "You have {{.Count}} try left.", other = "You have {{.Count}} tries left." }
//
// Placeholders are plain names, nothing else is executed, and both languages must
// use the same ones.
package lang
