CREATE TABLE keyring_secret (
	name TEXT PRIMARY KEY,
	sealed BYTEA NOT NULL,
	created_at BIGINT NOT NULL
);
CREATE TABLE keyring_key (
	id TEXT PRIMARY KEY,
	algorithm TEXT NOT NULL,
	number BIGINT NOT NULL,
	state TEXT NOT NULL,
	public BYTEA NOT NULL,
	sealed BYTEA NOT NULL,
	published_at BIGINT NOT NULL,
	active_at BIGINT NOT NULL,
	retired_at BIGINT NOT NULL,
	UNIQUE (algorithm, number)
);
