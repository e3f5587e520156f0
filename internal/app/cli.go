package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"seimon/internal/ca"
	"seimon/internal/ca/trust"
	"seimon/internal/card"
	"seimon/internal/diagnosis"
	"seimon/internal/directory"
	"seimon/internal/front/saml"
	"seimon/internal/front/saml/feed"
	"seimon/internal/policy"
	"seimon/internal/rp"
)

// The exit codes of the program.
const (
	exitDone   = 0
	exitFailed = 1 // what was asked could not be done; the reason is on standard error
	exitUsage  = 2 // the command line is wrong
	exitIll    = 3 // the doctor found something broken, or the log does not verify
)

// program is the command line.
type program struct {
	Config   string `help:"Configuration file." default:"seimon.toml" env:"SEIMON_CONFIG" placeholder:"FILE"`
	Language string `help:"Language of what is printed (${enum})." enum:"en,ja" default:"en" env:"SEIMON_LANG"`

	Serve      serveCommand      `cmd:"" help:"Serve the gate until told to stop."`
	Init       initCommand       `cmd:"" help:"Write a commented configuration, a policy and a master key into a new folder."`
	Doctor     doctorCommand     `cmd:"" help:"Judge the installation and say what to do."`
	Explain    diagnosis.Command `cmd:"" help:"Say why a sign-in went as it did, by its support code."`
	User       directory.Command `cmd:"" help:"People and their accounts."`
	Party      rp.Command        `cmd:"" help:"Services that people sign in to."`
	Feed       feed.Command      `cmd:"" help:"Metadata that federations publish."`
	Reveal     rp.RevealCommand  `cmd:"" help:"Who is behind an identifier that a service knows: asked by one person, approved by another."`
	Rules      rp.RulesCommand   `cmd:"" help:"What services of federations receive."`
	SAML       saml.Command      `cmd:"" name:"saml" help:"The SAML identity provider."`
	Policy     policy.Command    `cmd:"" help:"Zones and rules."`
	Card       card.Command      `cmd:"" help:"IC cards: stock, personalise, hand over, unblock, end."`
	Audit      auditCommand      `cmd:"" help:"The record of what happened."`
	Keys       keysCommand       `cmd:"" help:"Signing keys."`
	Ca         authorityCommand  `cmd:"" name:"ca" help:"The certificate authority and its issuers."`
	Cert       ca.CertCommand    `cmd:"" help:"Certificates of people and their devices."`
	Managed    managedCommand    `cmd:"" name:"managed-computers" help:"Print the policy with which a managed browser shows certificates without asking."`
	Completion completionCommand `cmd:"" help:"Print completions for a shell."`
	Man        manCommand        `cmd:"" help:"Print the manual page of the whole program."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// Extra is a command that stands beside the building, such as the demo.
type Extra struct {
	Name, Help string
	Command    any // a kong command whose Run takes a *Desk
}

// Streams are where a program reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Main runs the program and returns its exit code. It ends cleanly on SIGINT and SIGTERM.
func Main(args []string, s Streams, extra ...Extra) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	return Run(ctx, args, s, extra...)
}

// Run is Main until ctx ends.
func Run(ctx context.Context, args []string, s Streams, extra ...Extra) int {
	var p program
	d := &Desk{ctx: ctx, streams: s, program: &p}
	defer d.close()
	left := -1
	options := []kong.Option{
		kong.Name("seimon"), kong.Description("The main gate of a university: single sign-on that explains itself."),
		kong.Writers(s.Out, s.Err), kong.Exit(func(code int) { left = code }), kong.UsageOnError(),
		kong.Bind(d), kong.BindTo(d, (*directory.Env)(nil)), kong.BindTo(d, (*rp.Env)(nil)), kong.BindTo(d, (*ca.Env)(nil)), kong.BindTo(d, (*policy.Env)(nil)), kong.BindTo(d, (*diagnosis.Env)(nil)), kong.BindTo(d, (*trust.Env)(nil)),
		kong.BindTo(d, (*card.Env)(nil)), kong.BindTo(d, (*saml.Env)(nil)),
		kong.BindTo(d, (*feed.Env)(nil)), kong.BindTo(d, (*rp.RevealEnv)(nil)),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Help(help),
	}
	for _, e := range extra {
		options = append(options, kong.DynamicCommand(e.Name, e.Help, "", e.Command))
	}
	parser, err := kong.New(&p, options...)
	if err != nil {
		fmt.Fprintln(s.Err, "seimon:", err)
		return exitUsage
	}
	d.parser = parser
	parsed, err := parser.Parse(args)
	if left >= 0 { // --help was answered
		return left
	}
	if err != nil {
		fmt.Fprintln(s.Err, "seimon:", err)
		return exitUsage
	}
	return d.exit(parsed.Run())
}

// help lists the nouns at first, and the verbs of a noun with that noun.
func help(o kong.HelpOptions, c *kong.Context) error {
	o.NoExpandSubcommands = c.Selected() == nil
	return kong.DefaultHelpPrinter(o, c)
}

// codeError ends the program with another code than 1.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

func (d *Desk) exit(err error) int {
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(d.Err(), "seimon:", err)
	var coded *codeError
	if errors.As(err, &coded) {
		return coded.code
	}
	var own interface{ ExitCode() int }
	if errors.As(err, &own) {
		return own.ExitCode()
	}
	return exitFailed
}
