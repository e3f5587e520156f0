-- Certificates that are being made just now: they count toward the limit of devices.
CREATE TABLE certificates_work (
	id TEXT PRIMARY KEY,
	account TEXT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX certificates_work_account ON certificates_work (account);
-- Which reminder went out for which certificate: each once.
CREATE TABLE certificates_reminder (
	certificate TEXT NOT NULL,
	days BIGINT NOT NULL,
	sent_at BIGINT NOT NULL,
	PRIMARY KEY (certificate, days)
);
