CREATE TABLE cas_ticket (
	hash BYTEA PRIMARY KEY,
	kind TEXT NOT NULL,
	party TEXT NOT NULL,
	session TEXT NOT NULL,
	visit TEXT NOT NULL,
	sealed BYTEA NOT NULL,
	used_at BIGINT NOT NULL,
	until BIGINT NOT NULL
);

CREATE INDEX cas_ticket_visit ON cas_ticket (visit);

CREATE INDEX cas_ticket_session ON cas_ticket (session);

CREATE INDEX cas_ticket_until ON cas_ticket (until);
