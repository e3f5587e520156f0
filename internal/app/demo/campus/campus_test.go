package campus

import (
	"crypto/rand"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"seimon/internal/authn"
	"seimon/internal/factor"
	"seimon/internal/factor/password"
	"seimon/internal/store/storetest"
)

var rewrite = flag.Bool("rewrite", false, "write hashes.txt anew")

// plain hands payloads through unsealed, to look into a binding that was just made.
type plain struct{}

func (plain) Seal(_ string, b []byte) []byte            { return b }
func (plain) Unseal(_ string, b []byte) ([]byte, error) { return b, nil }

func TestEverybodyIsDifferentAndBelievable(t *testing.T) {
	users, names, numbers := map[string]bool{}, map[string]int{}, map[string]int{}
	troubles := map[Trouble]int{}
	for _, p := range People() {
		if users[p.User] {
			t.Errorf("user name %s twice", p.User)
		}
		users[p.User] = true
		names[p.Family+" "+p.Given]++
		numbers[p.Number]++
		troubles[p.Trouble]++
		if len(p.Password) < 15 {
			t.Errorf("%s: password %q is too short to stand alone", p.User, p.Password)
		}
		if p.Hash == "" || p.Trouble == Changed && p.FormerHash == "" {
			t.Errorf("%s: no hash; run go test ./internal/app/demo/campus -rewrite", p.User)
		}
		if err := password.CheckHash(p.Hash); err != nil {
			t.Errorf("%s: %v", p.User, err)
		}
	}
	if len(users) < 220 || len(users) > 240 {
		t.Errorf("%d people", len(users))
	}
	twice := 0
	for _, n := range numbers {
		if n == 2 {
			twice++
		}
	}
	if twice != 1 {
		t.Errorf("%d people have two accounts", twice)
	}
	for _, want := range []Trouble{None, Pending, Suspended, Expired, Early, MustChange, Changed, Replaced, Unfinished} {
		if troubles[want] == 0 {
			t.Errorf("nobody has the trouble %q", want)
		}
	}
}

// hash is Argon2id with the product's default parameters, as a PHC string.
func hash(secret string) string {
	salt := make([]byte, 16)
	rand.Read(salt) //nolint:errcheck // never fails
	tag := argon2.IDKey([]byte(secret), salt, 2, 19<<10, 1, 32)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=2,p=1$%s$%s", argon2.Version, 19<<10, b64.EncodeToString(salt), b64.EncodeToString(tag))
}

// TestHashesFit checks a few of the hashes, and with -rewrite makes all of them.
func TestHashesFit(t *testing.T) {
	db, _ := storetest.Open(t, factor.Schema())
	f := password.New(password.Config{}, factor.NewBindings(db, plain{}))
	if *rewrite {
		var out strings.Builder
		seen := map[string]bool{"": true}
		for _, p := range roster() {
			for _, secret := range []string{p.Password, p.Former} {
				if seen[secret] {
					continue
				}
				seen[secret] = true
				out.WriteString(secret + " " + hash(secret) + "\n")
			}
		}
		if err := os.WriteFile("hashes.txt", []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i, p := range People() {
		if i%17 != 0 && p.Trouble != MustChange {
			continue
		}
		b, err := password.Import("acc_x", p.Hash, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		v, err := f.Verify(t.Context(), factor.Attempt{Subject: authn.Subject{Account: "acc_x"}, Bindings: []factor.Binding{b}, Now: time.Now()}, factor.Answer{Form: map[string][]string{"password": {p.Password}}})
		if err != nil {
			t.Errorf("%s: the hash does not fit the password: %v", p.User, err)
		}
		if (v.MustChange != "") != (p.Trouble == MustChange) {
			t.Errorf("%s: the password %q must change: %q", p.User, p.Password, v.MustChange)
		}
	}
}
