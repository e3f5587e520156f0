CREATE TABLE saml_logout (
	id TEXT PRIMARY KEY,
	state TEXT NOT NULL,
	until BIGINT NOT NULL
);

CREATE INDEX saml_logout_until ON saml_logout (until);
