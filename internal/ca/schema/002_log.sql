CREATE TABLE ca_log_tile (
	level BIGINT NOT NULL,
	n BIGINT NOT NULL,
	hashes BYTEA NOT NULL,
	PRIMARY KEY (level, n)
);
CREATE TABLE ca_log_head (
	size BIGINT PRIMARY KEY,
	at BIGINT NOT NULL,
	root BYTEA NOT NULL,
	signature BYTEA NOT NULL
);
