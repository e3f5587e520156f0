package password

import (
	"context"
	"net/url"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"seimon/internal/authn"
	"seimon/internal/factor"
)

// BenchmarkFloor is bare Argon2id with the default parameters: what Verify cannot beat.
func BenchmarkFloor(b *testing.B) {
	salt := randomBytes(saltLength)
	b.ReportAllocs()
	for b.Loop() {
		argon2.IDKey([]byte("purple elephants sing"), salt, 2, 19<<10, 1, tagLength)
	}
}

// BenchmarkFloorParallel is the same on all processors.
func BenchmarkFloorParallel(b *testing.B) {
	salt := randomBytes(saltLength)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			argon2.IDKey([]byte("purple elephants sing"), salt, 2, 19<<10, 1, tagLength)
		}
	})
}

func sample(b *testing.B) (*Factor, factor.Attempt, factor.Answer) {
	f := New(Config{}, nil)
	row, err := f.Prepare(context.Background(), "acc_1", "purple elephants sing", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	a := factor.Attempt{Subject: authn.Subject{Account: "acc_1"}, Bindings: []factor.Binding{row}, Now: time.Now()}
	return f, a, factor.Answer{Form: url.Values{"password": {"purple elephants sing"}}}
}

// BenchmarkVerify is a right password, without the commit.
func BenchmarkVerify(b *testing.B) {
	f, a, ans := sample(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Verify(context.Background(), a, ans); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyParallel is the same on all processors.
func BenchmarkVerifyParallel(b *testing.B) {
	f, a, ans := sample(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := f.Verify(context.Background(), a, ans); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkBlockList judges a new password against everything known of a person.
func BenchmarkBlockList(b *testing.B) {
	list := newBlockList([]string{"Toyohashi", "豊橋"})
	who := somebody()
	b.ReportAllocs()
	for b.Loop() {
		list.judge("むらさきの象がしずかに歌う purple 2026", who)
	}
}

// BenchmarkListed is what a sign-in adds to the hash: is the password on the list?
func BenchmarkListed(b *testing.B) {
	list := newBlockList(nil)
	for b.Loop() {
		list.listed("purple elephants sing")
	}
}
