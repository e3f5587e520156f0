ALTER TABLE clientcert_attempt ADD COLUMN stranded_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clientcert_attempt ADD COLUMN broken_at BIGINT NOT NULL DEFAULT 0;
