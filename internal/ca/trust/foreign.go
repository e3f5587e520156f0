package trust

import (
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"seimon/internal/authn"
	"seimon/internal/ca/trust/chain"
	"seimon/internal/store"
)

// foreign judges a certificate of another house. failed is what our own issuers said.
func (t *Trust) foreign(tx *store.Tx, v Verdict, presented []*x509.Certificate, failed error) (Verdict, error) {
	leaf := presented[0]
	anchors, err := t.enabled(tx)
	if err != nil {
		return v, err
	}
	for _, a := range anchors {
		o := chain.Options{
			Now: tx.Now, Anchors: []chain.Anchor{a.anchor()}, Between: slices.Concat(a.between, presented[1:]), Use: use(),
			Status: a.Rules.Status == StatusRequired, Stale: time.Duration(a.Rules.Stale) * time.Second,
		}
		if o.Lists, err = t.listsOf(tx, a.ID); err != nil {
			return v, err
		}
		found, fault := chain.Validate(leaf, o)
		if fault == nil && len(a.Rules.Policies) > 0 && !overlap(found.Policies, a.Rules.Policies) {
			fault = &chain.Error{Reason: chain.Policies, Certificate: leaf, Detail: "none of the anchor's policies"}
		}
		if fault == nil {
			return t.mapped(tx, v, a, leaf, found)
		}
		if chain.ReasonOf(fault) != chain.Unknown {
			failed, v.Foreign = fault, a.ID
		}
	}
	return v.because(leaf, failed), nil
}

// mapped completes the verdict on a certificate whose path is good.
func (t *Trust) mapped(tx *store.Tx, v Verdict, a *parsed, leaf *x509.Certificate, found chain.Result) (Verdict, error) {
	v.Foreign = a.ID
	v.Hardware = overlap(found.Policies, a.Rules.Hardware)
	account, err := t.account(tx, a, leaf)
	if errors.Is(err, errConflict) {
		v.Fault = authn.NewFault("C7.mapping", v.facts()...).Because(err)
		return v, nil
	}
	v.Account = account
	return v, err
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
