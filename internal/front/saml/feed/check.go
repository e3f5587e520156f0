package feed

import (
	"bufio"
	"fmt"
	"io"

	"seimon/internal/front/saml/xmlstream"
)

// Checked is what was found in a document that was verified and not loaded.
type Checked struct {
	Signer   string   `json:"signer"`
	Entities int      `json:"entities"`
	Services int      `json:"services"`
	Broken   []Broken `json:"broken"`
}

// Broken is a service that could not be used.
type Broken struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Check verifies a document and reads every service in it. Nothing is stored.
func (k *Keeper) Check(in io.Reader, s Source, max Feed) (Checked, error) {
	keys, err := s.keys()
	if err != nil {
		return Checked{}, err
	}
	out := Checked{Broken: []Broken{}}
	c := k.collector(State{Feed: max}, nil)
	names := map[hash]string{}
	c.keep = func(list []document) error {
		for id, h := range c.seen {
			names[h] = id
		}
		for _, d := range list {
			text, err := unsqueeze(d.body)
			if err != nil {
				return err
			}
			if _, err := parse(text, names[d.hash]); err != nil {
				out.Broken = append(out.Broken, Broken{names[d.hash], err.Error()})
			}
		}
		clear(names)
		return nil
	}
	signer, err := xmlstream.Verify(bufio.NewReaderSize(in, 64<<10), keys, xmlstream.Limits{Bytes: max.maxBytes()}, c)
	if err == nil {
		err = c.flush()
	}
	if err != nil {
		return Checked{}, err
	}
	out.Signer, out.Entities, out.Services = Fingerprint(s.Certificates[signer]), len(c.all), len(c.seen)
	return out, nil
}

// CheckCommand is "seimon feed check".
type CheckCommand struct {
	File   string `arg:"" help:"The document, or - for standard input."`
	Signer string `required:"" help:"Certificate of the signer, PEM or DER." placeholder:"FILE"`
	JSON   bool   `help:"Print JSON."`
}

// Run verifies the document and names the services that cannot be used.
func (c *CheckCommand) Run(env Env) error {
	k, err := env.Feeds()
	if err != nil {
		return err
	}
	source, err := Address{Signer: c.Signer}.source(env)
	if err != nil {
		return err
	}
	file, err := env.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	out, err := k.Check(file, source, Feed{})
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.JSON {
		return printJSON(env.Out(), out)
	}
	fmt.Fprintf(env.Out(), "%s verifies: %d entities, %d of them services.\n  signed by %s\n", c.File, out.Entities, out.Services, out.Signer)
	for _, b := range out.Broken {
		fmt.Fprintf(env.Out(), "%s cannot be used: %s\n", b.ID, b.Reason)
	}
	return nil
}
