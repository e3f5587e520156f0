CREATE TABLE factor_binding (
  id TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  kind TEXT NOT NULL,
  identifier TEXT NOT NULL,
  label TEXT NOT NULL,
  state TEXT NOT NULL,
  payload BYTEA NOT NULL,
  counter BIGINT NOT NULL,
  created BIGINT NOT NULL,
  changed BIGINT NOT NULL,
  used BIGINT NOT NULL
);
CREATE INDEX factor_binding_account ON factor_binding (account, kind);
CREATE UNIQUE INDEX factor_binding_identifier ON factor_binding (kind, identifier) WHERE identifier <> '' AND state <> 'removed';
