package xmlstream_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"seimon/internal/front/saml/feed/aggregate"
	"seimon/internal/front/saml/xmldoc"
	"seimon/internal/front/saml/xmlsig"
	"seimon/internal/front/saml/xmlstream"
)

// record collects what a handler hears.
type record struct {
	bytes.Buffer
	heard strings.Builder
}

func (r *record) Start(e *xmlstream.Element) error {
	fmt.Fprintf(&r.heard, "<%s %d %s>", e.Local, e.Depth, e.Attr("ID"))
	return nil
}

func (r *record) End(_, local string, depth int) error {
	fmt.Fprintf(&r.heard, "</%s %d>", local, depth)
	return nil
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// content is a document in every spelling that XML allows.
func content() []string {
	return []string{
		`<a/>`, `<a></a >`, "\ufeff<?xml version='1.0' encoding=\"UTF-8\"?>\r\n<!-- x --><a b='1' a=\"2\"/>\n<!-- y -->\n",
		`<a xmlns="urn:1"><b xmlns=""><c xmlns="urn:1"/></b></a>`,
		`<p:a xmlns:p="urn:p" xmlns:q="urn:q" xmlns:r="urn:r"><q:b r:z="1" p:y="2" x="3"><q:c r:a="&quot;&#xD;&#10;&#9;'"/></q:b></p:a>`,
		"<a>one\r\ntwo\rthree &lt;&gt;&amp;&apos;&quot;&#x41;&#32;] ]> ></a>",
		`<a><![CDATA[<x> & ]] > ]]></a>`, `<a>x<![CDATA[]]>y</a>`, `<a><!-- between --><b/> <!-- and --></a>`,
		"<a b='1\n2\t3\r\n4'>日本語 𠮷</a>", `<a xml:lang="ja" xmlns:x="urn:x"><b xmlns:x="urn:x"><x:c/></b><x:d xmlns:x="urn:y"><x:e/></x:d></a>`,
		`<x:a xmlns:x="urn:1"><y:b xmlns:y="urn:2" xmlns:z="urn:3"><x:c z:k="v"/></y:b></x:a>`,
	}
}

func refused() []string {
	return []string{
		"", "x", "<a>", "<a></b>", "<a", "<a b></a>", "<a b=c/>", "<a b='<'/>", "<a b='1' b='2'/>", "<a/><b/>", "<a/>x", "<a>&x;</a>",
		"<!DOCTYPE a><a/>", "<a><!DOCTYPE b></a>", "<?pi?><a/>", "<a><?pi?></a>", "<a/><?pi?>", "<a>x<!-- y --></a>", "<a><!-- y -->x</a>",
		"<a><!-- -- --></a>", "<a><!-- y", "<a><![CDATA[x</a>", "<p:a/>", "<a p:b='1'/>", "<a xmlns:p=''/>", "<a xmlns:xml='urn:x'/>",
		"<a xmlns:xmlns='urn:x'/>", "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>", "<a xmlns:p='1' xmlns:p='2'/>", "<a>\x01</a>", "<a>&#1;</a>", "<a>&#xD800;</a>",
		"<a>\xff</a>", "<a>]]></a>", "<a b='1'c='2'/>", "<a ID='x'><b ID='x'/></a>", "<a id=''/>", `<?xml version="1.1"?><a/>`,
		`<?xml version="1.0" encoding="utf-16"?><a/>`, "<1/>", "<a:b:c xmlns:a='urn:x'/>", "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
		"<a>&#99999999;</a>", "<a>&#;</a>", "<a>&#x;</a>", "<a>&lt</a>", "<a>\uffff</a>", "< a/>", "<a/ >", "</a>",
		strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40),
		"<a" + strings.Repeat(" xmlns:p='urn:1'", 2) + "/>", "<a b='" + strings.Repeat("x", 2<<20) + "'/>", "<a>" + strings.Repeat("x", 2<<20) + "</a>",
	}
}

func TestTheCanonicalFormIsThatOfTheTree(t *testing.T) {
	for _, text := range content() {
		for _, keep := range [][]string{nil, {"q"}, {"#default", "x", "p"}} {
			n, err := xmldoc.Parse([]byte(text), xmldoc.Limits{Prose: true})
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			want := string(xmldoc.Canonical(n, keep, nil))
			for _, in := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
				var out strings.Builder
				if err := xmlstream.Canonical(in, &out, keep, xmlstream.Limits{}); err != nil || out.String() != want {
					t.Errorf("%q keep %q: %v\n got %q\nwant %q", text, keep, err, out.String(), want)
				}
			}
		}
	}
}

func TestWhatXMLForbidsOrNobodyNeedsIsRefused(t *testing.T) {
	for _, text := range refused() {
		for _, in := range []io.Reader{strings.NewReader(text), iotest.HalfReader(strings.NewReader(text))} {
			var bad *xmlstream.Error
			if err := xmlstream.Canonical(in, io.Discard, nil, xmlstream.Limits{}); !errors.As(err, &bad) || bad.Line < 1 {
				t.Errorf("%.60q: %v", text, err)
			}
		}
	}
}

func TestLimitsHold(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		limits xmlstream.Limits
	}{
		"bytes": {"<a>" + strings.Repeat(" ", 100) + "</a>", xmlstream.Limits{Bytes: 50}},
		"attrs": {"<a a='1' b='2' c='3'/>", xmlstream.Limits{Attrs: 2}},
		"names": {"<a><b/><c/></a>", xmlstream.Limits{Names: 2}},
		"ids":   {"<a id='1'><b id='2'/><c id='3'/></a>", xmlstream.Limits{Marked: 2}},
	} {
		if err := xmlstream.Canonical(strings.NewReader(c.text), io.Discard, nil, c.limits); err == nil {
			t.Errorf("%s: not held", name)
		}
	}
	if err := xmlstream.Canonical(iotest.TimeoutReader(strings.NewReader("<a>"+strings.Repeat("x", 100)+"</a>")), io.Discard, nil, xmlstream.Limits{}); err == nil {
		t.Error("a broken line is no error")
	}
}

const body = `<r ID="_1" xmlns="urn:r"><Signature/><p:b xmlns:p="urn:p" k="v">words &amp; 言葉</p:b><c/></r>`

// signed signs body over its canonical form without the signature.
func signed(t testing.TB, key crypto.Signer) string {
	t.Helper()
	n, err := xmldoc.Parse([]byte(strings.Replace(body, "<Signature/>", "", 1)), xmldoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	plain := xmldoc.Canonical(n, nil, nil)
	out, err := xmlsig.Sign(plain, "_1", bytes.IndexByte(plain, '>')+1, xmlsig.Key{Signer: key})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func verify(text string, keys ...crypto.PublicKey) (*record, int, error) {
	r := &record{}
	key, err := xmlstream.Verify(iotest.HalfReader(strings.NewReader(text)), keys, xmlstream.Limits{}, r)
	return r, key, err
}

func TestOnlyHashedBytesAreHeard(t *testing.T) {
	key, other := newKey(t), newKey(t)
	text := signed(t, key)
	loose := "<?xml version='1.0'?>\n<!-- published hourly -->\n" + strings.Replace(text, "<c></c>", "<!-- c --><c\n/>", 1)
	for _, text := range []string{text, loose} {
		r, which, err := verify(text, other.Public(), key.Public())
		if err != nil || which != 1 {
			t.Fatal(which, err)
		}
		if want := `<r xmlns="urn:r" ID="_1"><p:b xmlns:p="urn:p" k="v">words &amp; 言葉</p:b><c></c></r>`; r.String() != want {
			t.Errorf("heard %s", r.String())
		}
		if got := r.heard.String(); got != "<r 1 _1><b 2 ></b 2><c 2 ></c 2></r 1>" {
			t.Error(got)
		}
	}
	if _, _, err := verify(text, other.Public()); err == nil {
		t.Error("another key will do")
	}
	if _, _, err := verify(text); err == nil {
		t.Error("no key will do")
	}
}

func TestAttacksOnTheSignature(t *testing.T) {
	key := newKey(t)
	good := signed(t, key)
	sig := good[strings.Index(good, "<ds:Signature"):strings.Index(good, "<p:b")]
	without := strings.Replace(good, sig, "", 1)
	for name, bad := range map[string]string{
		"changed text":          strings.Replace(good, "言葉", "言語", 1),
		"changed attribute":     strings.Replace(good, `k="v"`, `k="w"`, 1),
		"added element":         strings.Replace(good, "<c></c>", "<c></c><d></d>", 1),
		"removed element":       strings.Replace(good, "<c></c>", "", 1),
		"cut short":             good[:len(good)-4],
		"two roots":             good + good,
		"trailing text":         good + "x",
		"second signature":      strings.Replace(good, "<c></c>", sig+"<c></c>", 1),
		"signature at the end":  strings.Replace(without, "</r>", sig+"</r>", 1),
		"signature deeper":      strings.Replace(without, "<c></c>", "<c>"+sig+"</c>", 1),
		"no signature":          without,
		"another id":            strings.Replace(good, `ID="_1"`, `ID="_2"`, 1),
		"id of another element": strings.Replace(strings.Replace(good, `ID="_1"`, `ID="_0"`, 1), "<c></c>", `<c ID="_1"></c>`, 1),
		"the id twice":          strings.Replace(good, "<c></c>", `<c ID="_1"></c>`, 1),
		"wrapped":               `<r ID="_0" xmlns="urn:r">` + sig + good + `</r>`,
		"words before":          strings.Replace(good, sig, "x"+sig, 1),
		"words in a comment":    strings.Replace(good, "言葉", "言<!-- -->葉", 1),
		"doctype":               `<!DOCTYPE r [<!ENTITY x "y">]>` + good,
		"empty":                 `<r ID="_1"/>`,
		"long signature":        strings.Replace(good, "<ds:SignatureValue>", "<ds:SignatureValue>"+strings.Repeat(" ", 80<<10), 1),
	} {
		if bad == good {
			t.Errorf("%s changes nothing", name)
		}
		if _, _, err := verify(bad, key.Public()); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestAnAggregateVerifies(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sample, err := aggregate.NewSample("example.org", 6600)
	if err != nil {
		t.Fatal(err)
	}
	text, err := aggregate.Write(aggregate.Document{ID: "_feed", Name: "urn:test", Key: xmlsig.Key{Signer: r}}, 20, sample.Provider)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := verify(string(text), r.Public()); err != nil {
		t.Error(err)
	}
	if len(text) < 20*6000 || len(text) > 20*7500 {
		t.Errorf("%d bytes for 20 entities", len(text))
	}
}

func FuzzCanonical(f *testing.F) {
	for _, text := range append(content(), refused()[:50]...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		err := xmlstream.Canonical(iotest.HalfReader(bytes.NewReader(in)), &out, []string{"q"}, xmlstream.Limits{})
		n, wrong := xmldoc.Parse(in, xmldoc.Limits{Bytes: 8 << 20, Prose: true})
		if wrong == nil && (err != nil || !bytes.Equal(out.Bytes(), xmldoc.Canonical(n, []string{"q"}, nil))) {
			t.Errorf("%q: the tree gives %q, the stream %q, %v", in, xmldoc.Canonical(n, []string{"q"}, nil), out.Bytes(), err)
		}
	})
}

func FuzzVerify(f *testing.F) {
	key := newKey(f)
	good := signed(f, key)
	f.Add([]byte(good))
	r, _, err := verify(good, key.Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if got, _, err := verify(string(in), key.Public()); err == nil && got.String() != r.String() {
			t.Errorf("forged: %q", in)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	key := newKey(b)
	sample, err := aggregate.NewSample("example.org", 6600)
	if err != nil {
		b.Fatal(err)
	}
	text, err := aggregate.Write(aggregate.Document{ID: "_feed", Name: "urn:test", Key: xmlsig.Key{Signer: key}}, 1000, sample.Provider)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := xmlstream.Verify(bytes.NewReader(text), []crypto.PublicKey{key.Public()}, xmlstream.Limits{}, quiet{}); err != nil {
			b.Fatal(err)
		}
	}
}

type quiet struct{}

func (quiet) Start(*xmlstream.Element) error { return nil }
func (quiet) End(string, string, int) error  { return nil }
func (quiet) Write(b []byte) (int, error)    { return len(b), nil }
