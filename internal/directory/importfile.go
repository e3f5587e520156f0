package directory

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
)

// importLine is one line of an import file: the values by column.
type importLine struct {
	number int
	cells  map[string]string
}

// importColumns are the columns this room understands.
func importColumns() []string {
	return []string{
		"user_name", "person_number", "kind", "state", "state_why", "family", "given", "family_kana", "given_kana",
		"family_latin", "given_latin", "mail", "mail_verified", "notify", "notify_verified", "recovery", "recovery_verified",
		"lang", "groups", "affiliations", "valid_from", "valid_until",
	}
}

// attributePrefix marks columns that hold an attribute, values separated by "|".
const attributePrefix = "attribute:"

// readImport calls each for every line. The first line names the columns. An
// error says why the file as a whole cannot be read.
func readImport(r io.Reader, encoding string, extra []Column, each func(importLine) error) error {
	if encoding == "cp932" {
		r = japanese.ShiftJIS.NewDecoder().Reader(r)
	}
	buffered := bufio.NewReaderSize(r, 1<<16)
	if mark, _ := buffered.Peek(3); string(mark) == "\xef\xbb\xbf" {
		buffered.Discard(3) //nolint:errcheck // these bytes were just seen
	}
	in := csv.NewReader(buffered)
	in.ReuseRecord = true
	in.FieldsPerRecord = -1
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty: its first line must name the columns")
	}
	if err != nil {
		return err
	}
	head = slices.Clone(head)
	if err := checkHead(head, extra); err != nil {
		return err
	}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		number, _ := in.FieldPos(0)
		line := importLine{number: number, cells: make(map[string]string, len(head))}
		if len(record) != len(head) {
			line.cells = nil
		}
		for i := range min(len(head), len(record)) {
			if !utf8.ValidString(record[i]) {
				return fmt.Errorf("line %d: the file is not UTF-8 (a file saved by Excel may need --encoding cp932)", number)
			}
			if line.cells != nil {
				line.cells[head[i]] = strings.TrimSpace(record[i])
			}
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

func checkHead(head []string, extra []Column) error {
	known := importColumns()
	for _, c := range extra {
		known = append(known, c.Name)
	}
	seen := map[string]bool{}
	for i, name := range head {
		name = strings.TrimSpace(name)
		head[i] = name
		attribute, isAttribute := strings.CutPrefix(name, attributePrefix)
		switch {
		case seen[name]:
			return fmt.Errorf("line 1: the column %q is there twice", name)
		case isAttribute && attribute == "" || !isAttribute && !slices.Contains(known, name):
			return fmt.Errorf("line 1: the column %q is unknown; known are %s and %sNAME", name, strings.Join(known, ", "), attributePrefix)
		}
		seen[name] = true
	}
	if !seen["user_name"] {
		return errors.New("line 1: the column user_name is missing")
	}
	return nil
}

// fill sets what the line names; an empty cell leaves what is there.
func (l importLine) fill(e *Entry, zone *time.Location, now time.Time) error {
	if l.cells == nil {
		return errors.New("the line has another number of cells than the first line")
	}
	f, before := Fields{}, e.Person
	for _, x := range []struct {
		column string
		to     **string
	}{
		{"family", &f.Family}, {"given", &f.Given}, {"family_kana", &f.FamilyKana}, {"given_kana", &f.GivenKana},
		{"family_latin", &f.FamilyLatin}, {"given_latin", &f.GivenLatin}, {"person_number", &f.Number}, {"lang", &f.Lang},
		{"mail", &f.Mail}, {"notify", &f.Notify}, {"recovery", &f.Recovery}, {"kind", &f.Kind},
		{"valid_from", &f.ValidFrom}, {"valid_until", &f.ValidUntil},
	} {
		if v := l.cells[x.column]; v != "" {
			*x.to = &v
		}
	}
	if v := l.cells["groups"]; v != "" {
		f.Groups = strings.Fields(v)
	}
	if v := l.cells["affiliations"]; v != "" {
		f.Affiliations = strings.Fields(v)
	}
	for column, v := range l.cells {
		if name, ok := strings.CutPrefix(column, attributePrefix); ok && v != "" {
			for value := range strings.SplitSeq(v, "|") {
				f.Attribute = append(f.Attribute, name+"="+value)
			}
		}
	}
	if err := f.apply(&e.Account, &e.Person, zone); err != nil {
		return err
	}
	e.Account.UserName = l.cells["user_name"]
	if v := l.cells["state"]; v != "" {
		e.Account.State = State(v)
	}
	if v := l.cells["state_why"]; v != "" {
		e.Account.StateWhy = v
	}
	return l.fillVerified(before, &e.Person, now)
}

// fillVerified marks addresses as verified where the line says so, and as not
// verified where the line brings another address.
func (l importLine) fillVerified(before Person, p *Person, now time.Time) error {
	for _, x := range []struct {
		column string
		same   bool
		at     *time.Time
	}{
		{"mail_verified", p.Mail == before.Mail, &p.MailVerified},
		{"notify_verified", p.Notify == before.Notify, &p.NotifyVerified},
		{"recovery_verified", p.Recovery == before.Recovery, &p.RecoveryVerified},
	} {
		if !x.same {
			*x.at = time.Time{}
		}
		switch l.cells[x.column] {
		case "", "no":
		case "yes":
			if x.at.IsZero() {
				*x.at = now
			}
		default:
			return fmt.Errorf("%s must be yes or no", x.column)
		}
	}
	return nil
}
