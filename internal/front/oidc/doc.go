// Package oidc is the door for services that speak OpenID Connect and OAuth 2.0.
//
// It owns the protocol: discovery, keys as JWKS, the authorization request in all
// its forms, codes, tokens, claims, sign-out by and to services, and what a client
// registers beside its party (Registration). It does not own who signs in or how:
// it asks the hall (login) and gets an outcome. Nor does it own parties and
// attribute release (rp), sessions (session), keys (keyring) or pages (web).
//
// A code is the root of everything issued from it: one oidc_grant row, under which
// access and refresh tokens hang. Ending the grant ends them all. Codes and tokens
// are stored only as hashes.
package oidc
