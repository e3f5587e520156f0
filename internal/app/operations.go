package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"

	"seimon/internal/audit"
	"seimon/internal/keyring"
	"seimon/internal/store"
)

type auditCommand struct {
	Verify auditVerify `cmd:"" help:"Check that no event was changed, removed or slipped in."`
}

type auditVerify struct {
	JSON bool     `help:"Print JSON."`
	Head []string `help:"A head noted earlier, such as 12:0f3a...; the chain must contain it. May be given again."`
}

// Run checks the whole chain; damage ends the program with code 3.
func (c auditVerify) Run(d *Desk) error {
	h, err := d.House()
	if err != nil {
		return err
	}
	var noted []audit.Head
	for _, text := range c.Head {
		head, err := audit.ParseHead(text)
		if err != nil {
			return err
		}
		noted = append(noted, head)
	}
	report, err := h.Audit.Verify(d.ctx, d.progress("events"))
	if err != nil {
		return err
	}
	for _, head := range noted {
		if err := h.Audit.Meets(d.ctx, &report, head); err != nil {
			return err
		}
	}
	if c.JSON {
		if err := printJSON(d, report); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(d.Out(), "%d events in %d blocks are checked, %d found damaged.\n", report.Events, report.Blocks, report.Damaged)
		for _, f := range report.Findings {
			fmt.Fprintln(d.Out(), " ", f)
		}
		fmt.Fprintf(d.Out(), "Head: %s\n", report.Head)
	}
	if !report.Sound() {
		return &codeError{exitIll, errors.New("the record is damaged")}
	}
	return nil
}

type keysCommand struct {
	List   keysList   `cmd:"" help:"List the signing keys."`
	Rotate keysRotate `cmd:"" help:"Let the next key sign now, ahead of its time."`
	Revoke keysRevoke `cmd:"" help:"End a key at once because it may have been stolen."`
}

type keysList struct {
	JSON bool `help:"Print JSON."`
}

// Run lists the keys.
func (c keysList) Run(d *Desk) error {
	h, err := d.House()
	if err != nil {
		return err
	}
	var keys []keyring.Key
	err = h.DB.Read(d.ctx, func(tx *store.Tx) (err error) {
		keys, err = h.Ring.Keys(tx)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(d, keys)
	}
	t := tabwriter.NewWriter(d.Out(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tALGORITHM\tSTATE\tPUBLISHED\tSIGNS SINCE\tRETIRED")
	for _, k := range keys {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Algorithm, k.State, moment(k.Published), moment(k.Active), moment(k.Retired))
	}
	return t.Flush()
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("2006-01-02 15:04 MST")
}

type keysRotate struct {
	Algorithm string `arg:"" optional:"" enum:"ES256,RS256,all" default:"all" help:"Algorithm (${enum})."`
}

// Run lets the next keys sign.
func (c keysRotate) Run(d *Desk) error {
	h, err := d.House()
	if err != nil {
		return err
	}
	for _, alg := range keyring.Algorithms() {
		if c.Algorithm != "all" && c.Algorithm != alg {
			continue
		}
		if err := h.Ring.Rotate(d.ctx, alg); errors.Is(err, keyring.ErrSoon) {
			return fmt.Errorf("%s: services may not have seen the next key yet: try again when it has been published for long enough (seimon keys list)", alg)
		} else if err != nil {
			return err
		}
		if err := h.record(d, "keys.rotated", map[string]string{"algorithm": alg}); err != nil {
			return err
		}
		fmt.Fprintf(d.Out(), "%s: the next key signs from now on.\n", alg)
	}
	return nil
}

type keysRevoke struct {
	ID string `arg:"" help:"Id of the key."`
}

// Run ends a key.
func (c keysRevoke) Run(d *Desk) error {
	h, err := d.House()
	if err != nil {
		return err
	}
	if err := h.Ring.Withdraw(d.ctx, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(d.Out(), "%s is no longer published and signs nothing.\n", c.ID)
	return h.record(d, "keys.withdrawn", map[string]string{"key": c.ID})
}

// record writes an event about the house itself.
func (h *House) record(d *Desk, event string, facts map[string]string) error {
	return h.DB.Write(d.ctx, func(tx *store.Tx) error {
		return h.Audit.Append(tx, audit.Event{Type: event, Actor: d.Actor(), Facts: facts})
	})
}

func printJSON(d *Desk, v any) error {
	e := json.NewEncoder(d.Out())
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// progress shows how far long work is, on terminals only.
func (d *Desk) progress(what string) func(done, total int64) {
	f, ok := d.streams.Err.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return nil
	}
	var last time.Time
	return func(done, total int64) {
		if time.Since(last) < 100*time.Millisecond && done != total {
			return
		}
		last = time.Now()
		fmt.Fprintf(f, "\r%d of %d %s", done, total, what)
		if done == total {
			fmt.Fprintln(f)
		}
	}
}
