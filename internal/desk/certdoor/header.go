package certdoor

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
)

// The fields in which a proxy that ends TLS hands a certificate over (RFC 9440 2).
const (
	fieldCert  = "Client-Cert"
	fieldChain = "Client-Cert-Chain"
)

// Bounds on what may be handed over, in TLS or in a field.
const (
	mostCerts = 8        // certificates of a chain that are kept
	mostBytes = 64 << 10 // of a chain
)

var errField = errors.New("certdoor: a certificate field is malformed")

// fromFields reads the chain from the fields of RFC 9440. No field means that the
// client showed no certificate. A repeated field, or anything that is not exactly
// the syntax, is refused: two readers of one request must never see two clients.
func fromFields(h http.Header) ([][]byte, error) {
	leafs, chains := h.Values(fieldCert), h.Values(fieldChain)
	if len(leafs) == 0 && len(chains) == 0 {
		return nil, nil
	}
	// RFC 9440 2.2: a single item; 2.3: the chain is without meaning alone.
	if len(leafs) != 1 || len(chains) > 1 {
		return nil, errField
	}
	leaf, err := byteSequence(leafs[0])
	if err != nil {
		return nil, err
	}
	out, total := [][]byte{leaf}, len(leaf)
	if len(chains) == 0 {
		return out, nil
	}
	for part := range strings.SplitSeq(chains[0], ",") { // RFC 9651 3.1: optional spaces around each comma
		der, err := byteSequence(strings.Trim(part, " \t"))
		if err != nil {
			return nil, err
		}
		total += len(der)
		if len(out) == mostCerts || total > mostBytes {
			return nil, errField
		}
		out = append(out, der)
	}
	return out, nil
}

// byteSequence reads :BASE64: (RFC 9651 3.3.5) without parameters. Padding is
// required and no bit may be set behind the value.
func byteSequence(s string) ([]byte, error) {
	if len(s) < 3 || s[0] != ':' || s[len(s)-1] != ':' || len(s) > 2*mostBytes || strings.ContainsAny(s, "\r\n") {
		return nil, errField
	}
	der, err := base64.StdEncoding.Strict().DecodeString(s[1 : len(s)-1])
	if err != nil || len(der) == 0 || len(der) > mostBytes {
		return nil, errField
	}
	return der, nil
}
