-- What happened. Names are those of daemon/base/events.def: numbers of that table may move.
-- AUTOINCREMENT: a sequence number is never given twice.

CREATE TABLE event(
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	time_ms INTEGER NOT NULL,           -- milliseconds since 1970 UTC
	name TEXT NOT NULL,
	severity INTEGER NOT NULL,          -- 0 debug to 5 critical
	device TEXT,                        -- name at that time
	actor TEXT,
	client_id TEXT,
	address TEXT,
	listener TEXT,
	reason TEXT,
	detail BLOB                         -- further fields as a record (ipc/rec.h)
);
CREATE INDEX event_device ON event(device) WHERE device IS NOT NULL;
CREATE INDEX event_actor ON event(actor) WHERE actor IS NOT NULL;
CREATE INDEX event_name ON event(name);
