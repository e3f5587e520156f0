package xmldoc

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWhatTwoReadersCouldReadDifferentlyIsRefused(t *testing.T) {
	deep := strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40)
	for text, want := range map[string]string{
		`<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`: "document type",
		`<a>&x;</a>`:                                   "entity",
		`<?xml version="1.0"?><?php x?><a/>`:           "processing instruction",
		`<a><?x y?></a>`:                               "processing instruction",
		`<a>user<!---->.evil</a>`:                      "comment",
		`<a><!-- x --><b/></a>`:                        "comment",
		`<a>x<b/></a>`:                                 "mixes",
		`<a><b/>x</a>`:                                 "mixes",
		`<a><![CDATA[x]]></a>`:                         "CDATA",
		`<a ID="1"><b ID="1"/></a>`:                    "stands twice",
		`<a ID="1"><b Id="1"/></a>`:                    "stands twice",
		`<a ID="1"><b xml:id="1"/></a>`:                "stands twice",
		`<a ID=""/>`:                                   "empty",
		`<a x="1" x="2"/>`:                             "stands twice",
		`<a xmlns:p="u" xmlns:q="u" p:x="1" q:x="2"/>`: "stands twice",
		`<a xmlns:p="u" xmlns:p="v"/>`:                 "declared twice",
		`<p:a/>`:                                       "not declared",
		`<a p:x="1"/>`:                                 "not declared",
		`<a xmlns:p=""/>`:                              "taken back",
		`<a xmlns:xmlns="u"/>`:                         "cannot be declared",
		`<a xmlns:xml="u"/>`:                           "cannot be declared",
		`<a xmlns:p="http://www.w3.org/XML/1998/namespace"/>`: "cannot be declared",
		`<a></b>`: "another name",
		`<a xmlns:p="u" xmlns:q="u"><p:b></q:b></a>`: "another name",
		`<a/><b/>`:                  "follows",
		`<a/>x`:                     "follows",
		`<a>`:                       "does not end",
		`<a`:                        "broken",
		``:                          "expected",
		`x`:                         "expected",
		`<a x=1/>`:                  "quotation",
		`<a x="<"/>`:                "<",
		`<a x="1"y="2"/>`:           "broken",
		`<a>]]></a>`:                "]]>",
		"<a>\x01</a>":               "no character",
		`<a>&#0;</a>`:               "no character",
		`<a>&#xD800;</a>`:           "no character",
		`<a>&#x110000;</a>`:         "no character",
		`<a>&#+65;</a>`:             "no character",
		"<a>\xff</a>":               "UTF-8",
		`<?xml version="1.1"?><a/>`: "XML 1.0",
		`<?xml version="1.0" encoding="UTF-16"?><a/>`: "XML 1.0",
		deep: "deeper",
		`<a>` + strings.Repeat("<b/>", 11000) + `</a>`:                       "elements",
		`<a>` + strings.Repeat("x", 300<<10) + `</a>`:                        "longer",
		`<a ` + strings.Repeat(`xmlns:`, 1) + `a="b"` + manyAttrs(70) + `/>`: "attributes",
	} {
		_, err := Parse([]byte(text), Limits{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %q", text, err, want)
		}
	}
}

func manyAttrs(n int) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(" x" + strings.Repeat("y", i) + `="1"`)
	}
	return out.String()
}

func TestProseTakesCommentsBetweenElementsOnly(t *testing.T) {
	for text, ok := range map[string]bool{
		"<!-- hello --><a><!-- x --><b>1</b></a><!-- end -->": true,
		"<a><![CDATA[1 < 2]]></a>":                            true,
		"<a>1<!-- x -->2</a>":                                 false,
		"<a><!-- x -->2</a>":                                  false,
		"<a><!-- x -- y --><b/></a>":                          false,
		"<a><!-- x </a>":                                      false,
		"<!DOCTYPE a><a/>":                                    false,
	} {
		n, err := Parse([]byte(text), Limits{Prose: true})
		if (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
		if ok && strings.Contains(text, "CDATA") && n.Text() != "1 < 2" {
			t.Errorf("text %q", n.Text())
		}
	}
}

// Cases of Exclusive XML Canonicalization 1.0 and of Canonical XML 1.0, 3.
func TestCanonicalForm(t *testing.T) {
	for _, c := range []struct{ in, path, keep, want string }{
		{`<n0:pdu xmlns:n0='http://a'  xmlns:n1="http://b"><n1:elem2 xml:lang="en" xmlns:n0="http://c"/></n0:pdu>`, "elem2", "",
			`<n1:elem2 xmlns:n1="http://b" xml:lang="en"></n1:elem2>`},
		{`<a xmlns="http://d" xmlns:x="http://x"><b/></a>`, "b", "", `<b xmlns="http://d"></b>`},
		{`<a xmlns="http://d" xmlns:x="http://x"><b/></a>`, "b", "x #default", `<b xmlns="http://d" xmlns:x="http://x"></b>`},
		{`<a xmlns="http://d"><b xmlns=""><c/></b></a>`, "", "", `<a xmlns="http://d"><b xmlns=""><c></c></b></a>`},
		{"<a b='1' a=\"2\"\txmlns:z='http://a' xmlns:y='http://b' y:k='3' z:k='4'>\r\n x &lt;&#13;&quot;&gt;\r</a>", "", "",
			"<a xmlns:y=\"http://b\" xmlns:z=\"http://a\" a=\"2\" b=\"1\" z:k=\"4\" y:k=\"3\">\n x &lt;&#xD;\"&gt;\n</a>"},
		{"<a v='x&#10;&#9;\n\"&amp;&lt;>'/>", "", "", `<a v="x&#xA;&#x9; &quot;&amp;&lt;>"></a>`},
		{`<p:a xmlns:p="u"><p:b xmlns:p="u"/><p:c xmlns:p="v"/></p:a>`, "", "", `<p:a xmlns:p="u"><p:b></p:b><p:c xmlns:p="v"></p:c></p:a>`},
		{`<p:a xmlns:p="u"><p:b xmlns:p="v"><p:c xmlns:p="u"/></p:b></p:a>`, "", "", `<p:a xmlns:p="u"><p:b xmlns:p="v"><p:c xmlns:p="u"></p:c></p:b></p:a>`},
		{`<a>日本&#x8A9E;</a>`, "", "", `<a>日本語</a>`},
	} {
		n, err := Parse([]byte(c.in), Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		n.Walk(func(x *Node) bool {
			if c.path == "" || x.Local == c.path {
				n = x
				return false
			}
			return true
		})
		if got := string(Canonical(n, strings.Fields(c.keep), nil)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestWhatIsWrittenIsCanonical(t *testing.T) {
	w := NewWriter(Spaces{"p": "urn:p", "q": "urn:q", "x": "urn:x"})
	w.Start("p:Root", "ID", "_1", "Empty", "", "q:z", "1", "A", "a\"<&\n", "x:z", "2")
	w.Leaf("q:Issuer", "a<b>&c\r d").Leaf("q:Issuer", "\x00\ufffe\xff").Leaf("plain", "")
	w.Start("q:Outer").Leaf("x:Inner", "日本", "xml:lang", "ja").End().End()
	n, err := Parse(w.Bytes(), Limits{})
	if err != nil {
		t.Fatalf("%v: %s", err, w.Bytes())
	}
	if got := Canonical(n, nil, nil); !bytes.Equal(got, w.Bytes()) {
		t.Errorf("canonical %s\nwritten   %s", got, w.Bytes())
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`<a xmlns="u" x="1">&lt;&#65;</a>`), false)
	f.Add([]byte("<?xml version='1.0'?><!-- c --><p:a xmlns:p='u'><b>\r\n</b></p:a>"), true)
	f.Add([]byte(`<a><![CDATA[x]]></a>`), true)
	f.Fuzz(func(t *testing.T, text []byte, prose bool) {
		n, err := Parse(text, Limits{Prose: prose})
		if err != nil {
			return
		}
		once := Canonical(n, nil, nil)
		again, err := Parse(once, Limits{Bytes: 1 << 24})
		if err != nil {
			t.Fatalf("the canonical form is refused: %v: %q of %q", err, once, text)
		}
		if twice := Canonical(again, nil, nil); !bytes.Equal(once, twice) {
			t.Errorf("%q is not stable: %q", once, twice)
		}
	})
}

// TestWorkIsBounded: the dearest document of a message's size that is taken. Names are
// looked for among the declarations around them, so these are few.
func TestWorkIsBounded(t *testing.T) {
	dearest := func(declared int) string {
		var b strings.Builder
		for i := range 30 {
			b.WriteString("<a")
			for j := range declared / 30 {
				fmt.Fprintf(&b, ` xmlns:p%d_%d="u"`, i, j)
			}
			b.WriteString(">")
		}
		for b.Len() < 60<<10 {
			b.WriteString(`<p0_0:a p0_0:b="" p0_1:c="" p0_2:d="" p0_3:e=""/>`)
		}
		return b.String() + strings.Repeat("</a>", 30)
	}
	if _, err := Parse([]byte(dearest(150)), Limits{}); err == nil {
		t.Error("150 declarations in force are taken")
	}
	var keep []string
	for i := range 32 {
		keep = append(keep, fmt.Sprintf("p%d_0", i%30))
	}
	least := time.Hour
	for range 5 {
		begun := spent(t)
		n, err := Parse([]byte(dearest(120)), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		Canonical(n, keep, nil)
		if least = min(least, spent(t)-begun); least <= time.Second {
			break
		}
	}
	if least > time.Second {
		t.Errorf("a message of 60 kB takes %s", least)
	}
}

// spent is the processor time of this program so far: a busy machine is not what is
// measured.
func spent(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
