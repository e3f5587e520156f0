package session_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"seimon/internal/lang"
	"seimon/internal/session"
)

func TestClassify(t *testing.T) {
	for agent, want := range map[string]string{
		chromeOnWindows: "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0":                      "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15":                              "Safari on macOS",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0":                                                               "Firefox on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1":            "Safari on iPhone",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.0.0 Mobile/15E148 Safari/604.1":         "Chrome on iPhone",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/140.0 Mobile/15E148 Safari/605.1.15":          "Firefox on iPhone",
		"Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) EdgiOS/142.0 Version/17.0 Mobile/15E148 Safari/604.1":        "Edge on iPad",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":                              "Chrome on Android",
		"Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S921Q) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36": "Samsung Internet on Android",
		"Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0":                                                                               "Firefox on Android",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36 Line/15.0.0":      "LINE on Android",
		"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                     "Firefox on Linux",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                                     "Chrome on ChromeOS",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 OPR/124.0.0.0":                      "Opera on Windows",
		"Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko":                                                                              "Internet Explorer on Windows",
		"curl/8.5.0":                "",
		"":                          "",
		"Chrome on Windows":         "Chrome on Windows",
		"Safari":                    "Safari",
		"Windows":                   "Windows",
		"<script>alert(1)</script>": "",
		"Chrome on <script>":        "",
		strings.Repeat("x", 5000) + " Windows Chrome/1": "",
	} {
		if got := session.Classify(agent).String(); got != want {
			t.Errorf("%.90q: %q, want %q", agent, got, want)
		}
	}
}

func TestDevicesAreNamedInBothLanguages(t *testing.T) {
	words, err := lang.New(time.UTC, session.Words())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ stored, ja, en string }{
		{"Chrome on Windows", "Windows の Chrome", "Chrome on Windows"},
		{"Firefox", "Firefox", "Firefox"},
		{"Android", "Android のブラウザー", "A browser on Android"},
		{"", "種類の分からないブラウザー", "A browser we do not recognise"},
	} {
		d := session.Classify(c.stored)
		if ja, en := d.In(words.In(lang.JA)), d.In(words.In(lang.EN)); ja != c.ja || en != c.en {
			t.Errorf("%q: %q, %q", c.stored, ja, en)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(chromeOnWindows)
	f.Add("Chrome on Windows")
	f.Fuzz(func(t *testing.T, agent string) {
		text := session.Classify(agent).String()
		if len(text) > 40 || !utf8.ValidString(text) || session.Classify(text).String() != text {
			t.Errorf("%q becomes %q", agent, text)
		}
	})
}
