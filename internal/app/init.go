package app

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"seimon/internal/policy"
	"strings"
)

//go:embed example/seimon.toml
var exampleConfig string

type initCommand struct {
	Dir    string `arg:"" help:"Folder for the configuration; it is made."`
	Origin string `default:"https://sso.example.ac.jp" help:"Address under which browsers will know the gate."`
}

// Run writes the files. It never overwrites one.
func (c initCommand) Run(d *Desk) error {
	u, err := url.Parse(c.Origin)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("--origin must be of the form https://sso.example.ac.jp, not %q", c.Origin)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	domain := strings.TrimPrefix(u.Hostname(), "sso.")
	text := strings.NewReplacer("https://sso.example.ac.jp", "https://"+u.Host, "example.ac.jp", domain).Replace(exampleConfig)
	files := []struct {
		name, text string
		mode       fs.FileMode
	}{
		{"seimon.toml", text, 0o640},
		{"policy.toml", firstPolicy(string(policy.Example())), 0o640},
		{"master.key", NewMaster(), 0o600},
	}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(c.Dir, f.name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already; nothing was written", filepath.Join(c.Dir, f.name))
		}
	}
	for _, f := range files {
		if err := writeNew(filepath.Join(c.Dir, f.name), f.text, f.mode); err != nil {
			return err
		}
	}
	config := filepath.Join(c.Dir, "seimon.toml")
	fmt.Fprintf(d.Out(), `%s, policy.toml and master.key are written.
Keep a copy of master.key where the database's backups are not: without it nothing can be opened.

Then:
  1. edit %s: certificate, mail server, names
  2. seimon --config %s doctor
  3. seimon --config %s policy apply %s
  4. seimon --config %s serve
`, config, config, config, config, filepath.Join(c.Dir, "policy.toml"), config)
	return nil
}

// firstPolicy is the example with the parts about services that nobody has
// registered yet as comments, so that it can be applied at once.
func firstPolicy(example string) string {
	service := regexp.MustCompile(`(?m)^service = "([^"]+)"|^\[service\.`)
	parts := strings.Split(example, "\n\n")
	for i, part := range parts {
		m := service.FindStringSubmatch(part)
		if m == nil || m[1] == policy.Portal {
			continue
		}
		lines := strings.Split(part, "\n")
		for j, l := range lines {
			if l != "" && !strings.HasPrefix(l, "#") {
				lines[j] = "#" + l
			}
		}
		parts[i] = strings.Join(lines, "\n")
	}
	return strings.Join(parts, "\n\n")
}

func writeNew(name, text string, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
