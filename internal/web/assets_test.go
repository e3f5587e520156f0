package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// signInWeight is the most that a sign-in page may weigh in all, in bytes.
const signInWeight = 50_000

func TestAssetsNeverChangeUnderTheirName(t *testing.T) {
	s, _ := testSite(t, nil)
	for _, name := range []string{"style.css", "app.js", "gate.svg", "logo.svg"} {
		address := s.Asset(name)
		w := ask(s, "GET", address)
		says(t, w, http.StatusOK)
		if got := w.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
		if w.Header().Get("Content-Encoding") != "" || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %v", name, w.Header())
		}
		zipped := ask(s, "GET", address, header("Accept-Encoding", "br, gzip;q=0.8"))
		if zipped.Header().Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(zipped.Body)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil || !bytes.Equal(plain, w.Body.Bytes()) {
				t.Errorf("%s: the compressed form differs", name)
			}
		}
		if refused := ask(s, "GET", address, header("Accept-Encoding", "gzip;q=0")); refused.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: gzip was refused but sent", name)
		}
	}
	if w := ask(s, "GET", s.Asset("style.css"), header("Accept-Encoding", "gzip")); w.Header().Get("Content-Encoding") != "gzip" {
		t.Error("the stylesheet is not compressed")
	}
	other, _ := testSite(t, func(c *Config) { c.Brand.Colour = "#aa0000" })
	if other.Asset("style.css") == s.Asset("style.css") {
		t.Error("another colour has the same address")
	}
	for _, path := range []string{"/assets/", "/assets/style.css", "/assets/style.000000000000.css", "/assets/..%2fsite.go"} {
		if w := ask(s, "GET", path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestSignInPageIsLight(t *testing.T) {
	s, _ := testSite(t, nil)
	add(t, s, `{{define "a.signin"}}<form method="post">{{template "web.field" dict "Name" "user" "Label" "User name" "Hint" "s1234567" "Autocomplete" "username" "Focus" true}}{{template "web.password" dict "Name" "password" "Label" "Password" "Error" "Wrong"}}{{template "web.code" dict "Name" "code" "Label" "Code"}}{{template "web.notice" dict "Kind" "error" "Title" "T" "Text" "N"}}{{template "web.button" dict "Label" "Go"}}</form>{{end}}`)
	s.Page("GET /signin", func(w http.ResponseWriter, r *http.Request) error {
		return s.Render(w, r, View{Template: "a.signin", Title: "web.notice", Focus: true, Support: "7KQ2-MHXD"})
	})
	page := ask(s, "GET", "/signin").Body.String()
	total := len(page)
	for _, found := range regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1) {
		total += ask(s, "GET", found[1]).Body.Len()
	}
	if total > signInWeight {
		t.Errorf("a sign-in page weighs %d bytes, more than %d", total, signInWeight)
	}
	for _, bad := range []string{"<style", "style=", "onclick", "<script>", "http://"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	for _, want := range []string{`for="f-user"`, `aria-describedby="f-user-hint"`, `aria-describedby="f-password-error"`, `autocomplete="username"`, `autocomplete="current-password"`, `autocomplete="one-time-code"`, `inputmode="numeric"`, `role="alert"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestBuiltAssetsComeFromTheirSources(t *testing.T) {
	fresh := t.TempDir()
	out, err := exec.Command("../../scripts/assets", fresh).CombinedOutput()
	if err != nil {
		t.Fatalf("scripts/assets: %v\n%s", err, out)
	}
	for _, dir := range [][2]string{{fresh, "assets/built"}, {"assets/built", fresh}} {
		files, err := filepath.Glob(dir[0] + "/*")
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			a, errA := os.ReadFile(file)
			b, errB := os.ReadFile(filepath.Join(dir[1], filepath.Base(file)))
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Errorf("%s is not what the sources give: run scripts/assets", filepath.Base(file))
			}
		}
	}
}

// palette reads the colours of one scheme out of the stylesheet.
func palette(t *testing.T, css, start string) map[string]colour {
	t.Helper()
	_, block, ok := strings.Cut(css, start)
	if !ok {
		t.Fatalf("no %q in the stylesheet", start)
	}
	block, _, _ = strings.Cut(block, "}")
	colours := map[string]colour{}
	for _, found := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
		c, err := parseColour(found[2])
		if err != nil {
			t.Fatal(err)
		}
		colours[found[1]] = c
	}
	return colours
}

func TestStylesheetHasContrastInBothSchemes(t *testing.T) {
	css, err := os.ReadFile("assets/src/style.css")
	if err != nil {
		t.Fatal(err)
	}
	for scheme, start := range map[string]string{"light": ":root {\n  color-scheme", "dark": "(prefers-color-scheme: dark) {\n  :root {"} {
		p := palette(t, string(css), start)
		paper := map[string]colour{"light": lightPaper, "dark": darkPaper}[scheme]
		if p["sunk"] != paper {
			t.Errorf("%s: --sunk is %s, the brand is measured against %s", scheme, p["sunk"], paper)
		}
		texts := []string{"text", "soft", "brand", "info", "warn", "error", "good"}
		for _, ink := range texts {
			for _, ground := range []string{"ground", "card", "sunk"} {
				if c := contrast(p[ink], p[ground]); c < 4.5 { // WCAG 2.2, 1.4.3
					t.Errorf("%s: --%s on --%s has %.2f", scheme, ink, ground, c)
				}
			}
		}
		for _, tone := range []string{"info", "warn", "error", "good"} {
			for _, ink := range []string{"text", tone} {
				if c := contrast(p[ink], p[tone+"-wash"]); c < 4.5 {
					t.Errorf("%s: --%s on --%s-wash has %.2f", scheme, ink, tone, c)
				}
			}
		}
		if c := contrast(p["on-brand"], p["brand"]); c < 4.5 {
			t.Errorf("%s: --on-brand has %.2f", scheme, c)
		}
		for _, ground := range []string{"ground", "card"} {
			if c := contrast(p["edge"], p[ground]); c < 3 { // WCAG 2.2, 1.4.11
				t.Errorf("%s: --edge on --%s has %.2f", scheme, ground, c)
			}
		}
	}
}

func TestEveryBrandColourReads(t *testing.T) {
	for r := 0; r < 256; r += 15 {
		for g := 0; g < 256; g += 15 {
			for b := 0; b < 256; b += 15 {
				c := colour{uint8(r), uint8(g), uint8(b)}
				for _, paper := range []colour{lightPaper, darkPaper} {
					shown := c.against(paper, contrastText)
					if got := contrast(shown, paper); got < 4.5 {
						t.Fatalf("%s becomes %s with %.2f on %s", c, shown, got, paper)
					}
					if got := contrast(shown, shown.ink()); got < 4.5 {
						t.Fatalf("%s on %s has %.2f", shown.ink(), shown, got)
					}
				}
				if hue, saturation, lightness := c.hsl(); distance(fromHSL(hue, saturation, lightness), c) > 1 {
					t.Fatalf("%s does not survive the way through HSL", c)
				}
			}
		}
	}
	if got := contrast(colour{}, colour{255, 255, 255}); math.Abs(got-21) > 0.001 {
		t.Errorf("black on white has %.3f", got)
	}
	for _, bad := range []string{"", "#fff", "red", "#12345g", "#1234567", "#+12345"} {
		if c, err := parseColour(bad); err == nil {
			t.Errorf("%q became %s", bad, c)
		}
	}
}

// distance is the greatest difference of any part.
func distance(a, b colour) float64 {
	return max(math.Abs(float64(a.r)-float64(b.r)), math.Abs(float64(a.g)-float64(b.g)), math.Abs(float64(a.b)-float64(b.b)))
}
