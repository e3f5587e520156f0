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

// against makes a colour darker or lighter, as little as needed and without losing
// its hue, until it stands out from paper.
func (c colour) against(paper colour, least float64) colour {
	goal := 0.0
	if paper.luminance() < 0.18 {
		goal = 1
	}
	hue, saturation, lightness := c.hsl()
	for step := range 101 {
		share := float64(step) / 100
		if moved := fromHSL(hue, saturation, lightness*(1-share)+goal*share); contrast(moved, paper) >= least {
			return moved
		}
	}
	return fromHSL(0, 0, goal)
}

// hsl gives hue (0 to 6), saturation and lightness (0 to 1), as CSS Color 4 does.
func (c colour) hsl() (hue, saturation, lightness float64) {
	r, g, b := float64(c.r)/255, float64(c.g)/255, float64(c.b)/255
	most, least := max(r, g, b), min(r, g, b)
	span := most - least
	lightness = (most + least) / 2
	if span == 0 {
		return 0, 0, lightness
	}
	saturation = span / (1 - math.Abs(2*lightness-1))
	switch most {
	case r:
		hue = math.Mod((g-b)/span+6, 6)
	case g:
		hue = (b-r)/span + 2
	default:
		hue = (r-g)/span + 4
	}
	return hue, saturation, lightness
}

// fromHSL is the way back.
func fromHSL(hue, saturation, lightness float64) colour {
	part := func(n float64) uint8 {
		k := math.Mod(n+hue*2, 12)
		v := lightness - saturation*min(lightness, 1-lightness)*max(-1, min(k-3, 9-k, 1))
		return uint8(math.Round(v * 255))
	}
	return colour{part(0), part(8), part(4)}
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
