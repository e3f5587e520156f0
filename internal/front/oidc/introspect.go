package oidc

import (
	"errors"
	"net/http"
	"strings"

	"seimon/internal/rp"
	"seimon/internal/store"
)

// tokenRequest is a request about a token, and the client that proved itself.
type tokenRequest struct {
	client *client
	token  string
}

// act is what an endpoint does with a token in a transaction.
type act func(tx *store.Tx, q tokenRequest) (*refusal, error)

// aboutToken serves introspection and revocation. Where nothing is written and no
// assertion is spent, the client is proved and act runs in a single read.
func (f *Front) aboutToken(w http.ResponseWriter, r *http.Request, writes bool, do act) (*refusal, error) {
	p, no := formParams(r)
	if no != nil {
		return no, nil
	}
	shown, no := present(r, p)
	if no != nil {
		return no, nil
	}
	q := tokenRequest{token: p.get("token")}
	if q.token == "" {
		return refuse(errInvalidRequest, "token is missing"), nil
	}
	later := writes || shown.method == authJWT
	var proof *clientProof
	err := f.DB.Glance(r.Context(), func(tx *store.Tx) (err error) {
		if q.client, proof, no, err = f.prove(tx, shown, r.URL.Path); no != nil || err != nil || later {
			return err
		}
		no, err = do(tx, q)
		return err
	})
	if err != nil || no != nil {
		return no, err
	}
	f.allowOrigin(w, r, q.client)
	if !later {
		return nil, nil
	}
	err = f.DB.Write(r.Context(), func(tx *store.Tx) (err error) {
		if no, err = proof.use(tx); no != nil || err != nil {
			return err
		}
		no, err = do(tx, q)
		return err
	})
	return no, err
}

// introspect tells a client about a token (RFC 7662 2).
func (f *Front) introspect(w http.ResponseWriter, r *http.Request) error {
	var body map[string]any
	no, err := f.aboutToken(w, r, false, func(tx *store.Tx, q tokenRequest) (no *refusal, err error) {
		if q.client.public() { // RFC 7662 2.1: whoever asks must be known
			return refuse(errInvalidClient, "a client without a secret cannot ask about tokens"), nil
		}
		body, err = f.inspect(tx, q)
		return nil, err
	})
	if err != nil {
		return err
	}
	if no != nil {
		return no.write(w)
	}
	return writeJSON(w, http.StatusOK, body)
}

// inspect describes a token that is in force, and says nothing but "not active"
// about all others (RFC 7662 2.2, 4).
func (f *Front) inspect(tx *store.Tx, q tokenRequest) (map[string]any, error) {
	silent := map[string]any{"active": false}
	t, g, err := tokenOf(tx, q.token)
	if noToken(err) || err == nil && (!t.inForce(tx.Now) || g.client != q.client.ID && !q.client.IntrospectsAll) {
		return silent, nil
	}
	if err != nil {
		return nil, err
	}
	if g.client != q.client.ID {
		if _, err = f.client(tx, g.client); err != nil {
			return silent, ignoreNone(err)
		}
	}
	who, err := f.live(tx, g)
	if err != nil || who == nil {
		return silent, err
	}
	body := map[string]any{
		"active": true, "client_id": g.client, "scope": strings.Join(t.scope, " "), "iss": f.issuer, "aud": g.client,
		"exp": t.until.Unix(), "iat": t.created.Unix(), "auth_time": g.proof.AuthTime,
		// The subject as the one who asks knows it: pairwise subjects must not be compared here.
		"sub": f.Parties.SubjectFor(q.client.Party, g.account),
	}
	if t.kind == kindAccess {
		body["token_type"] = "Bearer"
	}
	if g.proof.ACR != "" {
		body["acr"] = g.proof.ACR // RFC 9470 6.2
	}
	return body, nil
}

// revoke ends a token at its client's wish (RFC 7009 2). A refresh token takes
// everything issued with it along.
func (f *Front) revoke(w http.ResponseWriter, r *http.Request) error {
	no, err := f.aboutToken(w, r, true, func(tx *store.Tx, q tokenRequest) (*refusal, error) {
		t, g, err := tokenOf(tx, q.token)
		if noToken(err) { // RFC 7009 2.2: an unknown token is as good as revoked
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if g.client != q.client.ID {
			return invalidGrant(), nil
		}
		if t.kind == kindRefresh {
			return nil, f.end(tx, g, "revoked")
		}
		_, err = tx.Exec("DELETE FROM oidc_token WHERE hash = $1", t.hash)
		return nil, err
	})
	if err != nil {
		return err
	}
	if no != nil {
		return no.write(w)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

func ignoreNone(err error) error {
	if errors.Is(err, rp.ErrNone) {
		return nil
	}
	return err
}
