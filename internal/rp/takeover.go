package rp

// ImportCommands is "seimon party import": a document, or another provider.
type ImportCommands struct {
	Document   ImportCommand     `cmd:"" default:"withargs" help:"Add or replace many services from a JSON document, all or none, or one from its SAML metadata."`
	Shibboleth ShibbolethCommand `cmd:"" help:"Take over the services, feeds, release rules and identifiers of a Shibboleth identity provider."`
}

// TakeOver names what is taken over.
type TakeOver struct {
	From, Folder string
	Stored       string // file with the stored identifiers; may be empty
	Salt         string // file to be made for the salt; may be empty
	Dry, JSON    bool
}

// ShibbolethCommand is "seimon party import shibboleth".
type ShibbolethCommand struct {
	Folder string `arg:"" help:"Folder of the provider: the one that holds conf and credentials."`
	Stored string `help:"Dump of the table shibpid: CSV with column names, or SQL." placeholder:"FILE"`
	Salt   string `help:"File to be made for the salt of computed identifiers." placeholder:"FILE"`
	DryRun bool   `help:"Report only; change nothing."`
	JSON   bool   `help:"Print JSON."`
}

// Run takes over and reports what was carried and what was not.
func (c *ShibbolethCommand) Run(env Env) error {
	return env.TakeOver(TakeOver{From: "shibboleth", Folder: c.Folder, Stored: c.Stored, Salt: c.Salt, Dry: c.DryRun, JSON: c.JSON})
}
