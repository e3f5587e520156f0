package shibboleth

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"seimon/internal/front/saml"
)

// Stored is one row of the table shibpid: the name by which a service knows somebody.
type Stored struct {
	Service   string // peerEntity
	Name      string // persistentId
	Principal string // principalName
	Source    string // localId: the value that the name was computed from
	Ended     bool   // it was deactivated
}

// maxStored bounds a dump, in rows.
const maxStored = 5_000_000

// ReadStored reads a dump of the table: CSV with a line of column names, or the
// INSERT statements of mysqldump or pg_dump.
func ReadStored(in io.Reader) ([]Stored, error) {
	r := bufio.NewReaderSize(in, 1<<20)
	head, err := r.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if first, _, _ := strings.Cut(string(head), "\n"); strings.Contains(first, "peerEntity") && !strings.Contains(strings.ToUpper(first), "INSERT") {
		return readCSV(r)
	}
	return readSQL(r)
}

func readCSV(r io.Reader) ([]Stored, error) {
	c := csv.NewReader(r)
	names, err := c.Read()
	if err != nil {
		return nil, err
	}
	var out []Stored
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		s, err := storedRow(names, row)
		if err != nil {
			return nil, err
		}
		if out = append(out, s); len(out) > maxStored {
			return nil, fmt.Errorf("more than %d rows", maxStored)
		}
	}
}

// columns of the table in the order of Shibboleth's own definition.
func columns() []string {
	return []string{"localEntity", "peerEntity", "persistentId", "principalName", "localId", "peerProvidedId", "creationDate", "deactivationDate"}
}

func storedRow(names, row []string) (Stored, error) {
	get := func(name string) string {
		i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(strings.Trim(n, "` \"\ufeff"), name) })
		if i < 0 || i >= len(row) || row[i] == "NULL" || row[i] == `\N` {
			return ""
		}
		return row[i]
	}
	s := Stored{get("peerEntity"), get("persistentId"), get("principalName"), get("localId"), get("deactivationDate") != ""}
	if s.Service == "" || s.Name == "" {
		return Stored{}, errors.New("a row without peerEntity or persistentId")
	}
	if len(s.Name) > 256 || len(s.Service) > 1024 { // SAML Core 2.0, 8.3.7
		return Stored{}, errors.New("a row with a name longer than 256 characters")
	}
	return s, nil
}

var insert = regexp.MustCompile("(?is)^\\s*INSERT\\s+INTO\\s+[`\"]?(?:\\w+[`\"]?\\.[`\"]?)?shibpid[`\"]?\\s*(\\([^)]*\\))?\\s*VALUES\\s*")

// readSQL reads the rows of INSERT statements; everything else is passed over.
func readSQL(r *bufio.Reader) ([]Stored, error) {
	var out []Stored
	for {
		statement, err := readStatement(r)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if m := insert.FindStringSubmatchIndex(statement); m != nil {
			names := columns()
			if m[2] >= 0 {
				names = strings.Split(strings.Trim(statement[m[2]:m[3]], "()"), ",")
			}
			rows, err := sqlRows(statement[m[1]:])
			if err != nil {
				return nil, err
			}
			for _, row := range rows {
				s, err := storedRow(names, row)
				if err != nil {
					return nil, err
				}
				out = append(out, s)
			}
		}
		if errors.Is(err, io.EOF) {
			if len(out) == 0 {
				return nil, errors.New("there is neither a line of column names (CSV) nor an INSERT INTO shibpid")
			}
			return out, nil
		}
		if len(out) > maxStored {
			return nil, fmt.Errorf("more than %d rows", maxStored)
		}
	}
}

// readStatement reads up to a semicolon that is in no text.
func readStatement(r *bufio.Reader) (string, error) {
	var out strings.Builder
	quoted, escaped := false, false
	for {
		b, err := r.ReadByte()
		if err != nil {
			return out.String(), err
		}
		switch {
		case escaped:
			escaped = false
		case quoted && b == '\\':
			escaped = true
		case b == '\'':
			quoted = !quoted
		case b == ';' && !quoted:
			return strings.TrimSpace(stripComments(out.String())), nil
		}
		out.WriteByte(b)
		if out.Len() > 64<<20 {
			return "", errors.New("a statement is longer than 64 MiB")
		}
	}
}

// stripComments drops the lines of comments before a statement.
func stripComments(text string) string {
	for {
		text = strings.TrimLeft(text, " \t\r\n")
		if !strings.HasPrefix(text, "--") {
			return text
		}
		_, text, _ = strings.Cut(text, "\n")
	}
}

// sqlRows reads (v, v, ...), (v, ...) ...
func sqlRows(text string) ([][]string, error) {
	var rows [][]string
	var row []string
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '(':
			row = []string{}
			i++
		case c == ')':
			rows = append(rows, row)
			row = nil
			i++
		case c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t':
			i++
		case c == '\'':
			v, n, err := sqlText(text[i:])
			if err != nil {
				return nil, err
			}
			row = append(row, v)
			i += n
		case row == nil: // ON CONFLICT and the like
			return rows, nil
		default:
			n := strings.IndexAny(text[i:], ",)")
			if n < 0 {
				return nil, errors.New("a row does not end")
			}
			row = append(row, strings.TrimSpace(text[i:i+n]))
			i += n
		}
	}
	return rows, nil
}

// sqlText reads a quoted text and tells how long it is.
func sqlText(text string) (string, int, error) {
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			out.WriteByte(text[i])
		case text[i] == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
			out.WriteByte('\'')
		case text[i] == '\'':
			return out.String(), i + 1, nil
		default:
			out.WriteByte(text[i])
		}
	}
	return "", 0, errors.New("a text does not end")
}

// Proof says how many of the names that services know come out again.
type Proof struct {
	Known     int      `json:"known"`     // names in force in the dump
	Equal     int      `json:"equal"`     // computed anew, they are the same
	Different []string `json:"different"` // examples of those that are not; the stored name stays in force
	Ended     int      `json:"ended"`     // deactivated, not carried
}

// Prove computes the known names anew. source gives the value for a principal when
// the dump does not tell it.
func Prove(c saml.Computed, list []Stored, source func(principal string) string) Proof {
	p := Proof{Different: []string{}}
	for _, s := range list {
		if s.Ended {
			p.Ended++
			continue
		}
		p.Known++
		value := s.Source
		if value == "" {
			value = source(s.Principal)
		}
		if name, err := c.Of(s.Service, value); err == nil && value != "" && name == s.Name {
			p.Equal++
		} else if len(p.Different) < 10 {
			p.Different = append(p.Different, s.Principal+" at "+s.Service)
		}
	}
	return p
}

func readDir(files fs.FS, name string) ([]string, error) {
	list, err := fs.ReadDir(files, name)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out, nil
}
