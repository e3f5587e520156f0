package rp

import (
	"fmt"
	"io"

	"github.com/pelletier/go-toml/v2"

	"seimon/internal/store"
)

// RulesCommand is "seimon rules" with its verbs.
type RulesCommand struct {
	Show  RulesShow  `cmd:"" help:"Print the rules in force."`
	Check RulesCheck `cmd:"" help:"Read rules without applying them, and say what is unwise."`
	Apply RulesApply `cmd:"" help:"Put rules in force."`
}

// RulesShow is "seimon rules show".
type RulesShow struct {
	JSON bool `help:"Print JSON."`
}

// Run prints the rules, in the form that apply takes.
func (c *RulesShow) Run(env Env) error {
	db, book, err := env.Parties()
	if err != nil {
		return err
	}
	var text []byte
	err = db.Read(env.Context(), func(tx *store.Tx) (err error) {
		text, err = book.RulesText(tx)
		return err
	})
	if err != nil {
		return err
	}
	if !c.JSON {
		_, err = env.Out().Write(text)
		return err
	}
	r, err := ParseRules("rules", text)
	if err != nil {
		return err
	}
	return printJSON(env.Out(), r.Rules)
}

// RulesCheck is "seimon rules check".
type RulesCheck struct {
	File   string `arg:"" help:"File with the rules, or - for standard input."`
	JSON   bool   `help:"Print JSON."`
	Strict bool   `help:"Fail on what is merely unwise as well."`
}

// Run reads the rules and gives advice.
func (c *RulesCheck) Run(env Env) error {
	_, r, err := readRules(env, c.File)
	if err != nil {
		return err
	}
	advice := r.Lint(hasWords)
	if c.JSON {
		if err := printJSON(env.Out(), append([]Advice{}, advice...)); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(env.Out(), "%s: %d rules can be applied.\n", c.File, len(r.Rules))
		printAdvice(env.Out(), c.File, advice)
	}
	if c.Strict && len(advice) > 0 {
		return fmt.Errorf("%s: %d remarks", c.File, len(advice))
	}
	return nil
}

// RulesApply is "seimon rules apply".
type RulesApply struct {
	File string `arg:"" help:"File with the rules, or - for standard input."`
}

// Run puts the rules in force, with advice.
func (c *RulesApply) Run(env Env) error {
	text, r, err := readRules(env, c.File)
	if err != nil {
		return err
	}
	db, book, err := env.Parties()
	if err != nil {
		return err
	}
	err = db.Write(env.Context(), func(tx *store.Tx) error {
		if err := book.ApplyRules(tx, c.File, text); err != nil {
			return err
		}
		return env.Record(tx, "rules.applied", "", map[string]string{"file": c.File, "rules": fmt.Sprint(len(r.Rules))})
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Out(), "%d rules are in force.\n", len(r.Rules))
	printAdvice(env.Out(), c.File, r.Lint(hasWords))
	return nil
}

func readRules(env Env, name string) ([]byte, *Rules, error) {
	file, err := env.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxRules+1))
	if err != nil {
		return nil, nil, err
	}
	r, err := ParseRules(name, text)
	return text, r, err
}

func printAdvice(w io.Writer, file string, advice []Advice) {
	for _, a := range advice {
		fmt.Fprintf(w, "%s:%d: advice for %q: %s\n", file, a.Line, a.Rule, a.Text)
	}
}

// hasWords tells whether people are told a name for an attribute.
func hasWords(attribute string) bool {
	text, err := words.ReadFile("words/en.toml")
	if err != nil {
		return true
	}
	var all map[string]string
	return toml.Unmarshal(text, &all) != nil || all["rp.attribute."+attribute] != ""
}
