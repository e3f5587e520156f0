-- What names a thing in the world is found again after it was removed.
CREATE INDEX factor_binding_removed ON factor_binding (kind, identifier) WHERE identifier <> '' AND state = 'removed';
