CREATE TABLE login_transaction (
  id TEXT PRIMARY KEY,
  browser TEXT NOT NULL,
  party TEXT NOT NULL,
  ask BYTEA NOT NULL,
  support TEXT NOT NULL,
  typed TEXT NOT NULL,
  account TEXT NOT NULL,
  evidence TEXT NOT NULL,
  memory BYTEA NOT NULL,
  must_change TEXT NOT NULL,
  must_code TEXT NOT NULL,
  way TEXT NOT NULL,
  trust BIGINT NOT NULL,
  shown TEXT NOT NULL,
  seq BIGINT NOT NULL,
  session TEXT NOT NULL,
  done_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX login_transaction_expires ON login_transaction (expires_at);
CREATE INDEX login_transaction_support ON login_transaction (support);
CREATE INDEX login_transaction_browser ON login_transaction (browser, created_at);
