// Package xmlenc encrypts and decrypts elements for one reader, as SAML 2.0 does
// (XML Encryption 1.1): a fresh AES key around the element, RSA-OAEP around the key.
//
// AES-GCM is the rule. AES-CBC, which a reader's registration may demand, keeps
// nobody from changing the content: what is inside must be signed. It does not know
// what it encrypts, nor whose keys they are.
package xmlenc
