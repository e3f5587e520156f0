// Package stand is what the peers of the lab share: the running gate and its
// people, certificates and registrations for further services, and the report.
package stand

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"seimon/test/walk"
)

// Person is one of the demo's people.
type Person struct {
	User       string `json:"user"`
	Password   string `json:"password"`
	TOTPSecret string `json:"totp_secret,omitempty"`
	Kind       string `json:"kind"`
	Trouble    string `json:"trouble,omitempty"`
}

// Stand is the gate as the lab meets it. The orchestrator writes it to the file
// that the variable LAB names. A peer takes people as it needs them, and nobody else
// gets them again, so that one-time codes never meet.
type Stand struct {
	SSO     string   `json:"sso"`
	CAFile  string   `json:"ca_file"`
	Config  string   `json:"config"`
	People  []Person `json:"people"`
	Program string   `json:"program"` // the built seimon
	Work    string   `json:"work"`    // a folder of this peer's own
	Taken   string   `json:"taken"`   // a folder with an empty file for everybody whom a peer took

	IssuerCAFile string `json:"issuer_ca_file"` // the issuer of people's certificates and its root
	OCSP         string `json:"ocsp"`
	CRL          string `json:"crl"` // the full list

	ca    *x509.Certificate
	key   crypto.Signer
	Roots *x509.CertPool `json:"-"`
}

// Open reads the stand.
func Open() (*Stand, error) {
	text, err := os.ReadFile(os.Getenv("LAB"))
	if err != nil {
		return nil, fmt.Errorf("start the lab with test/lab/run: %w", err)
	}
	s := &Stand{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, err
	}
	return s, s.Trust()
}

// Trust reads the demo's authority.
func (s *Stand) Trust() error {
	pair, err := tls.LoadX509KeyPair(s.CAFile, filepath.Join(filepath.Dir(s.CAFile), "ca.key"))
	if err != nil {
		return err
	}
	s.ca, s.key, s.Roots = pair.Leaf, pair.PrivateKey.(crypto.Signer), x509.NewCertPool()
	s.Roots.AddCert(s.ca)
	return nil
}

// Take gives a person without troubles whom nobody else uses, with an app for one-time
// codes or without.
func (s *Stand) Take(app bool) Person {
	for _, p := range s.People {
		if p.Trouble != "" || (p.TOTPSecret != "") != app {
			continue
		}
		mark, err := os.OpenFile(filepath.Join(s.Taken, p.User), os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err = errors.Join(err, mark.Close()); err != nil {
			panic(err)
		}
		return p
	}
	panic("stand: nobody is left")
}

// Left says how many people nobody took.
func (s *Stand) Left() string {
	apps, plain := 0, 0
	for _, p := range s.People {
		_, err := os.Stat(filepath.Join(s.Taken, p.User))
		switch {
		case p.Trouble != "" || err == nil:
		case p.TOTPSecret != "":
			apps++
		default:
			plain++
		}
	}
	return fmt.Sprintf("left: %d people with an app, %d without", apps, plain)
}

// Transport reaches every host below localhost on this machine (RFC 6761 6.3) and
// trusts the demo's authority.
func (s *Stand) Transport() *http.Transport {
	d := &net.Dialer{Timeout: 30 * time.Second}
	return &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: s.Roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil || !strings.HasSuffix(host, ".localhost") {
				return nil, fmt.Errorf("stand: %s is not in the lab", address)
			}
			return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
}

// Client is an HTTP client over Transport.
func (s *Stand) Client() *http.Client {
	return &http.Client{Transport: s.Transport(), Timeout: time.Minute}
}

// Browser is a fresh browser of a person, standing in one of the demo's networks.
func (s *Stand) Browser(tr http.RoundTripper, p Person, network string) *walk.Walker {
	who := walk.Person{User: p.User, Password: p.Password}
	if p.TOTPSecret != "" {
		who.Code = func() string { return Code(p.TOTPSecret, time.Now()) }
	}
	w := walk.New(walk.Gate{Origin: s.SSO, Roots: s.Roots}, tr, who)
	w.Header.Set("X-Demo-Network", network)
	return w
}

// SignOut ends the session of a browser at the gate, as a person does.
func (s *Stand) SignOut(w *walk.Walker) error {
	p, err := w.Visit(context.Background(), s.SSO+"/signout")
	if err == nil {
		_, err = w.Press(context.Background(), p)
	}
	return err
}

// Listen serves handler at https://host on a free port and gives the origin.
func (s *Stand) Listen(host string, handler http.Handler) (string, error) {
	cert, err := s.Certificate(host)
	if err != nil {
		return "", err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return "", err
	}
	go http.Serve(l, handler) //nolint:errcheck // ends with the process
	return fmt.Sprintf("https://%s:%d", host, l.Addr().(*net.TCPAddr).Port), nil
}

// Certificate issues a certificate for a host below localhost.
func (s *Stand) Certificate(host string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	number, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, s.ca, key.Public(), s.key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// CertificateFiles writes a certificate and its key for a server that is no Go program.
func (s *Stand) CertificateFiles(host string) (certFile, keyFile string, err error) {
	cert, err := s.Certificate(host)
	if err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(s.Work, host+".pem"), filepath.Join(s.Work, host+".key")
	return certFile, keyFile, errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o644),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}

// Party is a service to be registered.
type Party struct {
	ID           string            `json:"id"`
	Protocol     string            `json:"protocol"`
	Names        map[string]string `json:"names"`
	Consent      string            `json:"consent"`
	Release      []Release         `json:"release"`
	Registration map[string]any    `json:"registration"`
}

// Release lets one attribute leave.
type Release struct {
	Attribute string `json:"attribute"`
	Required  bool   `json:"required,omitempty"`
}

// Register adds a service with the program's own command and returns its secret.
func (s *Stand) Register(id string, registration map[string]any) (secret string, err error) {
	p := Party{
		ID: id, Protocol: "oidc", Names: map[string]string{"ja": id, "en": id}, Consent: "none", Registration: registration,
		Release: []Release{
			{Attribute: "userName"}, {Attribute: "displayName"}, {Attribute: "displayName;ja"}, {Attribute: "displayName;ja-Kana"}, {Attribute: "familyName"}, {Attribute: "givenName"},
			{Attribute: "mail"}, {Attribute: "preferredLanguage"}, {Attribute: "groups"}, {Attribute: "eduPersonAffiliation"},
		},
	}
	shown, err := s.Import(p)
	return shown["client_secret"], err
}

// Import adds a service with the program's own command and gives what it showed.
func (s *Stand) Import(p Party) (map[string]string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Program, "--config", s.Config, "party", "import", "-", "--json")
	cmd.Stdin = bytes.NewReader(text)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("seimon party import: %w: %s", err, errs.String())
	}
	var shown map[string]map[string]string
	if err := json.Unmarshal(out.Bytes(), &shown); err != nil {
		return nil, err
	}
	return shown[p.ID], nil
}

// Port is a free port for a program that starts later. It lies below those that the
// system gives to whoever connects somewhere, so that it is still free then.
func Port() (int, error) {
	for range 100 {
		port := 10000 + mathrand.IntN(20000) //nolint:gosec // no secret
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no port is free")
}

// Fetch gets a page and gives its status and body.
func Fetch(c *http.Client, req *http.Request) (int, http.Header, []byte, error) {
	res, err := c.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(res.Body)
	return res.StatusCode, res.Header, body.Bytes(), err
}

// Query reads one value of an address.
func Query(u *url.URL, name string) string { return u.Query().Get(name) }
