CREATE TABLE throttle_count (
	who TEXT NOT NULL,
	factor TEXT NOT NULL,
	scope TEXT NOT NULL,
	tries BIGINT NOT NULL,
	since BIGINT NOT NULL,
	until BIGINT NOT NULL,
	forgotten BIGINT NOT NULL,
	PRIMARY KEY (who, factor, scope)
);
CREATE INDEX throttle_count_forgotten ON throttle_count (forgotten);
