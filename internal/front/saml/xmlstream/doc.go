// Package xmlstream verifies a signed document of any length as it streams by, in
// bounded memory: federations publish tens of megabytes under one signature.
//
// It owns one pass over the bytes: a strict tokenizer (the rules of xmldoc), the
// exclusive canonical form written as it goes, its digest, and the comparison with
// what the signature at the head of the document says. The signature itself is checked
// before anything after it is read. The caller is given the canonical bytes that were
// hashed, and nothing else to read.
//
// It does not know metadata (feed), trees (xmldoc) or the shape of signatures (xmlsig).
package xmlstream
