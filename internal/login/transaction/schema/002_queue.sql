ALTER TABLE login_transaction ADD COLUMN queue TEXT NOT NULL DEFAULT '';
CREATE INDEX login_transaction_queue ON login_transaction (queue, expires_at) WHERE queue <> '';
