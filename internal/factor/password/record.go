package password

import (
	"encoding/json"
	"fmt"

	"seimon/internal/authn"
)

// record is the payload of a password binding, version 1.
type record struct {
	Version  int        `json:"v"`
	Hash     string     `json:"hash"`
	Set      int64      `json:"set"`            // Unix milliseconds
	Must     authn.Code `json:"must,omitempty"` // why it has to be changed at the next sign-in
	Previous []past     `json:"previous,omitempty"`
}

// past is a password that was replaced.
type past struct {
	Tag   []byte `json:"tag"`   // see mark; belongs to the salt and parameters of Hash
	Until int64  `json:"until"` // when it was replaced
}

// remembered is how many replaced passwords are kept.
const remembered = 3

func readRecord(payload []byte) (record, error) {
	var r record
	if err := json.Unmarshal(payload, &r); err != nil {
		return r, fmt.Errorf("password: payload: %w", err)
	}
	if r.Version != 1 || r.Hash == "" {
		return r, fmt.Errorf("password: payload of version %d", r.Version)
	}
	return r, nil
}

func (r record) bytes() []byte {
	r.Version = 1
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a struct of texts and numbers
	}
	return b
}
