CREATE TABLE oidc_grant (
	code BYTEA PRIMARY KEY,
	client TEXT NOT NULL,
	account TEXT NOT NULL,
	session TEXT NOT NULL,
	request TEXT NOT NULL,
	proof TEXT NOT NULL,
	offline BIGINT NOT NULL,
	code_until BIGINT NOT NULL,
	redeemed_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL,
	ended_why TEXT NOT NULL,
	until BIGINT NOT NULL,
	created_at BIGINT NOT NULL
);

CREATE INDEX oidc_grant_session ON oidc_grant (session);

CREATE INDEX oidc_grant_offline ON oidc_grant (account) WHERE offline = 1;

CREATE INDEX oidc_grant_until ON oidc_grant (until);

CREATE TABLE oidc_token (
	hash BYTEA PRIMARY KEY,
	code BYTEA NOT NULL,
	kind TEXT NOT NULL,
	scope TEXT NOT NULL,
	used_at BIGINT NOT NULL,
	until BIGINT NOT NULL,
	created_at BIGINT NOT NULL
);

CREATE INDEX oidc_token_until ON oidc_token (until);

CREATE TABLE oidc_pushed (
	hash BYTEA PRIMARY KEY,
	client TEXT NOT NULL,
	request TEXT NOT NULL,
	until BIGINT NOT NULL
);

CREATE INDEX oidc_pushed_until ON oidc_pushed (until);

CREATE TABLE oidc_assertion (
	client TEXT NOT NULL,
	jti BYTEA NOT NULL,
	until BIGINT NOT NULL,
	PRIMARY KEY (client, jti)
);

CREATE INDEX oidc_assertion_until ON oidc_assertion (until);
