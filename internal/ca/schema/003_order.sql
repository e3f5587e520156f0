-- Which account a key belongs to, and a row of each account that its orders lock: what
-- an order needs to know hangs on unique keys, so that orders do not hinder each other.
CREATE TABLE ca_key_owner (
	key_hash BYTEA PRIMARY KEY,
	account TEXT NOT NULL
);
INSERT INTO ca_key_owner (key_hash, account) SELECT key_hash, MIN(account) FROM ca_certificate GROUP BY key_hash;
CREATE TABLE ca_holder (
	account TEXT PRIMARY KEY,
	orders BIGINT NOT NULL
);
