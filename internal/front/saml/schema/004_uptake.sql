CREATE TABLE saml_uptake (
	key TEXT NOT NULL,
	party TEXT NOT NULL,
	kind TEXT NOT NULL,
	first_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (key, party, kind)
);

CREATE TABLE saml_fetch (
	party TEXT NOT NULL,
	address TEXT NOT NULL,
	agent TEXT NOT NULL,
	first_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	PRIMARY KEY (party, address, agent)
);

CREATE INDEX saml_fetch_last ON saml_fetch (last_at);
