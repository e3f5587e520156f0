CREATE TABLE feed_name (
	hash BYTEA PRIMARY KEY,
	names TEXT NOT NULL
);
