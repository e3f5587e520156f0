package ca

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"seimon/internal/store"
)

// LogCommand is "seimon cert log".
type LogCommand struct {
	Verify LogVerify `cmd:"" help:"Read every entry and every signed head again."`
	Head   LogHeadC  `cmd:"" help:"Print the newest signed head, to be noted elsewhere."`
	Proof  LogProofC `cmd:"" help:"Print the proof that a certificate is in the log."`
	Check  LogCheck  `cmd:"" help:"Check a proof anywhere, without a database."`
	Key    LogKeyC   `cmd:"" help:"Print the public key of the log."`
}

// Damage says that a check found something. The program ends with code 3.
type Damage struct{ Text string }

// Error says what was found.
func (d *Damage) Error() string { return d.Text }

// ExitCode is what the program ends with.
func (d *Damage) ExitCode() int { return 3 }

// maxHead bounds the files that are read.
const maxHead = 1 << 20

func readJSON(env Env, name string, into any) error {
	file, err := env.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxHead))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// LogVerify is "seimon cert log verify".
type LogVerify struct {
	Head string `help:"File with a head noted earlier: the log must contain it." placeholder:"FILE"`
	JSON bool   `help:"Print JSON."`
}

// Run checks the whole log; damage ends the program with code 3.
func (c *LogVerify) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	var known *LogHead
	if c.Head != "" {
		known = &LogHead{}
		if err := readJSON(env, c.Head, known); err != nil {
			return err
		}
	}
	r, err := o.CA.VerifyLog(env.Context(), known, nil)
	if errors.Is(err, ErrNotReady) {
		return errors.New("there is no log yet: seimon ca init")
	}
	if err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(env.Out(), r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(env.Out(), "%d certificates under %d signed heads are checked, %d found damaged.\n", r.Entries, r.Heads, r.Damaged)
		for _, f := range r.Findings {
			fmt.Fprintln(env.Out(), " ", f)
		}
	}
	if !r.Sound() {
		return &Damage{"the issuance log is damaged"}
	}
	return nil
}

// LogHeadC is "seimon cert log head".
type LogHeadC struct{}

// Run prints the newest head as JSON.
func (c *LogHeadC) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	if err := o.CA.Sequence(env.Context()); err != nil {
		return err
	}
	var h LogHead
	err = o.DB.Read(env.Context(), func(tx *store.Tx) error {
		h, err = o.CA.Head(tx)
		return err
	})
	if errors.Is(err, ErrSoon) {
		return errors.New("no certificate was issued yet")
	}
	if err != nil {
		return err
	}
	return printJSON(env.Out(), h)
}

// LogProofC is "seimon cert log proof".
type LogProofC struct {
	Certificate string `arg:"" help:"Id, serial, or USER/LABEL of the certificate."`
}

// Run prints the proof as JSON.
func (c *LogProofC) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	if err := o.CA.Sequence(env.Context()); err != nil {
		return err
	}
	var p LogProof
	err = o.DB.Read(env.Context(), func(tx *store.Tx) error {
		k, err := locate(tx, o, c.Certificate)
		if err == nil {
			p, err = o.CA.Proof(tx, k.ID)
		}
		return err
	})
	if err != nil {
		return named(err, "certificate", c.Certificate)
	}
	return printJSON(env.Out(), p)
}

// LogCheck is "seimon cert log check".
type LogCheck struct {
	Proof string `arg:"" help:"File with the proof, or - for standard input."`
	Key   string `help:"File with the log's public key (PEM), noted elsewhere." placeholder:"FILE"`
}

// Run checks the proof alone. It opens no database.
func (c *LogCheck) Run(env Env) error {
	var p LogProof
	if err := readJSON(env, c.Proof, &p); err != nil {
		return err
	}
	var key []byte
	if c.Key != "" {
		file, err := env.Open(c.Key)
		if err != nil {
			return err
		}
		defer file.Close()
		text, err := io.ReadAll(io.LimitReader(file, maxHead))
		if err != nil {
			return err
		}
		block, _ := pem.Decode(text)
		if block == nil || block.Type != "PUBLIC KEY" {
			return fmt.Errorf("%s holds no public key in PEM", c.Key)
		}
		key = block.Bytes
	}
	if err := p.Check(key); err != nil {
		return &Damage{err.Error()}
	}
	fmt.Fprintf(env.Out(), "The certificate is entry %d of %d in the log.\n", p.Leaf, p.Head.Size)
	if key == nil {
		fmt.Fprintf(env.Out(), "The log's key in the proof has SHA-256 %s: compare it with the one that was published.\n", fingerprint(p.Key))
	}
	return nil
}

// LogKeyC is "seimon cert log key".
type LogKeyC struct{}

// Run prints the key as PEM, with its fingerprint.
func (c *LogKeyC) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	key, err := o.CA.LogKey(env.Context())
	if errors.Is(err, ErrNotReady) {
		return errors.New("there is no log yet: seimon ca init")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Out(), "# SHA-256 %s\n%s", fingerprint(key), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key}))
	return nil
}
