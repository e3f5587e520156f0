CREATE TABLE ca_setting (
	name TEXT PRIMARY KEY,
	value TEXT NOT NULL
);
CREATE TABLE ca_key (
	id TEXT PRIMARY KEY,
	algorithm TEXT NOT NULL,
	public BYTEA NOT NULL,
	sealed BYTEA NOT NULL,
	handle TEXT NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE TABLE ca_issuer (
	id TEXT PRIMARY KEY,
	number BIGINT NOT NULL UNIQUE,
	root TEXT NOT NULL,
	name TEXT NOT NULL,
	state TEXT NOT NULL,
	since BIGINT NOT NULL,
	key_id TEXT NOT NULL,
	algorithm TEXT NOT NULL,
	der BYTEA NOT NULL,
	created_at BIGINT NOT NULL
);
-- At most one issuer is active: two nodes cannot make another active at once.
CREATE UNIQUE INDEX ca_issuer_active ON ca_issuer (state) WHERE state = 'active';
CREATE TABLE ca_certificate (
	id TEXT PRIMARY KEY,
	issuer TEXT NOT NULL,
	serial TEXT NOT NULL,
	profile TEXT NOT NULL,
	account TEXT NOT NULL,
	person TEXT NOT NULL,
	name TEXT NOT NULL,
	label TEXT NOT NULL,
	device TEXT NOT NULL,
	mail TEXT NOT NULL,
	upn TEXT NOT NULL,
	shard BIGINT NOT NULL,
	not_before BIGINT NOT NULL,
	not_after BIGINT NOT NULL,
	state TEXT NOT NULL,
	revoked_at BIGINT NOT NULL,
	reason TEXT NOT NULL,
	replaces TEXT NOT NULL,
	replaced_by TEXT NOT NULL,
	card TEXT NOT NULL,
	key_hash BYTEA NOT NULL,
	intent BYTEA NOT NULL,
	token BYTEA NOT NULL,
	der BYTEA NOT NULL,
	leaf BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	issued_at BIGINT NOT NULL,
	UNIQUE (issuer, serial)
);
CREATE INDEX ca_certificate_account ON ca_certificate (account, created_at);
CREATE INDEX ca_certificate_key ON ca_certificate (key_hash);
CREATE INDEX ca_certificate_revoked ON ca_certificate (issuer, shard, not_after) WHERE state = 'revoked';
CREATE INDEX ca_certificate_prepared ON ca_certificate (created_at) WHERE state = 'prepared';
CREATE INDEX ca_certificate_ends ON ca_certificate (not_after) WHERE state = 'active';
CREATE INDEX ca_certificate_fresh ON ca_certificate (issued_at) WHERE leaf < 0 AND issued_at > 0;
CREATE UNIQUE INDEX ca_certificate_leaf ON ca_certificate (leaf) WHERE leaf >= 0;
