CREATE TABLE saml_visit (
	party TEXT NOT NULL,
	name BYTEA NOT NULL,
	session TEXT NOT NULL,
	until BIGINT NOT NULL,
	PRIMARY KEY (party, name, session)
);

CREATE INDEX saml_visit_session ON saml_visit (session, party);

CREATE INDEX saml_visit_until ON saml_visit (until);
