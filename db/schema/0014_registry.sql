-- Learn mode: a rule that allows for a time, and what the devices under it did meanwhile.
ALTER TABLE rule ADD COLUMN learn_until INTEGER;    -- NULL: an ordinary rule
CREATE INDEX rule_learn ON rule(learn_until) WHERE learn_until IS NOT NULL;

CREATE TABLE learned(
	device_id INTEGER NOT NULL REFERENCES device(id) ON DELETE CASCADE,
	action INTEGER NOT NULL CHECK(action IN (0, 1, 2)), -- 1 publish, 2 subscribe; 0: what had no room
	topic TEXT NOT NULL,                -- "+" in that of a publish: several were alike
	times INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	PRIMARY KEY(device_id, action, topic)
) WITHOUT ROWID;
