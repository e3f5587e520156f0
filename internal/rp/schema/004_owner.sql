CREATE TABLE rp_owner_told (
	party TEXT NOT NULL,
	code TEXT NOT NULL,
	field TEXT NOT NULL,
	told_at BIGINT NOT NULL,
	PRIMARY KEY (party, code, field)
);

CREATE INDEX rp_owner_told_at ON rp_owner_told (told_at);
