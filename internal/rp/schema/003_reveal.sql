CREATE TABLE rp_reveal (
	id TEXT PRIMARY KEY,
	party TEXT NOT NULL,
	identifier TEXT NOT NULL,
	reason TEXT NOT NULL,
	state TEXT NOT NULL,
	asked_by TEXT NOT NULL,
	asked_at BIGINT NOT NULL,
	decided_by TEXT NOT NULL,
	decided_at BIGINT NOT NULL
);

CREATE INDEX rp_reveal_asked ON rp_reveal (asked_at);
