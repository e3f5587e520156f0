package web

import (
	"fmt"
	"math"
	"strconv"
)

// colour is an sRGB colour.
type colour struct{ r, g, b uint8 }

// The papers against which the university's colour must stand out as text does
// (WCAG 2.2, 1.4.3): --sunk, the least favourable surface of each scheme.
var (
	lightPaper = colour{0xee, 0xf0, 0xf3}
	darkPaper  = colour{0x24, 0x29, 0x31}
)

// contrastText is the least contrast of text to its ground.
const contrastText = 4.6

// parseColour reads "#rrggbb".
func parseColour(text string) (colour, error) {
	if len(text) == 7 && text[0] == '#' {
		if n, err := strconv.ParseUint(text[1:], 16, 32); err == nil {
			return colour{uint8(n >> 16), uint8(n >> 8), uint8(n)}, nil
		}
	}
	return colour{}, fmt.Errorf("colour %q is not of the form #1f4e79", shorten(text, 20))
}

// String gives "#rrggbb".
func (c colour) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// luminance is the relative luminance of WCAG 2.2.
func (c colour) luminance() float64 {
	part := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*part(c.r) + 0.7152*part(c.g) + 0.0722*part(c.b)
}

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b colour) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// against moves a colour toward black or white, as little as needed, until it
// stands out from paper.
func (c colour) against(paper colour, least float64) colour {
	goal := colour{0, 0, 0}
	if paper.luminance() < 0.18 {
		goal = colour{255, 255, 255}
	}
	for step := range 101 {
		if mixed := c.mix(goal, float64(step)/100); contrast(mixed, paper) >= least {
			return mixed
		}
	}
	return goal
}

// mix gives a colour between two.
func (c colour) mix(o colour, share float64) colour {
	part := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-share) + float64(b)*share)) }
	return colour{part(c.r, o.r), part(c.g, o.g), part(c.b, o.b)}
}

// ink gives black or white, whichever reads better on the colour.
func (c colour) ink() colour {
	black, white := colour{0x10, 0x12, 0x16}, colour{255, 255, 255}
	if contrast(c, white) >= contrastText {
		return white
	}
	if contrast(c, black) > contrast(c, white) {
		return black
	}
	return white
}
