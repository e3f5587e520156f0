package rp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// maxDocument bounds a document of parties, in bytes.
const maxDocument = 16 << 20

// ReadDocument reads one party or a list of parties from JSON. Unknown
// members, a party named twice and anything after the document are refused; the
// error tells the place.
func ReadDocument(r io.Reader) ([]Party, error) {
	text, err := readAll(r)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	var raw []json.RawMessage
	if t := bytes.TrimLeft(text, " \t\r\n"); len(t) > 0 && t[0] == '[' {
		err = json.Unmarshal(text, &raw)
	} else {
		var one json.RawMessage
		err = json.Unmarshal(text, &one)
		raw = []json.RawMessage{one}
	}
	if err != nil {
		return nil, placed(text, err)
	}
	out := make([]Party, 0, len(raw))
	seen := map[string]bool{}
	for i, one := range raw {
		d := json.NewDecoder(bytes.NewReader(one))
		d.DisallowUnknownFields()
		var p Party
		if err := d.Decode(&p); err != nil {
			return nil, fmt.Errorf("party number %d: %w", i+1, err)
		}
		if seen[p.ID] {
			return nil, fmt.Errorf("party number %d: %q stands in the document twice", i+1, p.ID)
		}
		seen[p.ID] = true
		out = append(out, p)
	}
	return out, nil
}

func readAll(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		err = fmt.Errorf("the document is larger than %d bytes", maxDocument)
	}
	return text, err
}

// foreign reads a document in which a service describes itself in the words of its
// protocol; ok is false when no protocol knows it. An address is where it came from.
func (b *Book) foreign(text []byte, address string, now time.Time) (list []Party, notes []string, ok bool, err error) {
	for _, c := range b.checks {
		if c.Import == nil {
			continue
		}
		if list, notes, ok, err = c.Import(text, now); !ok {
			continue
		}
		for i := range list {
			if err == nil && address != "" && c.From != nil {
				err = c.From(&list[i], address)
			}
		}
		return list, notes, ok, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff"))), []byte("<")) {
		return nil, nil, true, errors.New("this is neither JSON nor the metadata of a service (EntityDescriptor of SAML 2.0)")
	}
	return nil, nil, false, nil
}

// placed adds the line to a syntax error.
func placed(text []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n")) + 1
		return fmt.Errorf("line %d: %w", line, err)
	}
	return err
}
