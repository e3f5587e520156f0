package directory

import (
	"fmt"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// write stores all lines in one transaction. It reads the file again, so that
// even a very large one is never held in memory.
func (run *importing) write() error {
	judged := run.outcomes
	o := run.office
	return o.DB.Write(run.env.Context(), func(tx *store.Tx) error {
		run.outcomes, run.affirmed = append([]outcome(nil), judged...), nil
		few, err := o.People.Count(tx)
		if err != nil {
			return err
		}
		if n := int64(run.count["added"]); n > importBulk && n > few && run.count["changed"] == 0 {
			return o.People.Bulk(tx, func() error { return run.writeLines(tx) })
		}
		return run.writeLines(tx)
	})
}

// additions are new accounts that wait to be added together.
type additions struct {
	entries []Entry
	lines   []importLine
	at      []int               // their places among the outcomes
	people  map[string]struct{} // numbers of people among them
}

func (run *importing) writeLines(tx *store.Tx) error {
	wait := additions{people: map[string]struct{}{}}
	at := -1
	err := run.lines(func(l importLine) error {
		if at++; at >= len(run.outcomes) {
			return fmt.Errorf("%s has changed while it was read", run.File)
		}
		out := &run.outcomes[at]
		if out.line != l.number || out.userName != l.cells["user_name"] {
			return fmt.Errorf("%s has changed while it was read", run.File)
		}
		if out.result != "added" {
			return run.change(tx, l, out)
		}
		number := l.cells["person_number"]
		if _, together := wait.people[number]; number != "" && together || len(wait.entries) == importBatch {
			if err := run.add(tx, &wait); err != nil {
				return err
			}
		}
		_, now, err := run.entry(tx, l, false)
		if err != nil {
			return fmt.Errorf("line %d: %w", l.number, err)
		}
		wait.entries, wait.lines, wait.at = append(wait.entries, now), append(wait.lines, l), append(wait.at, at)
		wait.people[number] = struct{}{}
		return nil
	})
	if err != nil {
		return err
	}
	if err := run.add(tx, &wait); err != nil {
		return err
	}
	return run.affirmAll(tx)
}

// affirm notes that the file confirms what the account's affiliations are.
func (run *importing) affirm(tx *store.Tx, id authn.AccountID) error {
	if run.affirmed = append(run.affirmed, string(id)); len(run.affirmed) < importBatch {
		return nil
	}
	return run.affirmAll(tx)
}

func (run *importing) affirmAll(tx *store.Tx) error {
	if len(run.affirmed) == 0 {
		return nil
	}
	args := []any{}
	for _, id := range run.affirmed {
		args = append(args, id)
	}
	run.affirmed = nil
	_, err := tx.Exec(fmt.Sprintf("UPDATE directory_account SET affirmed = %d WHERE id IN ", store.Millis(tx.Now))+places(1, len(args)), args...)
	return err
}

func (run *importing) add(tx *store.Tx, wait *additions) error {
	if err := run.office.People.AddMany(tx, wait.entries); err != nil {
		return fmt.Errorf("lines %d to %d: %w", wait.lines[0].number, wait.lines[len(wait.lines)-1].number, err)
	}
	for i, e := range wait.entries {
		a, out := e.Account, &run.outcomes[wait.at[i]]
		out.account = a.ID
		if a.State == Pending && run.Result != "" {
			var err error
			if out.code, err = run.office.People.NewActivation(tx, a.ID); err != nil {
				return err
			}
		}
		if err := run.storeExtra(tx, wait.lines[i], a.ID); err != nil {
			return err
		}
		facts := map[string]string{"user": a.UserName, "kind": a.Kind, "state": string(a.State), "by": "import"}
		if err := run.office.Note(tx, "account.added", a.ID, facts); err != nil {
			return err
		}
	}
	*wait = additions{people: map[string]struct{}{}}
	return nil
}

func (run *importing) change(tx *store.Tx, l importLine, out *outcome) error {
	was, now, err := run.entry(tx, l, true)
	if err != nil {
		return fmt.Errorf("line %d: %w", l.number, err)
	}
	out.account = now.Account.ID
	if l.cells["affiliations"] != "" {
		if err := run.affirm(tx, now.Account.ID); err != nil {
			return err
		}
	}
	if out.result == "unchanged" {
		return nil
	}
	if err := run.office.save(tx, was, now, false); err != nil {
		return fmt.Errorf("line %d: %w", l.number, err)
	}
	if err := run.changeState(tx, was.Account, now.Account); err != nil {
		return fmt.Errorf("line %d: %w", l.number, err)
	}
	return run.storeExtra(tx, l, now.Account.ID)
}

func (run *importing) changeState(tx *store.Tx, was, now Account) error {
	if was.State == now.State {
		return nil
	}
	o := run.office
	if err := o.People.SetState(tx, now.ID, now.State, now.StateWhy, o.Actor); err != nil {
		return err
	}
	if now.State == Suspended {
		if err := o.SignOut(tx, now.ID, "account suspended"); err != nil {
			return err
		}
	}
	return o.Note(tx, "account."+string(now.State), now.ID, map[string]string{"why": now.StateWhy, "was": string(was.State), "by": "import"})
}

func (run *importing) storeExtra(tx *store.Tx, l importLine, account authn.AccountID) error {
	for name, column := range run.extra {
		if v := l.cells[name]; v != "" {
			if err := column.Store(tx, account, v); err != nil {
				return fmt.Errorf("line %d: %s: %w", l.number, name, err)
			}
		}
	}
	return nil
}
