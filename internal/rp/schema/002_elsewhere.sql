CREATE TABLE rp_consent_anywhere (
	party TEXT NOT NULL,
	account TEXT NOT NULL,
	items TEXT NOT NULL,
	given_at BIGINT NOT NULL,
	PRIMARY KEY (party, account)
);

INSERT INTO rp_consent_anywhere (party, account, items, given_at) SELECT party, account, items, given_at FROM rp_consent;

DROP TABLE rp_consent;

ALTER TABLE rp_consent_anywhere RENAME TO rp_consent;

CREATE INDEX rp_consent_account ON rp_consent (account);

CREATE TABLE rp_rules (
	number IDENTITY PRIMARY KEY,
	text TEXT NOT NULL,
	applied_at BIGINT NOT NULL
);
