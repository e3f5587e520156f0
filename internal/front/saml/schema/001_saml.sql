CREATE TABLE saml_key (
	id TEXT PRIMARY KEY,
	algorithm TEXT NOT NULL,
	state TEXT NOT NULL,
	certificate BYTEA NOT NULL,
	sealed BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL
);

CREATE TABLE saml_answered (
	request TEXT PRIMARY KEY,
	session TEXT NOT NULL,
	until BIGINT NOT NULL
);

CREATE INDEX saml_answered_until ON saml_answered (until);

CREATE TABLE saml_persistent (
	party TEXT NOT NULL,
	account TEXT NOT NULL,
	value TEXT NOT NULL,
	blocked BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (party, account)
);

CREATE UNIQUE INDEX saml_persistent_value ON saml_persistent (party, value);
