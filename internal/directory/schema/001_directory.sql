CREATE TABLE directory_person (
	id TEXT NOT NULL PRIMARY KEY,
	number TEXT,
	family TEXT NOT NULL, given TEXT NOT NULL,
	family_kana TEXT NOT NULL, given_kana TEXT NOT NULL,
	family_latin TEXT NOT NULL, given_latin TEXT NOT NULL,
	name_key BYTEA NOT NULL, kana_key BYTEA NOT NULL, latin_key BYTEA NOT NULL, mail_key BYTEA NOT NULL,
	mail TEXT NOT NULL, mail_verified BIGINT NOT NULL,
	notify TEXT NOT NULL, notify_verified BIGINT NOT NULL,
	recovery TEXT NOT NULL, recovery_verified BIGINT NOT NULL,
	lang TEXT NOT NULL, notices TEXT NOT NULL,
	created BIGINT NOT NULL, updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX directory_person_number ON directory_person (number);
CREATE INDEX directory_person_name ON directory_person (name_key);
CREATE INDEX directory_person_kana ON directory_person (kana_key);
CREATE INDEX directory_person_latin ON directory_person (latin_key);
CREATE INDEX directory_person_mail ON directory_person (mail_key);

CREATE TABLE directory_account (
	id TEXT NOT NULL PRIMARY KEY,
	person TEXT NOT NULL REFERENCES directory_person (id),
	user_name TEXT NOT NULL,
	user_key BYTEA NOT NULL,
	kind TEXT NOT NULL,
	state TEXT NOT NULL, state_since BIGINT NOT NULL, state_why TEXT NOT NULL, state_by TEXT NOT NULL,
	valid_from BIGINT NOT NULL, valid_until BIGINT NOT NULL,
	groups TEXT NOT NULL, affiliations TEXT NOT NULL,
	attributes TEXT NOT NULL,
	agreed TEXT NOT NULL, agreed_at BIGINT NOT NULL,
	last_factor TEXT NOT NULL,
	created BIGINT NOT NULL, updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX directory_account_name ON directory_account (user_key);
CREATE INDEX directory_account_person ON directory_account (person);
CREATE INDEX directory_account_state ON directory_account (state, user_key);
CREATE INDEX directory_account_kind ON directory_account (kind, user_key);

CREATE TABLE directory_member (
	name TEXT NOT NULL,
	account TEXT NOT NULL REFERENCES directory_account (id),
	PRIMARY KEY (name, account)
);

CREATE TABLE directory_past_state (
	number IDENTITY PRIMARY KEY,
	account TEXT NOT NULL REFERENCES directory_account (id),
	state TEXT NOT NULL, since BIGINT NOT NULL, until BIGINT NOT NULL,
	why TEXT NOT NULL, by_whom TEXT NOT NULL
);
CREATE INDEX directory_past_state_account ON directory_past_state (account, number);

CREATE TABLE directory_activation (
	hash BYTEA NOT NULL PRIMARY KEY,
	account TEXT NOT NULL REFERENCES directory_account (id),
	made BIGINT NOT NULL, expires BIGINT NOT NULL, used BIGINT NOT NULL
);
CREATE INDEX directory_activation_account ON directory_activation (account);
