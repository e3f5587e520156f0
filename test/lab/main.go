// Command lab runs the peers against the demo and counts what they say. test/lab/run
// builds everything and calls it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"seimon/test/lab/stand"
)

// peer is one program that plays relying parties.
type peer struct {
	name  string
	limit time.Duration // against what hangs: many times what it takes
	args  []string      // the program and its arguments
	host  string        // for which certificate files are laid into its folder
}

func main() {
	bin := flag.String("bin", "", "folder of the built programs")
	work := flag.String("work", "", "folder for everything that is written")
	here := flag.String("here", "", "folder of the lab's sources")
	only := flag.String("only", "", "one peer")
	flag.Parse()
	peers := []peer{
		{"zlint", 5 * time.Minute, []string{*bin + "/zlint"}, ""},
		{"pki", 5 * time.Minute, []string{*bin + "/pki", "-here", *here + "/pki"}, ""},
		{"p12", 5 * time.Minute, []string{*bin + "/p12", "-here", *here + "/p12", "-writer", *bin + "/writer.mjs"}, ""},
		{"radius", 5 * time.Minute, []string{*bin + "/radius", "-here", *here + "/radius"}, ""},
		{"vpn", 5 * time.Minute, []string{*bin + "/vpn"}, ""},
		{"hsm", 5 * time.Minute, []string{*bin + "/hsm", "-hsm", *bin + "/seimon-hsm"}, ""},
		{"goidc", 5 * time.Minute, []string{*bin + "/goidc"}, ""},
		{"zitadel", 5 * time.Minute, []string{*bin + "/zitadel"}, ""},
		{"modauth", 5 * time.Minute, []string{*bin + "/modauth"}, ""},
		{"modcas", 5 * time.Minute, []string{*bin + "/modcas", *here}, ""},
		{"phpcas", 5 * time.Minute, []string{*bin + "/phpcas", *here}, ""},
		{"openid-client", 8 * time.Minute, []string{"node", *here + "/openid-client/main.mjs"}, "openid-client.localhost"},
		{"federation", 5 * time.Minute, []string{*bin + "/federation"}, ""},
		{"saml", 10 * time.Minute, []string{*bin + "/saml", "-here", *here}, ""},
		{"conformance", 8 * time.Minute, []string{*bin + "/conformance"}, ""},
	}
	if *only != "" {
		peers = slices.DeleteFunc(peers, func(p peer) bool { return p.name != *only })
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	passed, failed := run(ctx, *bin, *work, peers)
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		stop()
		os.Exit(1)
	}
}

// run starts the demo, runs the peers and counts.
func run(ctx context.Context, bin, work string, peers []peer) (passed, failed int) {
	s, stop, err := startDemo(bin+"/seimon", work)
	if err != nil {
		fmt.Println("FAIL lab: the demo does not start:", err)
		return 0, 1
	}
	defer stop()
	s.Taken = filepath.Join(work, "taken")
	if err := os.Mkdir(s.Taken, 0o700); err != nil {
		fmt.Println("FAIL lab:", err)
		return 0, 1
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	slots := make(chan struct{}, 2)
	for _, p := range peers {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			own := &stand.Stand{SSO: s.SSO, CAFile: s.CAFile, Config: s.Config, Program: s.Program, People: s.People, Taken: s.Taken, Work: filepath.Join(work, p.name), IssuerCAFile: s.IssuerCAFile, OCSP: s.OCSP, CRL: s.CRL}
			text, good, bad := p.play(ctx, own)
			mu.Lock()
			defer mu.Unlock()
			fmt.Print(text)
			passed, failed = passed+good, failed+bad
		})
	}
	all.Wait()
	fmt.Println(s.Left())
	return passed, failed
}

// play runs a peer within its time limit. What it says is kept so that peers do not
// talk over each other.
func (p peer) play(ctx context.Context, s *stand.Stand) (text string, passed, failed int) {
	var out strings.Builder
	began := time.Now()
	defer func() { text = out.String() }()
	fail := func(why ...any) {
		failed++
		fmt.Fprintln(&out, append([]any{"FAIL", p.name + ":"}, why...)...)
	}
	file := filepath.Join(s.Work, "lab.json")
	content, err := json.Marshal(s)
	if err = errors.Join(err, os.MkdirAll(s.Work, 0o755), os.WriteFile(file, content, 0o600)); err != nil {
		fail(err)
		return
	}
	if p.host != "" {
		if err = s.Trust(); err == nil {
			_, _, err = s.CertificateFiles(p.host)
		}
		if err != nil {
			fail(err)
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.args[0], p.args[1:]...)
	cmd.Env = append(os.Environ(), "LAB="+file, "DEMO="+file, "WORK="+s.Work, "NODE_EXTRA_CA_CERTS="+s.CAFile)
	// A group of its own, so that nothing a peer started outlives it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // mostly nobody is left
	}
	lines := bufio.NewScanner(strings.NewReader(said.String()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "ok "):
			passed++
		case strings.HasPrefix(line, "FAIL "):
			failed++
		}
	}
	io.WriteString(&out, said.String()) //nolint:errcheck // a builder
	switch {
	case ctx.Err() != nil:
		fail("not done within", p.limit, ctx.Err())
	case err != nil && failed == 0:
		fail(err)
	case passed == 0 && failed == 0:
		fail("said nothing")
	}
	fmt.Fprintf(&out, "-- %s: %.1f s\n", p.name, time.Since(began).Seconds())
	return
}

// startDemo starts the program and reads what it announces.
func startDemo(program, work string) (*stand.Stand, func(), error) {
	log, err := os.Create(filepath.Join(work, "demo.log"))
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(program, "demo", "--json", "--listen", "127.0.0.1:0", "--data", filepath.Join(work, "demo"))
	cmd.Stderr = log
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop := func() {
		cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may be gone
		late := time.AfterFunc(15*time.Second, func() { cmd.Process.Kill() })
		defer late.Stop()
		cmd.Wait() //nolint:errcheck // it was told to end
	}
	late := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	s := &stand.Stand{Program: program}
	if err := json.NewDecoder(said).Decode(s); err != nil {
		stop()
		text, _ := os.ReadFile(log.Name())
		return nil, nil, fmt.Errorf("%w: %s", err, text)
	}
	go io.Copy(io.Discard, said) //nolint:errcheck // ends with the program
	return s, stop, nil
}
