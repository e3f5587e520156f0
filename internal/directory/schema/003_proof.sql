CREATE TABLE directory_proof (
	id TEXT NOT NULL PRIMARY KEY,
	person TEXT NOT NULL REFERENCES directory_person (id),
	way TEXT NOT NULL,
	documents TEXT NOT NULL,
	at BIGINT NOT NULL, until BIGINT NOT NULL,
	place TEXT NOT NULL, by_whom TEXT NOT NULL,
	noted BIGINT NOT NULL,
	ended BIGINT NOT NULL, ended_why TEXT NOT NULL, ended_by TEXT NOT NULL
);
CREATE INDEX directory_proof_person ON directory_proof (person, at);

CREATE TABLE directory_former_name (
	user_key BYTEA NOT NULL PRIMARY KEY,
	account TEXT NOT NULL REFERENCES directory_account (id),
	until BIGINT NOT NULL
);

ALTER TABLE directory_person ADD COLUMN proofs TEXT NOT NULL DEFAULT '';

ALTER TABLE directory_account ADD COLUMN affirmed BIGINT NOT NULL DEFAULT 0;
