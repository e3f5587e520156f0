CREATE TABLE session_session (
	id TEXT PRIMARY KEY,
	token BYTEA NOT NULL UNIQUE,
	person TEXT NOT NULL,
	account TEXT NOT NULL,
	user_name TEXT NOT NULL,
	evidence TEXT NOT NULL,
	browser TEXT NOT NULL,
	agent TEXT NOT NULL,
	first_address TEXT NOT NULL,
	address TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX session_session_account ON session_session (account);
CREATE INDEX session_session_expires ON session_session (expires_at);
CREATE TABLE session_visit (
	id TEXT PRIMARY KEY,
	session TEXT NOT NULL,
	account TEXT NOT NULL,
	party TEXT NOT NULL,
	front TEXT NOT NULL,
	detail BYTEA NOT NULL,
	first_at BIGINT NOT NULL,
	at BIGINT NOT NULL,
	UNIQUE (session, party)
);
CREATE TABLE session_browser (
	id TEXT PRIMARY KEY,
	token BYTEA NOT NULL UNIQUE,
	agent TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX session_browser_expires ON session_browser (expires_at);
CREATE TABLE session_known (
	browser TEXT NOT NULL,
	account TEXT NOT NULL,
	first_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	PRIMARY KEY (browser, account)
);
CREATE INDEX session_known_account ON session_known (account);
CREATE TABLE session_trust (
	id TEXT PRIMARY KEY,
	browser TEXT NOT NULL,
	account TEXT NOT NULL,
	label TEXT NOT NULL,
	policy BIGINT NOT NULL,
	at BIGINT NOT NULL,
	until BIGINT NOT NULL,
	UNIQUE (browser, account)
);
CREATE INDEX session_trust_account ON session_trust (account);
CREATE INDEX session_trust_until ON session_trust (until);
