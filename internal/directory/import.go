package directory

import (
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// ImportCommand is "seimon user import".
type ImportCommand struct {
	File     string `arg:"" help:"CSV file whose first line names the columns, or - for standard input."`
	Preview  bool   `help:"Say what would happen and change nothing."`
	Result   string `placeholder:"FILE" help:"Write what became of each line, with the activation codes, to a new CSV file that only you can read."`
	Update   bool   `help:"Change accounts that exist; without it a line that names one is refused. Empty cells leave what is there."`
	Encoding string `enum:"utf-8,cp932" default:"utf-8" help:"Encoding of the file (${enum})."`
	JSON     bool   `help:"Print JSON."`
}

const (
	// importBatch is how many lines are looked up or added at a time.
	importBatch = 500
	// importBulk is from how many new accounts on the indexes are built last.
	importBulk = 50_000
	// importReasons is how many refused lines are printed; the result file has all.
	importReasons = 20
)

// outcome is what became, or would become, of one line.
type outcome struct {
	line     int
	userName string
	result   string // added, changed, unchanged, refused
	account  authn.AccountID
	code     string
	reason   string
}

// importing is one run of the command.
type importing struct {
	*ImportCommand
	env      Env
	office   Office
	extra    map[string]Column
	outcomes []outcome
	count    map[string]int
	affirmed []string // accounts whose affiliations the file confirms
}

// Run judges the whole file first and then, unless a line is refused or only a
// preview is wanted, writes all of it in one transaction.
func (c *ImportCommand) Run(env Env) error {
	o, err := env.Office()
	if err != nil {
		return err
	}
	run := &importing{ImportCommand: c, env: env, office: o, extra: map[string]Column{}}
	for _, column := range o.Columns {
		run.extra[column.Name] = column
	}
	result := io.WriteCloser(nil)
	if c.Result != "" {
		// Made before anything is changed: the codes must have a place to go.
		if result, err = env.Create(c.Result); err != nil {
			return err
		}
	}
	err = run.judge()
	if err == nil && !c.Preview && run.count["refused"] == 0 {
		err = run.write()
	}
	if result != nil {
		err = errors.Join(err, run.writeResult(result))
	}
	if err != nil {
		return err
	}
	return run.report()
}

// judge reads the file and decides about each line without changing anything.
func (run *importing) judge() error {
	run.outcomes, run.count = nil, map[string]int{}
	seen := map[string]int{}
	return run.office.DB.Read(run.env.Context(), func(tx *store.Tx) error {
		var batch []importLine
		flush := func() error {
			err := run.judgeBatch(tx, batch, seen)
			batch = batch[:0]
			return err
		}
		err := run.lines(func(l importLine) error {
			if batch = append(batch, l); len(batch) == importBatch {
				return flush()
			}
			return nil
		})
		if err != nil {
			return err
		}
		return flush()
	})
}

func (run *importing) lines(each func(importLine) error) error {
	file, err := run.env.Open(run.File)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := readImport(file, run.Encoding, run.office.Columns, each); err != nil {
		return fmt.Errorf("%s: %w", run.File, err)
	}
	return nil
}

func (run *importing) judgeBatch(tx *store.Tx, batch []importLine, seen map[string]int) error {
	exists, err := run.existing(tx, batch)
	if err != nil {
		return err
	}
	former, err := run.former(tx, batch)
	if err != nil {
		return err
	}
	for _, l := range batch {
		out := outcome{line: l.number, userName: l.cells["user_name"]}
		key := Key(out.userName)
		if first, twice := seen[key]; twice {
			out.reason = fmt.Sprintf("the user name is the same as in line %d", first)
		} else if former[key] != "" && !exists[key] {
			out.reason = "the user name was another account's; it is not given again"
		} else if out.result, err = run.judgeLine(tx, l, exists[key]); err != nil {
			out.reason = err.Error()
		}
		if out.reason != "" {
			out.result = "refused"
		}
		if _, twice := seen[key]; !twice {
			seen[key] = l.number
		}
		run.count[out.result]++
		run.outcomes = append(run.outcomes, out)
	}
	return nil
}

// existing tells which of the user names are in use, with one query.
func (run *importing) existing(tx *store.Tx, batch []importLine) (map[string]bool, error) {
	var args []any
	for _, l := range batch {
		args = append(args, []byte(Key(l.cells["user_name"])))
	}
	out := map[string]bool{}
	if len(args) == 0 {
		return out, nil
	}
	rows, err := tx.Query("SELECT user_key FROM directory_account WHERE user_key IN "+places(1, len(args)), args...)
	err = store.Each(rows, err, func(r *sql.Rows) error {
		var key []byte
		err := r.Scan(&key)
		out[string(key)] = true
		return err
	})
	return out, err
}

// former tells which of the user names belonged to an account before.
func (run *importing) former(tx *store.Tx, batch []importLine) (map[string]authn.AccountID, error) {
	var keys []any
	for _, l := range batch {
		keys = append(keys, []byte(Key(l.cells["user_name"])))
	}
	return formerNames(tx, keys)
}

func (run *importing) judgeLine(tx *store.Tx, l importLine, exists bool) (string, error) {
	for name, column := range run.extra {
		if v := l.cells[name]; v != "" {
			if err := column.Check(v); err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if exists && !run.Update {
		return "", errors.New("the user name is in use already (--update changes existing accounts)")
	}
	was, now, err := run.entry(tx, l, exists)
	if err != nil {
		return "", err
	}
	if err := check(&now.Account, &now.Person); err != nil {
		return "", err
	}
	switch {
	case !exists:
		return "added", nil
	case len(differences(was, now)) == 0 && was.Account.State == now.Account.State && !run.hasExtra(l):
		return "unchanged", nil
	}
	return "changed", nil
}

// entry gives what is kept and what the line makes of it.
func (run *importing) entry(tx *store.Tx, l importLine, exists bool) (was, now Entry, err error) {
	if exists {
		if was.Account, was.Person, err = run.office.People.ByUserName(tx, l.cells["user_name"]); err != nil {
			return was, now, err
		}
		now = was
	} else {
		now.Account = Account{Kind: "student", State: Pending, StateBy: run.office.Actor}
	}
	if err = l.fill(&now, run.office.Zone, tx.Now); err != nil {
		return was, now, err
	}
	if number := now.Person.Number; !exists && number != "" {
		id, err := run.office.People.personBy(tx, number)
		if err != nil && !errors.Is(err, ErrNone) {
			return was, now, err
		}
		now.Person.ID = id
	}
	return was, now, nil
}

func (run *importing) hasExtra(l importLine) bool {
	for name := range run.extra {
		if l.cells[name] != "" {
			return true
		}
	}
	return false
}

func (run *importing) writeResult(w io.WriteCloser) error {
	out := csv.NewWriter(w)
	out.Write([]string{"line", "user_name", "result", "account", "activation_code", "reason"}) //nolint:errcheck // see Error below
	for _, o := range run.outcomes {
		out.Write([]string{fmt.Sprint(o.line), o.userName, o.result, string(o.account), o.code, o.reason}) //nolint:errcheck // see Error below
	}
	out.Flush()
	return errors.Join(out.Error(), w.Close())
}

// report prints the sum and the first reasons; refused lines are an error.
func (run *importing) report() error {
	refused := run.count["refused"]
	if run.JSON {
		if err := printJSON(run.env.Out(), run.sum()); err != nil {
			return err
		}
	} else {
		would := map[bool]string{true: " (nothing was changed)", false: ""}[run.Preview || refused > 0]
		fmt.Fprintf(run.env.Out(), "%d lines: %d added, %d changed, %d unchanged, %d refused%s\n",
			len(run.outcomes), run.count["added"], run.count["changed"], run.count["unchanged"], refused, would)
	}
	if refused == 0 {
		return nil
	}
	var reasons strings.Builder
	for n, o := range run.refusals() {
		if n == importReasons {
			fmt.Fprintf(&reasons, "\n  and %d more; --result FILE lists all", refused-n)
			break
		}
		fmt.Fprintf(&reasons, "\n  line %d: %s", o.line, o.reason)
	}
	return fmt.Errorf("%s: %d lines are refused, so nothing was changed:%s", run.File, refused, reasons.String())
}

func (run *importing) refusals() []outcome {
	var out []outcome
	for _, o := range run.outcomes {
		if o.result == "refused" {
			out = append(out, o)
		}
	}
	return out
}

type importJSON struct {
	Lines     int           `json:"lines"`
	Added     int           `json:"added"`
	Changed   int           `json:"changed"`
	Unchanged int           `json:"unchanged"`
	Refused   int           `json:"refused"`
	Written   bool          `json:"written"`
	Reasons   []refusedJSON `json:"reasons,omitempty"`
}

type refusedJSON struct {
	Line     int    `json:"line"`
	UserName string `json:"user"`
	Reason   string `json:"reason"`
}

func (run *importing) sum() importJSON {
	out := importJSON{Lines: len(run.outcomes), Added: run.count["added"], Changed: run.count["changed"],
		Unchanged: run.count["unchanged"], Refused: run.count["refused"]}
	out.Written = !run.Preview && out.Refused == 0
	for _, o := range run.refusals() {
		out.Reasons = append(out.Reasons, refusedJSON{o.line, o.userName, o.reason})
	}
	return out
}
