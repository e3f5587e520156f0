// Command seimon-hsm keeps the keys of certificate issuers in PKCS#11 and signs with
// them for seimon, over a Unix socket.
//
// It is a program of its own, because a PKCS#11 module is foreign code in the same
// process: one that crashes takes nothing along, and seimon stays a static program
// without cgo. Keys are made inside the token and never leave it. Who may ask is said
// by the mode of the socket; what was asked is written to a log of its own, each line
// chained to the one before, and flushed before the signature is given.
//
//	seimon-hsm --module /usr/lib/softhsm/libsofthsm2.so --token seimon \
//	    --pin-file pin --socket /run/seimon-hsm/socket --log /var/log/seimon-hsm.log
//
// # Protocol
//
// Each message is a frame: four bytes of length, most significant first, then as many
// bytes of JSON, at most 65,536. The client sends a question, the helper sends one
// answer; then the client may ask again on the same connection.
//
//	{"do":"generate","label":"Example User CA G1","algorithm":"P-256"}
//	    -> {"handle":"5f0c...","public":"MFkw..."}
//	{"do":"public","handle":"5f0c..."}
//	    -> {"public":"MFkw..."}
//	{"do":"sign","handle":"5f0c...","hash":"SHA-256","digest":"n4bQ..."}
//	    -> {"signature":"MEUC..."}
//
// Bytes are base64. A public key is a SubjectPublicKeyInfo (RFC 5280 4.1.2.7). An ECDSA
// signature is the ASN.1 of RFC 3279 2.2.3; an RSA signature is PKCS #1 v1.5 (RFC 8017
// 8.2). The algorithms are P-256, P-384, RSA-2048 and RSA-3072; the hashes SHA-256,
// SHA-384 and SHA-512. What fails answers with {"error":"...","code":"..."}; the codes
// are request (the question is wrong), none (no such key), limit (too many questions:
// ask later) and token (the token or the log fails).
package main
