package chain

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

func context(n int) asn1.Tag { return asn1.Tag(n).ContextSpecific() }

// readIssuingPoint reads an IssuingDistributionPoint (RFC 5280 5.2.5).
func readIssuingPoint(value []byte) (point, bool) {
	p := point{reasons: allReasons}
	in := cryptobyte.String(value)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !readPointName(&seq, &p) {
		return p, false
	}
	if !readFlag(&seq, 1, &p.users) || !readFlag(&seq, 2, &p.cas) || !readReasons(&seq, 3, &p.reasons) ||
		!readFlag(&seq, 4, &p.indirect) || !readFlag(&seq, 5, &p.attribute) {
		return p, false
	}
	return p, seq.Empty()
}

// readPoints reads CRLDistributionPoints (RFC 5280 4.2.1.13).
func readPoints(value []byte) ([]point, bool) {
	in := cryptobyte.String(value)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	var out []point
	for !seq.Empty() {
		p := point{reasons: allReasons}
		var one, issuers cryptobyte.String
		var there bool
		if !seq.ReadASN1(&one, asn1.SEQUENCE) || !readPointName(&one, &p) || !readReasons(&one, 1, &p.reasons) ||
			!one.ReadOptionalASN1(&issuers, &there, context(2).Constructed()) || !one.Empty() {
			return nil, false
		}
		if there {
			names, err := readGeneralNames(issuers)
			if err != nil {
				return nil, false
			}
			p.issuers = names
		}
		out = append(out, p)
	}
	return out, true
}

// readPointName reads the optional DistributionPointName in [0].
func readPointName(in *cryptobyte.String, p *point) bool {
	var outer cryptobyte.String
	var there bool
	if !in.ReadOptionalASN1(&outer, &there, context(0).Constructed()) {
		return false
	}
	if !there {
		return true
	}
	var inner cryptobyte.String
	var tag asn1.Tag
	if !outer.ReadAnyASN1(&inner, &tag) || !outer.Empty() {
		return false
	}
	switch tag {
	case context(0).Constructed():
		names, err := readGeneralNames(inner)
		p.names = names
		return err == nil
	case context(1).Constructed():
		p.relative = inner
		return true
	}
	return false
}

func readFlag(in *cryptobyte.String, n int, into *bool) bool {
	var value cryptobyte.String
	var there bool
	if !in.ReadOptionalASN1(&value, &there, context(n)) {
		return false
	}
	if there {
		if len(value) != 1 {
			return false
		}
		*into = value[0] != 0
	}
	return true
}

func readReasons(in *cryptobyte.String, n int, into *reasons) bool {
	var value cryptobyte.String
	var there bool
	if !in.ReadOptionalASN1(&value, &there, context(n)) {
		return false
	}
	if !there {
		return true
	}
	if len(value) < 2 || value[0] > 7 {
		return false
	}
	*into = 0
	for i, b := range value[1:] {
		for bit := range 8 {
			if b&(0x80>>bit) != 0 && 8*i+bit < 9 {
				*into |= 1 << (8*i + bit)
			}
		}
	}
	*into &= allReasons
	return true
}
