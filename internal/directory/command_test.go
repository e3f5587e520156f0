package directory_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/text/encoding/japanese"

	"seimon/internal/authn"
	"seimon/internal/directory"
	"seimon/internal/store"
)

// office is the building as the commands see it.
type office struct {
	house
	out    bytes.Buffer
	files  map[string]string
	notes  []string
	ended  []authn.AccountID
	hashes map[authn.AccountID]string
}

func openOffice(t testing.TB) *office {
	return &office{house: open(t), files: map[string]string{}, hashes: map[authn.AccountID]string{}}
}

func (o *office) Context() context.Context { return o.t.Context() }
func (o *office) Out() io.Writer           { return &o.out }

func (o *office) Open(name string) (io.ReadCloser, error) {
	text, ok := o.files[name]
	if !ok {
		return nil, fmt.Errorf("%s: no such file", name)
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

type memoryFile struct {
	bytes.Buffer
	close func(string)
}

func (m *memoryFile) Close() error { m.close(m.String()); return nil }

func (o *office) Create(name string) (io.WriteCloser, error) {
	if _, there := o.files[name]; there {
		return nil, fmt.Errorf("%s exists", name)
	}
	return &memoryFile{close: func(text string) { o.files[name] = text }}, nil
}

func (o *office) Office() (directory.Office, error) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	return directory.Office{
		DB: o.db, People: o.Directory, Actor: "cli:test", Zone: tokyo,
		Note: func(tx *store.Tx, event string, account authn.AccountID, facts map[string]string) error {
			tx.After(func() { o.notes = append(o.notes, event) })
			return nil
		},
		SignOut: func(tx *store.Tx, account authn.AccountID, why string) error {
			tx.After(func() { o.ended = append(o.ended, account) })
			return nil
		},
		Columns: []directory.Column{{
			Name: "password_hash",
			Check: func(v string) error {
				if !strings.HasPrefix(v, "$2") {
					return errors.New("is no hash we know")
				}
				return nil
			},
			Store: func(tx *store.Tx, account authn.AccountID, v string) error {
				tx.After(func() { o.hashes[account] = v })
				return nil
			},
		}},
	}, err
}

// run runs one command line and returns what it printed.
func (o *office) run(args ...string) (string, error) {
	o.t.Helper()
	var command directory.Command
	parser, err := kong.New(&command, kong.Exit(func(int) {}), kong.BindTo(o, (*directory.Env)(nil)))
	if err != nil {
		o.t.Fatal(err)
	}
	o.out.Reset()
	parsed, err := parser.Parse(args)
	if err != nil {
		return "", err
	}
	err = parsed.Run()
	return o.out.String(), err
}

func (o *office) must(args ...string) string {
	o.t.Helper()
	out, err := o.run(args...)
	if err != nil {
		o.t.Fatalf("%v: %v", args, err)
	}
	return out
}

func (o *office) refused(want string, args ...string) {
	o.t.Helper()
	if out, err := o.run(args...); err == nil || !strings.Contains(err.Error(), want) {
		o.t.Errorf("%v printed %q and ended with %v, want an error with %q", args, out, err, want)
	}
}

func (o *office) account(name string) (directory.Account, directory.Person) {
	o.t.Helper()
	var a directory.Account
	var p directory.Person
	o.read(func(tx *store.Tx) (err error) { a, p, err = o.ByUserName(tx, name); return err })
	return a, p
}

func TestUserCommands(t *testing.T) {
	o := openOffice(t)
	out := o.must("add", "s2600001", "--family", "正門", "--given", "花子", "--family-latin", "Seimon", "--given-latin", "Hanako",
		"--kind", "student", "--group", "students", "--mail", "hanako@seimon.example", "--mails-verified",
		"--valid-from", "2026-04-01", "--valid-until", "2030-03-31", "--attribute", "department=Letters, Arts")
	code := strings.TrimSpace(out[strings.LastIndex(out, ":")+1:])
	a, p := o.account("s2600001")
	if a.State != directory.Pending || a.Attributes["department"][0] != "Letters, Arts" || p.MailVerified.IsZero() ||
		!a.ValidUntil.Equal(time.Date(2030, 3, 31, 15, 0, 0, 0, time.UTC)) {
		t.Fatalf("%+v %+v", a, p)
	}
	second := strings.TrimSpace(o.must("activate-code", "S2600001", "--days", "10"))
	o.write(func(tx *store.Tx) error {
		if _, err := o.Activate(tx, code); authn.AsFault(err) == nil {
			t.Errorf("the first code still works: %v", err)
		}
		_, err := o.Activate(tx, second)
		return err
	})
	o.must("add", "ta-hanako", "--same-person-as", "s2600001", "--kind", "parttime", "--active", "--notify", "hanako@home.example")
	b, q := o.account("ta-hanako")
	if b.Person != a.Person || q.Notify != "hanako@home.example" || q.Name.Given != "花子" || b.State != directory.Active {
		t.Errorf("second account %+v of %+v", b, q)
	}
	o.must("set", "s2600001", "--given-latin", "Hana", "--add-group", "library", "--leave-group", "students", "--mail", "hana@seimon.example", "--notices", "every")
	a, p = o.account("s2600001")
	if p.Name.GivenLatin != "Hana" || strings.Join(a.Groups, " ") != "library" || p.Mail != "hana@seimon.example" || !p.MailVerified.IsZero() || p.Notices != directory.NoticeEvery {
		t.Errorf("%+v %+v", a, p)
	}
	o.must("suspend", "s2600001", "--why", "lost laptop")
	if len(o.ended) != 1 || o.ended[0] != a.ID {
		t.Errorf("signed out: %v", o.ended)
	}
	if out := o.must("show", "s2600001"); !strings.Contains(out, "suspended since 2026-04-06") || !strings.Contains(out, "lost laptop") || !strings.Contains(out, "before") {
		t.Error(out)
	}
	o.must("resume", "s2600001")
	var shown struct {
		State, User string
		Past        []struct{ State, Why string }
		Mail        struct{ Address, Verified string }
	}
	if err := json.Unmarshal([]byte(o.must("show", "s2600001", "--json")), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.State != "active" || len(shown.Past) != 3 || shown.Past[0].Why != "lost laptop" || shown.Mail.Verified != "" {
		t.Errorf("%+v", shown)
	}
	if out := o.must("list", "せいもん"); strings.Count(out, "\n") != 1 {
		t.Errorf("no reading was given, yet it was found: %s", out)
	}
	if out := o.must("list", "正門", "--limit", "1"); !strings.Contains(out, "--after s2600001") {
		t.Error(out)
	}
	want := "account.added account.letter account.changed account.added account.changed account.suspended account.active"
	if got := strings.Join(o.notes, " "); got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
}

func TestUserCommandsRefuse(t *testing.T) {
	o := openOffice(t)
	o.must("add", "e1", "--family", "佐藤", "--active", "--number", "42")
	o.refused("in use already", "add", "E1", "--family", "佐藤")
	o.refused("in use already", "add", "e2", "--family", "佐藤", "--number", "42")
	o.refused("looks like a mail address", "add", "e2@example.jp", "--family", "佐藤")
	o.refused("has no name", "add", "e2")
	o.refused("is not a mail address", "add", "e2", "--family", "佐藤", "--mail", "nowhere")
	o.refused("neither a day", "add", "e2", "--family", "佐藤", "--valid-from", "soon")
	o.refused("ends before it begins", "add", "e2", "--family", "佐藤", "--valid-from", "2026-04-02", "--valid-until", "2026-04-01")
	o.refused(`there is no account "e2"`, "show", "e2")
	o.refused(`there is no account "e2"`, "set", "e2", "--given", "x")
	o.refused("not suspended", "resume", "e1")
	o.refused("not waiting for activation", "activate-code", "e1")
	o.refused("--days", "activate-code", "e1", "--days", "0")
	o.refused("NAME=VALUE", "set", "e1", "--attribute", "x")
	o.read(func(tx *store.Tx) error {
		n, err := o.Count(tx)
		if n != 1 {
			t.Errorf("%d accounts", n)
		}
		return err
	})
}

const header = "user_name,person_number,kind,state,family,given,family_kana,given_kana,mail,mail_verified,groups,valid_until,attribute:department,password_hash\n"

func TestImport(t *testing.T) {
	o := openOffice(t)
	o.files["people.csv"] = "\uFEFF" + header +
		"s1,100,student,active,正門,花子,セイモン,ハナコ,s1@seimon.example,yes,students letters,2030-03-31,Letters|Arts,$2a$x\n" +
		"\"s2\",101,student,,\"山田\",太郎,ヤマダ,タロウ,s2@seimon.example,,students,,,\n" +
		"ta1,100,parttime,active,正門,花子,,,,,,,,\n"
	if out := o.must("import", "people.csv", "--preview"); out != "3 lines: 3 added, 0 changed, 0 unchanged, 0 refused (nothing was changed)\n" {
		t.Errorf("preview: %q", out)
	}
	if len(o.notes) != 0 {
		t.Fatal("a preview changed something")
	}
	if out := o.must("import", "people.csv", "--result", "result.csv"); out != "3 lines: 3 added, 0 changed, 0 unchanged, 0 refused\n" {
		t.Errorf("import: %q", out)
	}
	a, p := o.account("s1")
	b, _ := o.account("ta1")
	if a.State != directory.Active || len(a.Attributes["department"]) != 2 || p.MailVerified.IsZero() || a.Person != b.Person || o.hashes[a.ID] != "$2a$x" {
		t.Errorf("%+v %+v %+v %v", a, p, b, o.hashes)
	}
	lines := strings.Split(strings.TrimSpace(o.files["result.csv"]), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], "2,s1,added,"+string(a.ID)+",,") {
		t.Fatalf("result file: %s", o.files["result.csv"])
	}
	code := strings.Split(lines[2], ",")[4]
	o.write(func(tx *store.Tx) error {
		c, err := o.Activate(tx, code)
		if c.UserName != "s2" {
			t.Errorf("%s activates %s", code, c.UserName)
		}
		return err
	})
}

func TestImportChangesWhatIsThere(t *testing.T) {
	o := openOffice(t)
	o.files["a.csv"] = header + "s1,100,student,active,正門,花子,,,s1@seimon.example,yes,students,,Letters,\n" +
		"s2,101,student,active,山田,太郎,,,s2@seimon.example,yes,students,,,\n"
	o.must("import", "a.csv")
	o.refused("line 2: the user name is in use already", "import", "a.csv")
	o.files["b.csv"] = "user_name,kind,state,state_why,mail,attribute:department\n" +
		"S1,,suspended,left,,\n" +
		"s2,,,,taro@seimon.example,Arts\n" +
		"s3,student,active,,s3@seimon.example,\n"
	o.refused("line 4: the person has no name", "import", "b.csv", "--update")
	o.files["b.csv"] = strings.Replace(o.files["b.csv"], "s3,student,active,,s3@seimon.example,\n", "", 1)
	if out := o.must("import", "b.csv", "--update", "--json"); !strings.Contains(out, `"changed": 2`) || !strings.Contains(out, `"written": true`) {
		t.Error(out)
	}
	a, p := o.account("s1")
	if a.State != directory.Suspended || a.StateWhy != "left" || p.Mail != "s1@seimon.example" || len(o.ended) != 1 {
		t.Errorf("%+v %+v %v", a, p, o.ended)
	}
	b, q := o.account("s2")
	if q.Mail != "taro@seimon.example" || !q.MailVerified.IsZero() || b.Attributes["department"][0] != "Arts" {
		t.Errorf("%+v %+v", b, q)
	}
	if out := o.must("import", "b.csv", "--update"); !strings.Contains(out, "2 unchanged") {
		t.Error(out)
	}
}

func TestImportRefusesTheWholeFile(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"empty":            {"", "the file is empty"},
		"unknown column":   {"user_name,shoe_size\ns1,42\n", `line 1: the column "shoe_size" is unknown`},
		"no user names":    {"family,given\nx,y\n", "the column user_name is missing"},
		"column twice":     {"user_name,mail,mail\n", `line 1: the column "mail" is there twice`},
		"bad name":         {"user_name,family\ns1,山田\ns 2,山田\n", "line 3: the user name"},
		"same name twice":  {"user_name,family\ns1,山田\ns2,山田\nS1,山田\n", "line 4: the user name is the same as in line 2"},
		"short line":       {"user_name,family\ns1\n", "line 2: the line has another number of cells"},
		"bad state":        {"user_name,family,state\ns1,山田,gone\n", "line 2: there is no state"},
		"bad address":      {"user_name,family,mail\ns1,山田,x\n", "line 2: \"x\" is not a mail address"},
		"bad yes":          {"user_name,family,mail_verified\ns1,山田,maybe\n", "line 2: mail_verified must be yes or no"},
		"bad hash":         {"user_name,family,password_hash\ns1,山田,secret\n", "line 2: password_hash: is no hash we know"},
		"bad encoding":     {"user_name,family\ns1,\x8e\x52\x93\x63\n", "--encoding cp932"},
		"broken quotation": {"user_name,family\ns1,\"山田\n", "quote"},
		"line after many":  {"user_name,family\n" + rowsOf(1200) + "bad name,山田\n", "line 1202: the user name"},
	} {
		t.Run(name, func(t *testing.T) {
			o := openOffice(t)
			o.files["f.csv"] = c.file
			o.refused(c.want, "import", "f.csv", "--result", "r.csv")
			o.read(func(tx *store.Tx) error {
				n, err := o.Count(tx)
				if n != 0 || len(o.notes) != 0 {
					t.Errorf("%d accounts, notes %v", n, o.notes)
				}
				return err
			})
			if strings.HasPrefix(c.want, "line") && !strings.Contains(c.want, "column") && !strings.Contains(o.files["r.csv"], "refused") {
				t.Errorf("result file: %.300q", o.files["r.csv"])
			}
		})
	}
}

func rowsOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "s%06d,山田\n", i)
	}
	return b.String()
}

func TestImportFromExcel(t *testing.T) {
	o := openOffice(t)
	text, err := japanese.ShiftJIS.NewEncoder().String("user_name,family,given\r\ns1,髙橋,花子\r\n")
	if err != nil {
		text, err = japanese.ShiftJIS.NewEncoder().String("user_name,family,given\r\ns1,高橋,花子\r\n")
	}
	if err != nil {
		t.Fatal(err)
	}
	o.files["f.csv"] = text
	o.must("import", "f.csv", "--encoding", "cp932")
	if _, p := o.account("s1"); p.Name.Given != "花子" {
		t.Errorf("%+v", p.Name)
	}
}

func TestLargeImport(t *testing.T) {
	o := openOffice(t)
	o.files["f.csv"] = "user_name,family\n" + rowsOf(many)
	if out := o.must("import", "f.csv"); !strings.HasPrefix(out, fmt.Sprintf("%d lines: %[1]d added", many)) {
		t.Error(out)
	}
	if a, _ := o.account(fmt.Sprintf("s%06d", many-1)); a.UserName == "" || len(o.notes) != many {
		t.Errorf("%+v, %d notes", a, len(o.notes))
	}
}

func FuzzImport(f *testing.F) {
	f.Add("user_name,family\ns1,山田\n")
	f.Add("\uFEFF" + header + "s1,100,student,active,正門,花子,,,s1@seimon.example,yes,students,,Letters,\n")
	f.Add("user_name,family\n\"s1\",\"a\"\"b\"\n")
	o := openOffice(f)
	f.Fuzz(func(t *testing.T, text string) {
		o.t = t
		o.files["f.csv"] = text
		o.files["again.csv"] = text
		before := len(o.notes)
		_, err := o.run("import", "f.csv", "--preview")
		if len(o.notes) != before {
			t.Error("a preview changed something")
		}
		_, second := o.run("import", "again.csv", "--preview")
		if (err == nil) != (second == nil) {
			t.Errorf("the same file was judged differently: %v, %v", err, second)
		}
	})
}

func TestProofCommands(t *testing.T) {
	o := openOffice(t)
	o.must("add", "hanako", "--family", "正門", "--given", "花子", "--active")
	o.refused("at least one document", "proof", "add", "hanako", "--way", "in-person")
	o.refused(`no way of proofing "seen"`, "proof", "add", "hanako", "--way", "seen", "--document", "passport")
	o.refused("has not come yet", "proof", "add", "hanako", "--way", "in-person", "--document", "passport", "--at", "2099-01-01")
	o.refused("no account", "proof", "add", "nobody", "--way", "in-person", "--document", "passport")
	before := len(o.notes)
	o.must("proof", "add", "hanako", "--way", "in-person", "--document", "passport", "--document", "pension", "--by", "Sato", "--place", "desk 3")
	if len(o.notes) != before+1 || !strings.Contains(o.notes[before], "account.proofed") {
		t.Errorf("on record: %q", o.notes[before:])
	}
	if out := o.must("proof", "list", "hanako"); !strings.Contains(out, "passport pension") || !strings.Contains(out, "Sato (noted by ") || !strings.Contains(out, "desk 3") || !strings.Contains(out, "counts") {
		t.Error(out)
	}
	_, p := o.account("hanako")
	if len(p.Proofs) != 1 {
		t.Fatalf("%+v", p.Proofs)
	}
	o.refused("no such proof", "proof", "end", "hanako", "prf_other", "--why", "wrong person")
	o.must("proof", "end", "hanako", p.Proofs[0].ID, "--why", "wrong person")
	o.refused("no such proof", "proof", "end", "hanako", "--why", "again")
	if out := o.must("proof", "list", "hanako", "--json"); !strings.Contains(out, `"ended_why": "wrong person"`) || !strings.Contains(out, `"assurance": []`) {
		t.Error(out)
	}
}

func TestImportConfirmsAffiliations(t *testing.T) {
	o := openOffice(t)
	o.files["a.csv"] = "user_name,family,given,affiliations\ns1,正門,花子,student member\ns2,山田,太郎,\n"
	o.must("import", "a.csv")
	first, _ := o.account("s1")
	if other, _ := o.account("s2"); first.Affirmed.IsZero() || !other.Affirmed.IsZero() {
		t.Errorf("%v %v", first.Affirmed, other.Affirmed)
	}
	o.clock.Add(40 * 24 * time.Hour)
	o.files["b.csv"] = "user_name,mail\ns1,s1@seimon.example\n"
	o.must("import", "b.csv", "--update")
	if again, _ := o.account("s1"); !again.Affirmed.Equal(first.Affirmed) {
		t.Error("a file without affiliations confirms them")
	}
	if out := o.must("import", "a.csv", "--update"); !strings.Contains(out, "2 unchanged") {
		t.Error(out)
	}
	again, _ := o.account("s1")
	if other, _ := o.account("s2"); !again.Affirmed.After(first.Affirmed) || !other.Affirmed.IsZero() {
		t.Errorf("%v %v", again.Affirmed, other.Affirmed)
	}
	o.clock.Add(24 * time.Hour)
	o.must("set", "s1", "--affiliation", "student", "--affiliation", "member")
	if last, _ := o.account("s1"); !last.Affirmed.After(again.Affirmed) {
		t.Error("naming the affiliations does not confirm them")
	}
	o.must("set", "s1", "--user-name", "hanako.s")
	o.files["c.csv"] = "user_name,family,given\ns9,別,人\nS1,別,人\n"
	o.refused("line 3: the user name was another account's", "import", "c.csv")
}
