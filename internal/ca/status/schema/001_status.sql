-- Shard 0 is the full list of an issuer.
CREATE TABLE status_list (
	issuer TEXT NOT NULL,
	shard BIGINT NOT NULL,
	reserved BIGINT NOT NULL,
	number BIGINT NOT NULL,
	entries BIGINT NOT NULL,
	this_update BIGINT NOT NULL,
	next_update BIGINT NOT NULL,
	digest TEXT NOT NULL,
	der BYTEA NOT NULL,
	PRIMARY KEY (issuer, shard)
);
-- What waits to be published: one row for each list that a change belongs to.
CREATE TABLE status_change (
	id IDENTITY PRIMARY KEY,
	issuer TEXT NOT NULL,
	shard BIGINT NOT NULL,
	claimed BIGINT NOT NULL,
	at BIGINT NOT NULL
);
CREATE INDEX status_change_list ON status_change (issuer, shard);
CREATE TABLE status_signer (
	id TEXT PRIMARY KEY,
	issuer TEXT NOT NULL,
	serial TEXT NOT NULL,
	sealed BYTEA NOT NULL,
	der BYTEA NOT NULL,
	not_before BIGINT NOT NULL,
	not_after BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	UNIQUE (issuer, serial)
);
