CREATE TABLE card_card (
	id TEXT NOT NULL PRIMARY KEY,
	serial TEXT NOT NULL,
	label TEXT NOT NULL,
	state TEXT NOT NULL, since BIGINT NOT NULL, why TEXT NOT NULL, by_whom TEXT NOT NULL,
	account TEXT NOT NULL, person TEXT NOT NULL,
	certificate TEXT NOT NULL,
	algorithm TEXT NOT NULL,
	public_key BYTEA NOT NULL,
	pin BYTEA NOT NULL,
	pin_mac BYTEA NOT NULL,
	pin_made BIGINT NOT NULL,
	printed BIGINT NOT NULL,
	puk BYTEA NOT NULL,
	tries BIGINT NOT NULL, seen BIGINT NOT NULL,
	replaces TEXT NOT NULL, replaced_by TEXT NOT NULL,
	used BIGINT NOT NULL,
	created BIGINT NOT NULL
);
CREATE UNIQUE INDEX card_card_serial ON card_card (serial) WHERE state <> 'returned';
CREATE INDEX card_card_account ON card_card (account);
CREATE INDEX card_card_certificate ON card_card (certificate);
CREATE INDEX card_card_state ON card_card (state, id);

CREATE TABLE card_past (
	number IDENTITY PRIMARY KEY,
	card TEXT NOT NULL REFERENCES card_card (id),
	state TEXT NOT NULL, since BIGINT NOT NULL, until BIGINT NOT NULL,
	why TEXT NOT NULL, by_whom TEXT NOT NULL
);
CREATE INDEX card_past_card ON card_past (card, number);

CREATE TABLE card_proof (
	number IDENTITY PRIMARY KEY,
	card TEXT NOT NULL REFERENCES card_card (id),
	account TEXT NOT NULL, person TEXT NOT NULL,
	act TEXT NOT NULL, document TEXT NOT NULL,
	at BIGINT NOT NULL, by_whom TEXT NOT NULL
);
CREATE INDEX card_proof_card ON card_proof (card, number);
CREATE INDEX card_proof_person ON card_proof (person, number);
