CREATE TABLE audit_fresh (
	id IDENTITY PRIMARY KEY,
	at BIGINT NOT NULL,
	type TEXT NOT NULL,
	account TEXT NOT NULL,
	actor TEXT NOT NULL,
	session TEXT NOT NULL,
	txn TEXT NOT NULL,
	support TEXT NOT NULL,
	party TEXT NOT NULL,
	address TEXT NOT NULL,
	facts TEXT NOT NULL
);
CREATE TABLE audit_event (
	id BIGINT PRIMARY KEY,
	at BIGINT NOT NULL,
	type TEXT NOT NULL,
	account TEXT NOT NULL,
	actor TEXT NOT NULL,
	session TEXT NOT NULL,
	txn TEXT NOT NULL,
	support TEXT NOT NULL,
	party TEXT NOT NULL,
	address TEXT NOT NULL,
	facts TEXT NOT NULL,
	block BIGINT NOT NULL,
	seal BYTEA NOT NULL
);
CREATE INDEX audit_event_at ON audit_event (at, id);
CREATE INDEX audit_event_account ON audit_event (account, at, id) WHERE account <> '';
CREATE INDEX audit_event_support ON audit_event (support, at, id) WHERE support <> '';
CREATE INDEX audit_event_txn ON audit_event (txn, at, id) WHERE txn <> '';
CREATE INDEX audit_event_session ON audit_event (session, at, id) WHERE session <> '';
CREATE TABLE audit_block (
	n BIGINT PRIMARY KEY,
	ids TEXT NOT NULL,
	size BIGINT NOT NULL,
	at BIGINT NOT NULL,
	digest BYTEA NOT NULL,
	prev BYTEA NOT NULL,
	hash BYTEA NOT NULL
);
