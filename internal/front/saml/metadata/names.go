package metadata

// The namespaces of SAML and of its extensions.
const (
	MD     = "urn:oasis:names:tc:SAML:2.0:metadata"
	SAML   = "urn:oasis:names:tc:SAML:2.0:assertion"
	SAMLP  = "urn:oasis:names:tc:SAML:2.0:protocol"
	MDUI   = "urn:oasis:names:tc:SAML:metadata:ui"
	MDATTR = "urn:oasis:names:tc:SAML:metadata:attribute"
	ALG    = "urn:oasis:names:tc:SAML:metadata:algsupport"
	REMD   = "http://refeds.org/metadata"
	SHIBMD = "urn:mace:shibboleth:metadata:1.0"
)

// The bindings.
const (
	POST     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
	Redirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	SOAP     = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
)

// The forms of names.
const (
	Transient   = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	Persistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	Email       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	Unspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	// Encrypted is no form of its own: it asks that names come encrypted (SAML Core 2.0, 3.4.1.1).
	Encrypted = "urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted"
)

// URI is the form of attribute names that federations use.
const URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"

// subjectIDReq is the entity attribute by which a service names the subject
// identifier that it needs (SAML Subject Identifier Attributes 1.0, 5).
const subjectIDReq = "urn:oasis:names:tc:SAML:profiles:subject-id:req"

// entityCategory is the entity attribute that lists categories (RFC 8409).
const entityCategory = "http://macedir.org/entity-category"
