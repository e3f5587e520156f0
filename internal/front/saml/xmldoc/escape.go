package xmldoc

// EscapeText appends text as Canonical XML 1.0, 2.3 writes it between tags.
func EscapeText[T string | []byte](out []byte, text T) []byte { return escape(out, text, false) }

// EscapeValue appends text as Canonical XML 1.0, 2.3 writes it as the value of an
// attribute.
func EscapeValue[T string | []byte](out []byte, text T) []byte { return escape(out, text, true) }

func escape[T string | []byte](out []byte, text T, value bool) []byte {
	from := 0
	for i := range len(text) {
		var esc string
		switch c := text[i]; {
		case c > '>': // most text ends here
			continue
		case c == '&':
			esc = "&amp;"
		case c == '<':
			esc = "&lt;"
		case c == '\r':
			esc = "&#xD;"
		case !value && c == '>':
			esc = "&gt;"
		case value && c == '"':
			esc = "&quot;"
		case value && c == '\t':
			esc = "&#x9;"
		case value && c == '\n':
			esc = "&#xA;"
		default:
			continue
		}
		out = append(append(out, text[from:i]...), esc...)
		from = i + 1
	}
	return append(out, text[from:]...)
}
