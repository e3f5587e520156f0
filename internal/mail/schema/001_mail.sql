CREATE TABLE mail_message (
	number IDENTITY PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	account TEXT NOT NULL,
	purpose TEXT NOT NULL,
	template TEXT NOT NULL,
	lang TEXT NOT NULL,
	masked TEXT NOT NULL,
	sealed BYTEA NOT NULL,
	state TEXT NOT NULL,
	tries BIGINT NOT NULL,
	server TEXT NOT NULL,
	reply TEXT NOT NULL,
	queued_at BIGINT NOT NULL,
	next_at BIGINT NOT NULL,
	tried_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX mail_message_state ON mail_message (state, expires_at);
CREATE INDEX mail_message_account ON mail_message (account, purpose, number);
