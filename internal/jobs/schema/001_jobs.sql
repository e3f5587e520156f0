CREATE TABLE jobs_task (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	key TEXT NOT NULL,
	payload BYTEA NOT NULL,
	state TEXT NOT NULL,
	due BIGINT NOT NULL,
	tries BIGINT NOT NULL,
	lost BIGINT NOT NULL,
	node TEXT NOT NULL,
	done BIGINT NOT NULL,
	total BIGINT NOT NULL,
	fault TEXT NOT NULL,
	created BIGINT NOT NULL,
	ended BIGINT NOT NULL
);
CREATE UNIQUE INDEX jobs_task_waiting ON jobs_task (kind, key) WHERE state = 'waiting' AND key <> '';
CREATE INDEX jobs_task_running ON jobs_task (kind, key) WHERE state = 'running' AND key <> '';
CREATE INDEX jobs_task_due ON jobs_task (due) WHERE ended = 0;
CREATE INDEX jobs_task_ended ON jobs_task (state, ended) WHERE ended > 0;
CREATE TABLE jobs_period (
	name TEXT PRIMARY KEY,
	node TEXT NOT NULL,
	lease BIGINT NOT NULL,
	due BIGINT NOT NULL,
	ran BIGINT NOT NULL,
	fails BIGINT NOT NULL,
	fault TEXT NOT NULL
);
