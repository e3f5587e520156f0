-- When a root's key was taken away, and a mark under the master key of that day: as long as
-- it opens, backups from before hold a key that opens too.
ALTER TABLE ca_key ADD COLUMN gone_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ca_key ADD COLUMN gone_mark BYTEA NOT NULL DEFAULT '';
