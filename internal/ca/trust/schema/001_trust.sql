CREATE TABLE trust_anchor (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	der BYTEA NOT NULL,
	between_der BYTEA NOT NULL,
	enabled BIGINT NOT NULL,
	rules TEXT NOT NULL,
	checked TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL
);
CREATE TABLE trust_pin (
	anchor TEXT NOT NULL,
	kind TEXT NOT NULL,
	value TEXT NOT NULL,
	account TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (anchor, kind, value)
);
CREATE TABLE trust_list (
	anchor TEXT NOT NULL,
	url TEXT NOT NULL,
	der BYTEA NOT NULL,
	digest TEXT NOT NULL,
	number TEXT NOT NULL,
	entries BIGINT NOT NULL,
	this_update BIGINT NOT NULL,
	next_update BIGINT NOT NULL,
	tried_at BIGINT NOT NULL,
	fetched_at BIGINT NOT NULL,
	fault TEXT NOT NULL,
	PRIMARY KEY (anchor, url)
);
CREATE TABLE trust_seen (
	anchor TEXT NOT NULL,
	digest TEXT NOT NULL,
	der BYTEA NOT NULL,
	account TEXT NOT NULL,
	seen_at BIGINT NOT NULL,
	PRIMARY KEY (anchor, digest)
);
