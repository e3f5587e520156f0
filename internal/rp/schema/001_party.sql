CREATE TABLE rp_party (
	id TEXT PRIMARY KEY,
	protocol TEXT NOT NULL,
	names TEXT NOT NULL,
	logo_url TEXT NOT NULL,
	home_url TEXT NOT NULL,
	contact TEXT NOT NULL,
	sector TEXT NOT NULL,
	pairwise BIGINT NOT NULL,
	release_list TEXT NOT NULL,
	consent TEXT NOT NULL,
	registration TEXT NOT NULL,
	disabled BIGINT NOT NULL,
	version BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);

CREATE TABLE rp_consent (
	party TEXT NOT NULL REFERENCES rp_party (id) ON DELETE CASCADE,
	account TEXT NOT NULL,
	items TEXT NOT NULL,
	given_at BIGINT NOT NULL,
	PRIMARY KEY (party, account)
);

CREATE INDEX rp_consent_account ON rp_consent (account);
