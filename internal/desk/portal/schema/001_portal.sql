CREATE TABLE portal_errand (
	id TEXT NOT NULL PRIMARY KEY,
	session TEXT NOT NULL,
	account TEXT NOT NULL,
	kind TEXT NOT NULL,
	memory BYTEA NOT NULL,
	expires_at BIGINT NOT NULL,
	UNIQUE (session, kind)
);
CREATE INDEX portal_errand_expires ON portal_errand (expires_at);

CREATE TABLE portal_address (
	person TEXT NOT NULL,
	use_for TEXT NOT NULL,
	address TEXT NOT NULL,
	code BYTEA NOT NULL,
	tries BIGINT NOT NULL,
	sent_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (person, use_for)
);
CREATE INDEX portal_address_expires ON portal_address (expires_at);

CREATE TABLE portal_removal (
	binding TEXT NOT NULL PRIMARY KEY,
	account TEXT NOT NULL,
	removed_at BIGINT NOT NULL,
	undo_until BIGINT NOT NULL
);
CREATE INDEX portal_removal_account ON portal_removal (account);
CREATE INDEX portal_removal_until ON portal_removal (undo_until)
