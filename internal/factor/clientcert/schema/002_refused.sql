ALTER TABLE clientcert_attempt ADD COLUMN refused TEXT NOT NULL DEFAULT '';
