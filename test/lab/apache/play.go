package apache

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"seimon/test/lab/stand"
)

// Walk is one thing that people do at the applications.
type Walk struct {
	Name string
	Do   func() error
}

// Play is a peer: it starts the server, lets people walk and ends the program. start
// gives a server that runs, and the walks.
func Play(peer string, start func(s *stand.Stand) (*Server, []Walk, error)) {
	s, err := stand.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := stand.NewReport(peer)
	var server *Server
	var walks []Walk
	if !r.Check("Apache starts", func() (err error) {
		server, walks, err = start(s)
		return err
	}) {
		r.Exit()
	}
	good := true
	for _, w := range walks {
		good = r.Check(w.Name, w.Do) && good
	}
	if !good {
		fmt.Println(server.Log())
	}
	server.Stop()
	r.Exit()
}

// Chromium lets somebody with an app walk in a real browser, with TLS and dotted names:
// a password on campus, one more step at home, a sign-out that reaches the application
// at app. says is what the application shows to whoever is signed in.
func Chromium(app, says string, who stand.Person) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join(os.Args[1], "apache", "chromium.mjs"))
	cmd.Env = append(os.Environ(), "APP="+app, "SAYS="+says, "WHO="+who.User, "PASSWORD="+who.Password, "SECRET="+who.TOTPSecret)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
