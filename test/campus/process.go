package campus

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Build compiles the program into dir and gives its path.
func Build(ctx context.Context, dir string) (string, error) {
	out := filepath.Join(dir, "seimon")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, "seimon/cmd/seimon")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("campus: go build: %w\n%s", err, text)
	}
	return out, nil
}

// Process is the program while it runs.
type Process struct {
	// Ready is how long it took from its start to the first answer that said so.
	Ready time.Duration
	cmd   *exec.Cmd
	log   *bytes.Buffer
	done  chan error
}

// readyWithin bounds a start, in which a database may have to recover.
const readyWithin = 60 * time.Second

// Start runs "seimon serve" and waits until it is ready.
func (c *Campus) Start(ctx context.Context, binary string) (*Process, error) {
	p := &Process{cmd: exec.Command(binary, "serve", "--config", c.Config), log: &bytes.Buffer{}, done: make(chan error, 1)}
	logFile, err := os.OpenFile(filepath.Join(c.Dir, "seimon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	p.cmd.Stdout, p.cmd.Stderr = logFile, logFile
	begun := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.done <- p.cmd.Wait() }()
	if err := c.untilReady(ctx, p, begun); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	p.Ready = time.Since(begun)
	return p, nil
}

func (c *Campus) untilReady(ctx context.Context, p *Process, begun time.Time) error {
	client := &http.Client{Transport: c.Gate.Transport(), Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for time.Since(begun) < readyWithin {
		res, err := client.Get(c.Gate.Origin + "/readyz")
		if err == nil {
			io.Copy(io.Discard, res.Body) //nolint:errcheck // only the status counts
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-p.done:
			p.done <- err
			return fmt.Errorf("campus: the program ended before it was ready: %v\n%s", err, c.Log())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return fmt.Errorf("campus: not ready after %v\n%s", readyWithin, c.Log())
}

// Log gives the end of what the program has written.
func (c *Campus) Log() string {
	text, err := os.ReadFile(filepath.Join(c.Dir, "seimon.log"))
	if err != nil {
		return ""
	}
	return string(text[max(0, len(text)-4000):])
}

// Kill ends the program at once, as a power cut would, and waits until it is gone.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	p.done <- <-p.done
	return nil
}

// Stop asks the program to end and waits for it.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := <-p.done
	p.done <- err
	return err
}

// Memory gives the resident memory of the program, in bytes.
func (p *Process) Memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("campus: the system tells no resident memory")
}

// CPU gives the processor time that the program has used.
func (p *Process) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// TLS is the client's side of the connection to the gate.
func (c *Campus) TLS() *tls.Config {
	return &tls.Config{RootCAs: c.Gate.Roots, ServerName: Host, MinVersion: tls.VersionTLS13}
}
