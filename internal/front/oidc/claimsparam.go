package oidc

import (
	"errors"
	"fmt"
	"slices"

	strict "github.com/go-jose/go-jose/v4/json"
)

// maxClaims bounds how many claims one request may name.
const maxClaims = 100

// claimRequest is what is asked about one claim (OIDC Core 5.5.1).
type claimRequest struct {
	Essential bool     `json:"essential,omitempty"`
	Values    []string `json:"values,omitempty"`
}

// claimsRequest is the claims parameter (OIDC Core 5.5). Claims that we do not
// know stay in it and are answered by silence.
type claimsRequest struct {
	UserInfo map[string]claimRequest `json:"userinfo,omitempty"`
	IDToken  map[string]claimRequest `json:"id_token,omitempty"`
}

// readClaims reads the claims parameter. Members that the standard does not name
// are ignored.
func readClaims(text string) (claimsRequest, error) {
	var out claimsRequest
	if text == "" {
		return out, nil
	}
	var top map[string]strict.RawMessage
	if err := strict.Unmarshal([]byte(text), &top); err != nil || top == nil {
		return out, errors.New("the claims parameter is not a JSON object")
	}
	var err error
	if out.UserInfo, err = readClaimSet(top["userinfo"]); err != nil {
		return claimsRequest{}, fmt.Errorf("the claims parameter: userinfo: %w", err)
	}
	if out.IDToken, err = readClaimSet(top["id_token"]); err != nil {
		return claimsRequest{}, fmt.Errorf("the claims parameter: id_token: %w", err)
	}
	return out, nil
}

func readClaimSet(text strict.RawMessage) (map[string]claimRequest, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	var set map[string]strict.RawMessage
	if err := strict.Unmarshal(text, &set); err != nil {
		return nil, errors.New("is not an object")
	}
	if len(set) > maxClaims {
		return nil, errors.New("names too many claims")
	}
	out := map[string]claimRequest{}
	for name, raw := range set {
		one, err := readClaim(raw)
		if err != nil {
			return nil, err
		}
		out[name] = one
	}
	return out, nil
}

// readClaim reads null or an object with essential, value and values. Values that
// are not text cannot match a claim of ours and are dropped.
func readClaim(text strict.RawMessage) (claimRequest, error) {
	var c claimRequest
	if string(text) == "null" {
		return c, nil
	}
	var members map[string]strict.RawMessage
	if err := strict.Unmarshal(text, &members); err != nil {
		return c, errors.New("a claim is neither null nor an object")
	}
	if raw, ok := members["essential"]; ok {
		if err := strict.Unmarshal(raw, &c.Essential); err != nil {
			return c, errors.New("essential is not true or false")
		}
	}
	var raws []strict.RawMessage
	if raw, ok := members["values"]; ok {
		if err := strict.Unmarshal(raw, &raws); err != nil {
			return c, errors.New("values is not a list")
		}
	}
	if raw, ok := members["value"]; ok {
		raws = slices.Insert(raws, 0, raw)
	}
	if len(raws) > maxClaims {
		return c, errors.New("too many values")
	}
	for _, raw := range raws {
		var v string
		if strict.Unmarshal(raw, &v) == nil {
			c.Values = append(c.Values, v)
		}
	}
	return c, nil
}

// subject gives the subject that the request insists on, if any (OIDC Core 5.5.1).
func (c claimsRequest) subject() string {
	for _, set := range []map[string]claimRequest{c.IDToken, c.UserInfo} {
		if values := set["sub"].Values; len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// acr gives the requested acr values and whether one of them must be reached.
func (c claimsRequest) acr() (values []string, essential bool) {
	for _, set := range []map[string]claimRequest{c.IDToken, c.UserInfo} {
		if asked, ok := set["acr"]; ok && len(asked.Values) > 0 {
			return asked.Values, asked.Essential
		}
	}
	return nil, false
}
