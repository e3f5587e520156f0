CREATE TABLE welcome_reset (
	hash BYTEA NOT NULL PRIMARY KEY,
	account TEXT NOT NULL,
	address BYTEA NOT NULL,
	support TEXT NOT NULL,
	expires_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL
);
CREATE INDEX welcome_reset_account ON welcome_reset (account);
CREATE INDEX welcome_reset_expires ON welcome_reset (expires_at)
