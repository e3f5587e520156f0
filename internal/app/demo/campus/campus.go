// Package campus is the believable university of the demo: about 230 people of
// 正門大学 with names in every script, their passwords and apps, and a few in each
// kind of trouble.
//
// It holds plain data and is the same at every start. The hashes of the passwords
// are kept beside it (hashes.txt), because making so many takes longer than a
// demo may take to start; its test checks that they fit. It does not put anybody
// into a directory: the demo does.
package campus

import (
	_ "embed"
	"encoding/base32"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// Trouble is why somebody cannot simply sign in.
type Trouble string

// The troubles that the demo shows.
const (
	None       Trouble = ""
	Pending    Trouble = "pending"    // waits for the activation letter
	Suspended  Trouble = "suspended"  // stopped by the university
	Expired    Trouble = "expired"    // has left
	Early      Trouble = "early"      // has not begun yet
	MustChange Trouble = "change"     // the password is on the list of well-known ones
	Changed    Trouble = "changed"    // the password was changed lately; the old one is still saved somewhere
	Replaced   Trouble = "replaced"   // the app was registered again on another phone
	Unfinished Trouble = "unfinished" // the app's registration was never confirmed
)

// Person is one account of the demo and whose it is.
type Person struct {
	User     string
	Password string
	Hash     string // Argon2id, of Password
	// Former is a password that was replaced, with Trouble Changed.
	Former     string
	FormerHash string
	Kind       string // student, faculty, staff, parttime

	Family, Given           string
	FamilyKana, GivenKana   string
	FamilyLatin, GivenLatin string

	Groups []string
	Number string // student or staff number; the same for two accounts of one person
	Mail   string
	// Secret is the base32 secret of the one-time password app; empty for people without one.
	Secret string
	// OldSecret is the secret of the registration that Secret replaced.
	OldSecret string
	Trouble   Trouble
	English   bool // prefers English
}

//go:embed hashes.txt
var hashes string

const (
	students = 120
	faculty  = 35
	staff    = 30
	parttime = 12
	seniors  = 30 // students of the year before
)

// People lists everybody; the first dozen are those that a visitor should meet first.
func People() []Person {
	all := roster()
	given := map[string]string{}
	for line := range strings.Lines(hashes) {
		if password, hash, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			given[password] = hash
		}
	}
	for i := range all {
		all[i].Hash, all[i].FormerHash = given[all[i].Password], given[all[i].Former]
	}
	return all
}

// roster is People without the hashes.
func roster() []Person {
	var all []Person
	add := func(kind string, n int, user func(i int, p Person) string) {
		for i := range n {
			p := someone(len(all))
			p.Kind, p.Groups = kind, []string{kind}
			p.User = user(i, p)
			p.Number = strings.ToUpper(p.User)
			p.Mail = p.User + "@seimon.example"
			p.Password = phrase(p.User)
			all = append(all, p)
		}
	}
	add("student", students, func(i int, _ Person) string { return fmt.Sprintf("s26%05d", 10001+i*37) })
	add("faculty", faculty, func(i int, p Person) string { return fmt.Sprintf("%s%02d", strings.ToLower(p.FamilyLatin), i+1) })
	add("staff", staff, func(i int, p Person) string { return fmt.Sprintf("j%04d", 1201+i*13) })
	add("parttime", parttime, func(i int, p Person) string { return fmt.Sprintf("p%04d", 3001+i*17) })
	add("student", seniors, func(i int, _ Person) string { return fmt.Sprintf("s25%05d", 10019+i*41) })
	for i := range all {
		furnish(i, &all[i])
	}
	second := all[students]
	second.User, second.Kind, second.Groups = "p9001", "parttime", []string{"parttime"}
	second.Mail, second.Password = "p9001@seimon.example", phrase("p9001")
	return append(all, second)
}

// furnish gives each person an app or not, a language, and to a few a trouble.
func furnish(i int, p *Person) {
	if i%3 != 1 {
		p.Secret = secret(p.User, "app")
	}
	p.English = i%11 == 7
	if p.Kind == "staff" && i%4 == 0 {
		p.Groups = append(p.Groups, "payroll-office")
	}
	troubles := map[int]Trouble{
		2: Replaced, 4: Unfinished, 5: Pending, 6: Suspended, 7: Expired, 8: Early, 9: MustChange, 10: Changed,
		34: Pending, 41: Suspended, 55: Expired, 62: Unfinished, 77: Replaced, 90: Changed,
	}
	p.Trouble = troubles[i]
	switch p.Trouble {
	case Replaced:
		p.Secret, p.OldSecret = secret(p.User, "new"), secret(p.User, "old")
	case Unfinished:
		p.Secret = ""
	case MustChange:
		p.Password = "sakurasakurasakura"
	case Changed:
		p.Former = "furui-" + p.Password
	}
}

// someone picks the i-th combination of names; none comes twice.
func someone(i int) Person {
	f, g := families(), givens()
	family, given := f[(i*7)%len(f)], g[(i*5+i/len(f)*3)%len(g)]
	return Person{
		Family: family.kanji, Given: given.kanji, FamilyKana: family.kana, GivenKana: given.kana,
		FamilyLatin: family.latin, GivenLatin: given.latin,
	}
}

// phrase makes the same three words and number for a user name at every start.
func phrase(user string) string {
	h := fnv.New64a()
	h.Write([]byte("password of " + user)) //nolint:errcheck // never fails
	n, words := h.Sum64(), scenery()
	pick := func() string { // no word twice: a repeated word is as weak as one
		i := int(n % uint64(len(words)))
		n /= uint64(len(words))
		w := words[i]
		words = slices.Delete(words, i, i+1)
		return w
	}
	return fmt.Sprintf("%s-%s-%s-%03d", pick(), pick(), pick(), n%1000)
}

// secret makes the same 160 bits for a user name at every start.
func secret(user, use string) string {
	var raw []byte
	for i := range 3 {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s of %s, part %d", use, user, i) //nolint:errcheck // never fails
		raw = h.Sum(raw)
	}
	return base32.StdEncoding.EncodeToString(raw[:20])
}
