package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"seimon/internal/app/demo/vcard"
	"seimon/internal/card/pcsc/pcsctest"
	"seimon/internal/card/piv"
	"seimon/internal/lang"
)

// documented finds the commands in a document: lines of code that begin with
// "seimon" or "go run ./cmd/seimon", without their comments.
func documented(text string) []string {
	var out []string
	code := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			code = !code
			continue
		}
		if !code && !strings.HasPrefix(line, "    ") {
			continue
		}
		line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		line = strings.Replace(line, "go run ./cmd/seimon", "seimon", 1)
		if !strings.HasPrefix(line, "seimon ") {
			continue
		}
		if i := strings.Index(line, " #"); i > 0 {
			line = line[:i]
		}
		if i := strings.Index(line[7:], "   "); i > 0 {
			line = line[:7+i]
		}
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

// shellWords splits a command line at spaces outside quotes, as a shell does.
func shellWords(line string) []string {
	var out []string
	for _, w := range regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`).FindAllString(line, -1) {
		out = append(out, strings.Trim(w, `"'`))
	}
	return out
}

// TestEveryDocumentedCommand runs every command of the documents, in their order, at one
// installation for each document.
func TestEveryDocumentedCommand(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range append(files, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := documented(string(text))
		count += len(lines)
		if len(lines) == 0 {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := install(t)
			s.rehearse()
			s.reader = pcsctest.New(nil)
			t.Setenv("PCSCLITE_CSOCK_NAME", s.reader.Listen(t))
			t.Chdir(s.dir)
			for _, line := range lines {
				s.try(line)
			}
		})
	}
	if count < 20 {
		t.Errorf("only %d commands were found", count)
	}
}

// rehearse prepares what the documents take for granted.
func (s *site) rehearse() {
	s.t.Helper()
	s.edit(`#base = "http://pki`, `base = "http://pki`)
	s.edit(`#realm = `, `realm = `)
	s.edit(`#[certificate_host]`, "[certificate_host]\nlisten = \"127.0.0.1:0\"\nname = \"*.cert.sso.example.ac.jp\"\nport = 8443\ncert_header = true\nproxies = [\"127.0.0.1\"]\n")
	for _, id := range []string{"payroll", "webmail", "old-service"} {
		s.must("party", "add", id, "--name", "ja="+id, "--name", "en="+id, "--with", "redirect_uris=https://"+id+".example.ac.jp/callback")
	}
	for _, name := range []string{"s2600001", "s2600002", "yamada"} {
		s.must("user", "add", name, "--family", "正門", "--given", "花子", "--active")
	}
	s.must("user", "add", "s2600003", "--family", "正門", "--given", "次郎")
	s.federate(time.Now().Add(10 * 24 * time.Hour))
	if err := os.MkdirAll(filepath.Join(s.dir, "shibboleth-idp", "conf"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	policy, err := os.ReadFile(filepath.Join(s.dir, "policy.toml"))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, text := range map[string]string{
		"request.pem":                        request(s.t),
		"nii.pem":                            issuer(s.t),
		"card.pem":                           s.elsewhere(),
		"maker.txt":                          "management " + hex.EncodeToString([]byte("a key of this card alone")) + "\n",
		"campus.toml":                        string(policy),
		"people.csv":                         "user_name,kind,family,given,mail\ns2700001,student,山田,太郎,taro@example.ac.jp\n",
		"changes.csv":                        "user_name,mail\ns2600001,new@example.ac.jp\n",
		"shibpid.csv":                        "peerEntity,persistentId,principalName,localId\nhttps://sp.example.org/sp,kLyH1uEvYigEvg1ZLh/QXeW1VAs=,s2600001,at1-Data\n",
		"shibboleth-idp/conf/idp.properties": "idp.entityID = https://idp.example.ac.jp/idp/shibboleth\n",
		"shibboleth-idp/conf/saml-nameid.properties": "idp.persistentId.sourceAttribute = uid\nidp.persistentId.salt = thisisaspecialsalt\n",
		"services.json":        `[{"id":"wiki","protocol":"oidc","names":{"ja":"ウィキ","en":"Wiki"},"registration":{"redirect_uris":["https://wiki.example.ac.jp/callback"]}}]`,
		"service-metadata.xml": serviceMetadata,
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// elsewherePIN is the PIN of a card that another office made.
const elsewherePIN = "903812"

// nextCard puts the card into the reader that a documented command is about.
func (s *site) nextCard(line string) {
	s.t.Helper()
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	switch {
	case strings.Contains(line, "card adopt"):
		text, err := os.ReadFile(filepath.Join(s.dir, "card-certificate.pem"))
		must(err)
		block, _ := pem.Decode(text)
		cert, err := x509.ParseCertificate(block.Bytes)
		must(err)
		c, err := piv.Open(s.made)
		must(err)
		must(c.Manage(piv.FactoryKey()))
		must(c.SetCertificate(cert))
		must(c.ChangePIN(piv.FactoryPIN, elsewherePIN))
		must(c.SetManagementKey(piv.ManagementKey{Type: piv.AES192, Key: []byte("the key of another house")}))
		s.made.Reset()
		s.reader.Insert(s.made)
	case strings.Contains(line, "card stock"):
		fresh, err := vcard.New("", 10, 10)
		must(err)
		if strings.Contains(line, "--given") {
			c, err := piv.Open(fresh)
			must(err)
			must(c.Manage(piv.FactoryKey()))
			must(c.SetManagementKey(piv.ManagementKey{Type: piv.AES192, Key: []byte("a key of this card alone")}))
			fresh.Reset()
		}
		s.reader.Insert(fresh)
	}
}

// elsewhere is a request that another office made with the key of a card.
func (s *site) elsewhere() string {
	s.t.Helper()
	var err error
	if s.made, err = vcard.New("", 3, 3); err != nil {
		s.t.Fatal(err)
	}
	c, err := piv.Open(s.made)
	if err == nil {
		err = c.Manage(piv.FactoryKey())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	public, err := c.Generate(piv.P256)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := c.Verify(piv.FactoryPIN); err != nil {
		s.t.Fatal(err)
	}
	signer, err := c.Signer(public)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, signer)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// issuer is the certificate of an issuer of another house.
func issuer(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Open Domain CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: time.Now(), NotAfter: time.Now().AddDate(10, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// request is what a device sends for its key (RFC 2986).
func request(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// try runs one documented command. Those that would go on for ever are stopped.
func (s *site) try(line string) {
	s.t.Helper()
	args := shellWords(regexp.MustCompile(`\[[A-Z]+\]|\.\.\.`).ReplaceAllString(line, ""))[1:]
	for i, a := range args {
		args[i] = strings.Replace(a, "/etc/seimon", s.dir, 1)
	}
	var file string // after >, as a shell would write it
	if n := len(args); n > 2 && args[n-2] == ">" {
		file, args = args[n-1], args[:n-2]
	}
	want := []int{exitDone}
	switch args[0] {
	case "init":
		args[1] = filepath.Join(s.t.TempDir(), "fresh")
	case "serve", "demo":
		want = append(want, exitFailed) // stopped at once
	case "explain", "doctor":
		want = append(want, exitFailed, exitIll) // nothing happened here yet, and no mail server listens
	}
	if args[0] == "card" {
		s.nextCard(line)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	defer stop()
	if args[0] == "serve" || args[0] == "demo" {
		stop()
	}
	typed := ""
	if strings.HasPrefix(line, "seimon card adopt") {
		typed = elsewherePIN + "\n"
	}
	if args[0] == "ca" && args[1] == "root" { // a passphrase, twice where a new one is asked for
		typed = phrase + phrase
	}
	var out, bad strings.Builder
	code := Run(ctx, args, Streams{In: strings.NewReader(typed), Out: &out, Err: &bad}, Extra{Name: "demo", Help: "demo", Command: &quiet{}})
	if file != "" {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, w := range want {
		if code == w {
			return
		}
	}
	s.t.Errorf("%s\nended with %d: %s", line, code, bad.String())
}

// quiet stands where the demo stands in the program; the demo is tested in its own room.
type quiet struct {
	Data   string
	Listen string
	JSON   bool
	Card   bool
}

// Run does nothing.
func (quiet) Run(*Desk) error { return nil }

func TestExampleConfigurationIsWhole(t *testing.T) {
	// Every key that the program knows is in the example, also those that are commented out.
	known := []string{
		"origin", "listen", "time_zone", "log_level", "certificate", "key", "behind", "addresses", "header", "url", "url_file",
		"master", "old", "rotate_every", "from", "host", "port", "security", "user", "password_file", "desk", "name", "short",
		"help", "help_url", "colour", "logo", "words", "ja", "en", "memory_kib", "time", "threads", "parallel", "idle", "absolute", "file",
		"base", "realm", "shards", "helper",
	}
	for _, key := range known {
		if !regexp.MustCompile(`(?m)^#?` + key + ` = `).MatchString(exampleConfig) {
			t.Errorf("the example does not show %q", key)
		}
	}
	uncommented := regexp.MustCompile(`(?m)^#(\[|[a-z_]+ = )`).ReplaceAllString(exampleConfig, "$1")
	_, err := ParseConfig(filepath.Join(t.TempDir(), "seimon.toml"), []byte(uncommented))
	if err != nil && strings.Contains(err.Error(), "is unknown") {
		t.Errorf("the example shows what the program does not know: %v", err)
	}
}

func TestWordsAreWhole(t *testing.T) {
	begin := time.Now()
	w, err := lang.New(time.UTC, words()...)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Tags()) != 2 {
		t.Errorf("languages %v", w.Tags())
	}
	t.Logf("read in %v", time.Since(begin))
}

// serviceMetadata is what a SAML service says of itself.
const serviceMetadata = `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://wiki.example.org/shibboleth">
  <md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://wiki.example.org/acs" index="1"/>
  </md:SPSSODescriptor>
</md:EntityDescriptor>`
