package oidc

import (
	"encoding/json"
	"errors"
	"net/http"

	"seimon/internal/authn"
	"seimon/internal/store"
)

// pushedPrefix begins every request_uri that we give out (RFC 9126 2.2).
const pushedPrefix = "urn:ietf:params:oauth:request_uri:"

// errNoPushed says that a request_uri is unknown, used, expired or another client's.
var errNoPushed = errors.New("oidc: no such pushed request")

// push is the pushed authorization request endpoint (RFC 9126 2). The request is
// judged now, so that its author learns what is wrong with it.
func (f *Front) push(w http.ResponseWriter, r *http.Request) error {
	p, no := formParams(r)
	if no != nil {
		return no.write(w)
	}
	c, proof, no, err := f.authenticate(r, p)
	if err != nil {
		return err
	}
	if no == nil {
		f.allowOrigin(w, r, c)
		p, no = f.pushable(c, p)
	}
	if no != nil && no.skew != nil {
		no.text = f.wrongClock(r.Context(), c, no.skew)
	}
	if no != nil {
		return no.write(w)
	}
	text, err := json.Marshal(p.values)
	if err != nil {
		return err
	}
	token, _ := authn.NewToken()
	uri := pushedPrefix + token
	err = f.DB.Write(r.Context(), func(tx *store.Tx) error {
		if no, err = proof.use(tx); no != nil || err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO oidc_pushed (hash, client, request, until) VALUES ($1, $2, $3, $4)",
			authn.HashToken(uri), c.ID, string(text), store.Millis(tx.Now.Add(f.Lives.Pushed)))
		return err
	})
	if err != nil {
		return err
	}
	if no != nil {
		return no.write(w)
	}
	return writeJSON(w, http.StatusCreated, map[string]any{"request_uri": uri, "expires_in": int64(f.Lives.Pushed.Seconds())})
}

// pushable judges a request that was pushed and gives the parameters to keep.
func (f *Front) pushable(c *client, p params) (params, *refusal) {
	if p.get("request_uri") != "" { // RFC 9126 2.1
		return p, refuse(errInvalidRequest, "request_uri cannot be pushed")
	}
	if p.get("client_id") != "" && p.get("client_id") != c.ID {
		return p, refuse(errInvalidRequest, "client_id is not the client that proved itself")
	}
	in := &arrival{client: c, params: p}
	if no := f.openRequest(in); no != nil {
		return p, no
	}
	if !c.owns(in.params.get("redirect_uri")) {
		return p, refuse(errInvalidRequest, "redirect_uri is not registered")
	}
	if _, no := f.judge(c, in.params, f.DB.Now()); no != nil {
		return p, no
	}
	for _, name := range []string{"client_id", "client_secret", "client_assertion", "client_assertion_type", "request"} {
		delete(in.params.values, name)
	}
	return in.params, nil
}

// pushedParams reads a pushed request. It stays until a sign-in with it is over,
// so that a person may reload the page (RFC 9126 4).
func (f *Front) pushedParams(tx *store.Tx, hash []byte, client string) (params, error) {
	var owner, text string
	var until int64
	err := tx.QueryRow("SELECT client, request, until FROM oidc_pushed WHERE hash = $1", hash).Scan(&owner, &text, &until)
	if errors.Is(err, store.ErrNoRows) || err == nil && (owner != client || until <= store.Millis(tx.Now)) {
		return params{}, errNoPushed
	}
	if err != nil {
		return params{}, err
	}
	p := params{}
	return p, json.Unmarshal([]byte(text), &p.values)
}
