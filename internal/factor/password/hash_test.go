package password

import (
	"strings"
	"testing"
)

// One password in every format, made by OpenSSL, Apache htpasswd, Python's hashlib
// and the reference implementation of Argon2.
var foreign = map[string]string{
	"crypt sha512":        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	"crypt sha512 rounds": "$6$rounds=5000$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
	"crypt sha256":        "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
	"crypt md5":           "$1$abcdefgh$fzmjzFdo5nMtBG8gtud5e0",
	"bcrypt":              "$2y$05$iZm7hqTSb4crSkxPx7vxAuxpEuCweVHgfhPmWVD5TqoOF3PrxpUEu",
	"directory crypt":     "{CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
	"directory bcrypt":    "{crypt}$2y$05$iZm7hqTSb4crSkxPx7vxAuxpEuCweVHgfhPmWVD5TqoOF3PrxpUEu",
	"sha":                 "{SHA}00hq6RNueFa8QiEjhep5cJRHWAI=",
	"ssha":                "{SSHA}WsOLLgG1Q5zqWiRvrXIOScePoQ0BAgMEBQYHCA==",
	"ssha small":          "{ssha}WsOLLgG1Q5zqWiRvrXIOScePoQ0BAgMEBQYHCA==\n",
	"ssha256":             "{SSHA256}9vUkLnYi2DEj00d+d902YyvEkPPW3bbEwoB0yNkFak0BAgMEBQYHCA==",
	"ssha384":             "{SSHA384}65ZZScXTupSWNc/UwZupl4nbg68bPmZ2Oi2Q5+9+Qw6g6YMlIU1c1Y5T8GjT9/z1AQIDBAUGBwg=",
	"ssha512":             "{SSHA512}72y+yLU2wDbrJxtJSb5PyHQSXiJSNtSp/NTyEYxeTLy5CkQ0/QlgymwL190Wjx87Tq0abRBUuLEutxmABFGs8AECAwQFBgcI",
	"argon2id":            "$argon2id$v=19$m=4096,t=3,p=2$c2FsdHNhbHRzYWx0c2FsdA$JL0zc20TU2idP7+tlWb4CSIHoIraYfQwEZDm3J/g39g",
	"directory argon2id":  "{ARGON2}$argon2id$v=19$m=4096,t=3,p=2$c2FsdHNhbHRzYWx0c2FsdA$JL0zc20TU2idP7+tlWb4CSIHoIraYfQwEZDm3J/g39g",
}

const foreignPassword = "Hello world!"

func light() *Factor { return New(Config{Memory: 64, Time: 1, Parallel: 2}, nil) }

func TestForeignHashesAreRead(t *testing.T) {
	f := light()
	for name, h := range foreign {
		if err := CheckHash(h); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for typed, want := range map[string]bool{foreignPassword: true, "Ｈｅｌｌｏ ｗｏｒｌｄ！": true, "Hello world": false, "hello world!": false, "": false} {
			j, err := f.judge(typed, tidyHash(h), nil)
			if err != nil || j.right != want {
				t.Errorf("%s: %q gives %v, %v", name, typed, j.right, err)
			}
			if j.better == "" {
				t.Errorf("%s: no better hash is made", name)
			}
			if again, err := f.judge(typed, j.better, nil); err != nil || !again.right || again.better != "" {
				t.Errorf("%s: the better hash does not hold: %+v, %v", name, again, err)
			}
		}
	}
}

func TestReferenceHashWithOurParametersIsKept(t *testing.T) {
	f := New(Config{}, nil)
	j, err := f.judge("正門の猫がねむる春", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$Fjk1XQGztU+cAIOcGS0pJV2MKyhXxJxSEGIMaAti0pA", nil)
	if err != nil || !j.right || j.better != "" {
		t.Errorf("%+v, %v", j, err)
	}
}

func TestUnreadableHashesAreRefused(t *testing.T) {
	for _, h := range []string{
		"", "plain", "{}", "{SSHA}", "{SSHA}!!!", "{SHA}WsOLLgG1Q5zqWiRvrXIOScePoQ0BAgMEBQYHCA==", // SHA with a salt
		"{SSHA}00hq6RNueFa8QiEjhep5cJRHWAI=", // SSHA without one
		"{MD5}XrY7u+Ae7tCTyyK7j1rNww==", "{CRYPT}ab01FAX.bQRSU", "{CLEARTEXT}secret", "$y$j9T$salt$hash", "$0$secret",
		"$2y$31$iZm7hqTSb4crSkxPx7vxAuxpEuCweVHgfhPmWVD5TqoOF3PrxpUEu",  // would run for days
		"$6$rounds=999999999$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwS", // the same
		"$argon2id$v=19$m=4294967295,t=3,p=2$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
		"$argon2id$v=19$m=4096,t=0,p=2$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
		"$argon2id$v=16$m=4096,t=3,p=2$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
		"$argon2id$v=19$m=4096,t=3,p=2$c2FsdHNhbHQ$", "$argon2id$v=19$m=4096,t=3,p=2,x=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
	} {
		if CheckHash(h) == nil {
			t.Errorf("accepted %q", h)
		}
	}
}

func TestOlderParametersAreReplaced(t *testing.T) {
	old, now := New(Config{Memory: 64, Time: 1}, nil), New(Config{Memory: 128, Time: 1}, nil)
	salt := randomBytes(saltLength)
	h := encode(old.params, salt, old.params.tag("abc", salt, tagLength))
	j, err := now.judge("abc", h, nil)
	if err != nil || !j.right || !strings.Contains(j.better, "m=128,t=1,p=1") {
		t.Errorf("%+v, %v", j, err)
	}
}

func TestConfigIsJudged(t *testing.T) {
	for _, c := range []Config{{Memory: 4}, {Memory: 2 << 20}, {Time: 65}, {Threads: 17}, {Parallel: -1}, {Queue: -1}, {Decoys: []string{"plain"}}} {
		if c.Check() == nil {
			t.Errorf("accepted %+v", c)
		}
	}
	if err := (Config{}).Check(); err != nil {
		t.Error(err)
	}
}

func FuzzCheckHash(f *testing.F) {
	for _, h := range foreign {
		f.Add(h, "Hello world!")
	}
	light := New(Config{Memory: 8, Time: 1}, nil)
	f.Fuzz(func(t *testing.T, h, typed string) {
		if CheckHash(h) != nil || strings.Contains(h, "rounds=") || strings.Contains(h, "$2") || strings.Contains(h, "argon2") {
			return // unreadable, or sane but slow
		}
		j, err := light.judge(typed, tidyHash(h), nil)
		if err != nil {
			t.Fatalf("%q was accepted and cannot be judged: %v", h, err)
		}
		if j.right && len(typed) > MaxBytes {
			t.Fatal("an over-long password is right")
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$Fjk1XQGztU+cAIOcGS0pJV2MKyhXxJxSEGIMaAti0pA")
	f.Fuzz(func(t *testing.T, h string) {
		p, salt, tag, err := decode(h)
		if err == nil && encode(p, salt, tag) != h {
			t.Errorf("%q reads as %q", h, encode(p, salt, tag))
		}
	})
}
