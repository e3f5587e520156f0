package ca

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// RevokeIssuerCommand is "seimon ca revoke".
type RevokeIssuerCommand struct {
	Issuer string `arg:"" help:"Id or name of the issuer."`
	Reason string `help:"Why (${enum})." enum:"cACompromise,superseded,cessationOfOperation,affiliationChanged,unspecified" required:""`
	Yes    bool   `help:"Do not ask to type its name."`
}

// Run revokes the issuer after its name was typed.
func (c *RevokeIssuerCommand) Run(env Env) error {
	o, err := everyIssuer(env)
	if err != nil {
		return err
	}
	i, err := o.pick(c.Issuer)
	if err != nil {
		return err
	}
	w := env.Out()
	if !c.Yes {
		fmt.Fprintf(w, "%s (%s) will never sign again, and every certificate of it stops working. This cannot be undone.\nType its name to go on: ", i.Name, i.State)
		said, err := env.Line()
		if err != nil {
			return err
		}
		if strings.TrimSpace(said) != i.Name {
			return errors.New("that is not its name; nothing was changed")
		}
	}
	err = o.DB.Write(env.Context(), func(tx *store.Tx) error {
		i, err = o.CA.RevokeIssuer(tx, i.ID, Reason(c.Reason), o.Actor)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s is revoked: no certificate of it signs in any more. The certificates are revoked one by one in the background.\n", i.Name)
	if o.SignLists != nil {
		var away *Offline
		switch err := o.SignLists(env.Context(), i.RootID); {
		case errors.As(err, &away):
			fmt.Fprintf(w, "It is not on the list of its root yet: %v. The list is signed then.\n", away)
		case err != nil:
			return err
		default:
			fmt.Fprintf(w, "It is on the list of its root: %s\n", o.CA.listURL(i.RootID, 1))
		}
	}
	if i.State == IssuerRevoked {
		fmt.Fprintln(w, "RADIUS and VPN servers that look at no list must be told: take its certificate out there (seimon ca show --bundle names those that count). The next issuer: seimon ca rollover prepare")
	}
	return nil
}

// RootCommand is "seimon ca root" with its verbs.
type RootCommand struct {
	Export RootExport `cmd:"" help:"Write the root's key to a file, sealed under a passphrase."`
	Remove RootRemove `cmd:"" help:"Take the root's key out of the database, after its export was proved good."`
	Import RootImport `cmd:"" help:"Bring the root's key back for a change of issuers or a fresh list."`
}

// RootExport is "seimon ca root export".
type RootExport struct {
	File string `arg:"" help:"File to be written; it must not exist."`
	Root string `help:"Id of the root, when there are several." placeholder:"ID"`
}

// Run writes the file and reads it again.
func (c *RootExport) Run(env Env) error {
	o, err := env.Authority()
	if err != nil {
		return err
	}
	pass, err := env.Passphrase("New passphrase for the file: ")
	if err != nil {
		return err
	}
	again, err := env.Passphrase("The same once more: ")
	if err != nil {
		return err
	}
	if pass.Reveal() != again.Reveal() {
		return errors.New("the two passphrases differ; nothing was written")
	}
	root, text, err := o.CA.ExportRoot(env.Context(), c.Root, pass, o.Actor)
	if errors.Is(err, ErrNone) {
		return errors.New("name the root with --root (seimon ca issuers)")
	}
	if err != nil {
		return err
	}
	file, err := env.Create(c.File)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	written, err := readExport(env, c.File)
	if err != nil {
		return err
	}
	if _, _, _, err := o.CA.openExport(env.Context(), written, pass); err != nil {
		return fmt.Errorf("%s was written but cannot be read back: %w", c.File, err)
	}
	fmt.Fprintf(env.Out(), "The key of %s is in %s (%s), read back and proved. Make copies, keep them and the passphrase apart, then: seimon ca root remove %s\n",
		root.Name, c.File, exportPrint(written), c.File)
	return nil
}

func readExport(env Env, name string) ([]byte, error) {
	file, err := env.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, 1<<16))
}

// withExport reads file and passphrase, as remove and import do.
func withExport(env Env, name string, fn func(o Office, text []byte, pass authn.Secret) (Issuer, error)) (Issuer, error) {
	o, err := env.Authority()
	if err != nil {
		return Issuer{}, err
	}
	text, err := readExport(env, name)
	if err != nil {
		return Issuer{}, err
	}
	pass, err := env.Passphrase("Passphrase of " + name + ": ")
	if err != nil {
		return Issuer{}, err
	}
	return fn(o, text, pass)
}

// RootRemove is "seimon ca root remove".
type RootRemove struct {
	File string `arg:"" help:"The exported key; it is opened and proved first."`
}

// Run signs a last list and takes the key away.
func (c *RootRemove) Run(env Env) error {
	root, err := withExport(env, c.File, func(o Office, text []byte, pass authn.Secret) (Issuer, error) {
		root, _, _, err := o.CA.openExport(env.Context(), text, pass)
		if err == nil && o.SignLists != nil {
			err = o.SignLists(env.Context(), root.ID) // fresh, so that it lasts
		}
		if err != nil {
			return root, err
		}
		return o.CA.RemoveRoot(env.Context(), text, pass, o.Actor)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Out(), "The key of %s is offline. Its list was signed just now and lasts for months; seimon doctor says in good time when it needs the key again.\nBackups from before now still hold the key, sealed under the master key: destroy them, or replace the master key and destroy the old one (seimon doctor reminds you of it until then).\n", root.Name)
	return nil
}

// RootImport is "seimon ca root import".
type RootImport struct {
	File string `arg:"" help:"The exported key."`
}

// Run brings the key back and signs the list that may have waited for it.
func (c *RootImport) Run(env Env) error {
	root, err := withExport(env, c.File, func(o Office, text []byte, pass authn.Secret) (Issuer, error) {
		root, err := o.CA.ImportRoot(env.Context(), text, pass, o.Actor)
		if err == nil && o.SignLists != nil {
			err = o.SignLists(env.Context(), root.ID)
		}
		return root, err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Out(), "The key of %s is here again, and its list is fresh. When you are done: seimon ca root remove %s\n", root.Name, c.File)
	return nil
}
