package policy

import (
	"embed"

	"seimon/internal/lang"
)

//go:embed words
var words embed.FS

//go:embed example/campus.toml
var example []byte

// Words are the sentences of this room: findings, changes, answers of the command.
func Words() lang.Source { return lang.Source{Room: "policy", Files: words} }

// Example is a commented policy for a campus, to begin from.
func Example() []byte { return append([]byte(nil), example...) }
