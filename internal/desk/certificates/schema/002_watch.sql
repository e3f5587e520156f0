-- Revoked certificates whose publication is not on record yet.
CREATE TABLE certificates_watch (
	certificate TEXT PRIMARY KEY,
	revoked_at BIGINT NOT NULL
);
