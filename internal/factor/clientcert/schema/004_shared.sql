ALTER TABLE clientcert_attempt ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE clientcert_attempt ADD COLUMN client TEXT NOT NULL DEFAULT '';
CREATE INDEX clientcert_attempt_host ON clientcert_attempt (host, client, expires_at);
