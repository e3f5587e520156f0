package status

import (
	"context"
	"crypto/sha1" //nolint:gosec // names of issuers in requests (RFC 5019 2.1.1), no security rests on it
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"seimon/internal/ca"
)

// Answered asks the responder about one certificate as clients do (RFC 5019 2.1.1) and
// tells whether it says "revoked". The answer is signed and kept then, so that the next
// client gets this very one. older is for how long an answer that was given before may
// be believed by whoever kept it. An issuer that is not published any more has no answer.
func (s *Status) Answered(ctx context.Context, c ca.Certificate) (older time.Duration, yes bool, err error) {
	s.mu.RLock()
	i, k := s.issuers[c.Issuer], s.signers[c.Issuer]
	s.mu.RUnlock()
	if i == nil || k == nil {
		return 0, false, nil
	}
	id, err := commonID(i, c.Serial)
	if err != nil {
		return 0, false, err
	}
	one, err := s.held(ctx, i, k, id)
	if err != nil {
		return 0, false, err
	}
	return s.cfg.AnswerLife, one.state.kind == revoked, nil
}

// commonID names a certificate in the way that nearly all clients do: with SHA-1 and
// NULL parameters.
func commonID(i *issuer, serial string) (certID, error) {
	raw, err := hex.DecodeString(serial)
	if err != nil {
		return certID{}, fmt.Errorf("status: serial %q: %w", serial, err)
	}
	h := i.hashes[sha1ID]
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid(1, 3, 14, 3, 2, 26))
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(h.name)
		b.AddASN1OctetString(h.key)
		b.AddASN1BigInt(new(big.Int).SetBytes(raw))
	})
	element, err := b.Bytes()
	if err != nil {
		return certID{}, err
	}
	in := cryptobyte.String(element)
	id, ok := readCertID(&in)
	if !ok || len(id.name) != sha1.Size {
		return certID{}, errMalformed
	}
	return id, nil
}
