package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"seimon/test/lab/stand"
)

// journey is one walk of a person in Chromium.
type journey struct {
	URL      string   `json:"url"`
	Browser  string   `json:"browser"` // journeys of one name share cookies
	User     string   `json:"user"`
	Password string   `json:"password"`
	TOTP     string   `json:"totp,omitempty"`
	Network  string   `json:"network"`
	Press    []string `json:"press,omitempty"` // selectors to click afterwards
	Look     bool     `json:"look,omitempty"`  // go there and answer nothing
}

// end is where a journey led.
type end struct {
	Asked []string `json:"asked"`
	URL   string   `json:"url"`
	Text  string   `json:"text"`
	Error string   `json:"error"`
}

// chromium is the browser behind walk.mjs.
type chromium struct {
	in  *json.Encoder
	out *bufio.Scanner
	cmd *exec.Cmd
	end io.Closer
}

// close lets the browser end.
func (c *chromium) close() {
	c.end.Close() //nolint:errcheck // it ends with us otherwise
	c.cmd.Wait()  //nolint:errcheck // it was told to end
}

func openChromium(here string) (*chromium, error) {
	cmd := exec.Command("node", here+"/saml/walk.mjs")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<22)
	return &chromium{json.NewEncoder(in), lines, cmd, in}, cmd.Start()
}

func (c *chromium) walk(j journey) (end, error) {
	if err := c.in.Encode(j); err != nil {
		return end{}, err
	}
	if !c.out.Scan() {
		return end{}, errors.New("the browser is gone")
	}
	var e end
	err := json.Unmarshal(c.out.Bytes(), &e)
	if err == nil && e.Error != "" {
		err = fmt.Errorf("%s at %s", e.Error, e.URL)
	}
	return e, err
}

// as is a journey of a person.
func as(p stand.Person, network, url string) journey {
	return journey{URL: url, Browser: p.User + "@" + network, User: p.User, Password: p.Password, TOTP: p.TOTPSecret, Network: network}
}

// seen is what a service shows about whom it let in.
type seen struct {
	Name       string              `json:"name"`
	Class      string              `json:"class"`
	Attributes map[string][]string `json:"attributes"`
}

// seen reads the JSON on a service's page.
func (e end) seen() (seen, error) {
	var s seen
	at := strings.Index(e.Text, "{")
	if at < 0 {
		return s, fmt.Errorf("arrived at %s: %.300s", e.URL, e.Text)
	}
	if err := json.Unmarshal([]byte(e.Text[at:]), &s); err != nil {
		return s, fmt.Errorf("%w: %.300s", err, e.Text)
	}
	return s, nil
}
