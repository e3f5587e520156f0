-- When the responder was found to answer "revoked", and when a list held it; 0 before.
ALTER TABLE certificates_watch ADD COLUMN answered_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE certificates_watch ADD COLUMN published_at BIGINT NOT NULL DEFAULT 0;
