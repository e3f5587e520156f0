-- Certificates that are on hold because their account is suspended: with the account
-- they come back. A hold that somebody else placed does not stand here.
CREATE TABLE certificates_held (
	certificate TEXT PRIMARY KEY,
	account TEXT NOT NULL,
	at BIGINT NOT NULL
);
CREATE INDEX certificates_held_account ON certificates_held (account);
