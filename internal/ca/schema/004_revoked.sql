-- When and why an issuer was revoked by its root; 0 and empty for all others.
ALTER TABLE ca_issuer ADD COLUMN revoked_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ca_issuer ADD COLUMN reason TEXT NOT NULL DEFAULT '';
