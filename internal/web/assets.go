package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// Built from assets/src by scripts/assets.
//
//go:embed assets/built
var built embed.FS

// assetPath is where files are served; a name there changes with its content.
const assetPath = "/assets/"

// asset is one file in memory.
type asset struct {
	kind string
	body []byte
	zip  []byte // nil when compression gains nothing
}

// assets are the files of the house.
type assets struct {
	byName map[string]string // style.css → /assets/style.0123456789ab.css
	files  map[string]asset  // by the last part of the address
}

// newAssets reads the embedded files and adds what the brand brings.
func newAssets(b Brand) (*assets, error) {
	a := &assets{byName: map[string]string{}, files: map[string]asset{}}
	list, err := fs.ReadDir(built, "assets/built")
	if err != nil {
		return nil, err
	}
	colours, err := b.style()
	if err != nil {
		return nil, err
	}
	for _, file := range list {
		body, err := fs.ReadFile(built, "assets/built/"+file.Name())
		if err != nil {
			return nil, err
		}
		if file.Name() == "style.css" {
			body = append(body, colours...)
		}
		a.add(file.Name(), body)
	}
	if len(b.LogoSVG) > 0 {
		a.add("logo.svg", b.LogoSVG)
	}
	return a, nil
}

// add puts a file under its hashed name.
func (a *assets) add(name string, body []byte) {
	kinds := map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}
	sum := sha256.Sum256(body)
	ext := path.Ext(name)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	file := asset{kind: kinds[ext], body: body, zip: squeeze(body)}
	if file.kind == "" {
		file.kind = "application/octet-stream"
	}
	a.byName[name], a.files[hashed] = assetPath+hashed, file
}

// address gives the address of a file; a name nobody embedded is a mistake in a template.
func (a *assets) address(name string) string {
	if address, ok := a.byName[name]; ok {
		return address
	}
	return assetPath + "missing-" + name
}

// has tells whether a file exists.
func (a *assets) has(name string) bool { return a.byName[name] != "" }

// ServeHTTP serves a file that never changes under its name.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.PathValue("file")]
	if !ok {
		http.Error(w, http.StatusText(http.StatusNotFound), http.StatusNotFound)
		return
	}
	body := file.body
	h := w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable") // RFC 8246
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if file.zip != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body = file.zip
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body) //nolint:errcheck // the peer is gone, nothing to do
	}
}

// acceptsGzip reads Accept-Encoding; a coding refused with q=0 is not taken (RFC 9110 12.5.3).
func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, quality, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q := strings.TrimSpace(quality)
			return q != "q=0" && !strings.HasPrefix(q, "q=0.0")
		}
	}
	return false
}

// squeeze compresses a file once, or gives nil when that saves too little.
func squeeze(body []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := z.Write(body); err != nil || z.Close() != nil || out.Len() > len(body)*9/10 {
		return nil
	}
	return out.Bytes()
}

// style gives the colours of the university for both schemes, as CSS.
func (b Brand) style() ([]byte, error) {
	colour := b.Colour
	if colour == "" {
		colour = "#1f4e79"
	}
	c, err := parseColour(colour)
	if err != nil {
		return nil, fmt.Errorf("web: brand: %w", err)
	}
	var out bytes.Buffer
	light, dark := c.against(lightPaper, contrastText), c.against(darkPaper, contrastText)
	fmt.Fprintf(&out, ":root{--brand:%s;--on-brand:%s}", light, light.ink())
	fmt.Fprintf(&out, "@media screen and (prefers-color-scheme:dark){:root{--brand:%s;--on-brand:%s}}", dark, dark.ink())
	return out.Bytes(), nil
}
