package totp

import (
	"strings"
	"testing"
	"time"
)

// RFC 6238, appendix B.
func TestVectorsOfTheStandard(t *testing.T) {
	key := strings.Repeat("1234567890", 7)
	secrets := map[Algorithm][]byte{SHA1: []byte(key[:20]), SHA256: []byte(key[:32]), SHA512: []byte(key[:64])}
	for at, want := range map[int64]map[Algorithm]string{
		59:          {SHA1: "94287082", SHA256: "46119246", SHA512: "90693936"},
		1111111109:  {SHA1: "07081804", SHA256: "68084774", SHA512: "25091201"},
		1111111111:  {SHA1: "14050471", SHA256: "67062674", SHA512: "99943326"},
		1234567890:  {SHA1: "89005924", SHA256: "91819424", SHA512: "93441116"},
		2000000000:  {SHA1: "69279037", SHA256: "90698825", SHA512: "38618901"},
		20000000000: {SHA1: "65353130", SHA256: "77737706", SHA512: "47863826"},
	} {
		for algorithm, code := range want {
			s := shape{Algorithm: algorithm, Digits: 8, Period: 30}
			if got := s.code(secrets[algorithm], s.step(time.Unix(at, 0))); got != code {
				t.Errorf("%s at %d: %s, want %s", algorithm, at, got, code)
			}
			s.Digits = 6
			if got := s.code(secrets[algorithm], s.step(time.Unix(at, 0))); got != code[2:] {
				t.Errorf("%s at %d: six digits %s, want %s", algorithm, at, got, code[2:])
			}
		}
	}
}

func FuzzLabel(f *testing.F) {
	for _, s := range []string{"My phone", "  スマート  フォン\n", "a\u202eb", "\xff", strings.Repeat("長", 60)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		label := labelOf(typed)
		if len([]rune(label)) > longestLabel || label != labelOf(label) || strings.ContainsAny(label, "\r\n\u202e") {
			t.Errorf("label %q", label)
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"v":1,"algorithm":"SHA1","digits":6,"period":30,"secret":"MTIzNDU2Nzg5MA=="}`), "123456")
	f.Fuzz(func(_ *testing.T, payload []byte, code string) {
		if r, err := readRecord(payload); err == nil {
			r.find(code, 2, 100, 100+r.Drift)
		}
	})
}
