CREATE TABLE clientcert_attempt (
  label TEXT PRIMARY KEY,
  transaction_id TEXT NOT NULL,
  code BYTEA NOT NULL,
  chain BYTEA NOT NULL,
  how TEXT NOT NULL,
  stranded BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  answered_at BIGINT NOT NULL,
  used_at BIGINT NOT NULL
);
CREATE INDEX clientcert_attempt_transaction ON clientcert_attempt (transaction_id, created_at);
CREATE INDEX clientcert_attempt_expires ON clientcert_attempt (expires_at);
