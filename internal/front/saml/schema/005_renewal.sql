CREATE TABLE saml_renewal (
	party TEXT PRIMARY KEY,
	due_at BIGINT NOT NULL,
	checked_at BIGINT NOT NULL,
	good_at BIGINT NOT NULL,
	fails BIGINT NOT NULL,
	fault TEXT NOT NULL
);
