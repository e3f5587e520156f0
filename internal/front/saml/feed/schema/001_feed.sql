CREATE TABLE feed_feed (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	precedence BIGINT NOT NULL,
	settings TEXT NOT NULL,
	loads BIGINT NOT NULL,
	loaded TEXT NOT NULL,
	valid_until BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	checked_at BIGINT NOT NULL,
	fails BIGINT NOT NULL,
	fault TEXT NOT NULL
);

CREATE TABLE feed_entity (
	feed TEXT NOT NULL REFERENCES feed_feed (id) ON DELETE CASCADE,
	entity TEXT NOT NULL,
	hash BYTEA NOT NULL,
	valid_until BIGINT NOT NULL,
	gone BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (feed, entity)
);

CREATE INDEX feed_entity_entity ON feed_entity (entity);

CREATE INDEX feed_entity_hash ON feed_entity (hash);

CREATE TABLE feed_document (
	hash BYTEA PRIMARY KEY,
	body BYTEA NOT NULL,
	stored_at BIGINT NOT NULL
);
