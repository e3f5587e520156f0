CREATE TABLE mailcode_code (
  id TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  trx TEXT NOT NULL,
  binding TEXT NOT NULL,
  hash BYTEA NOT NULL,
  mail TEXT NOT NULL,
  number BIGINT NOT NULL,
  sent BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  used BIGINT NOT NULL
);
CREATE UNIQUE INDEX mailcode_code_number ON mailcode_code (account, number);
CREATE INDEX mailcode_code_expires ON mailcode_code (expires);
