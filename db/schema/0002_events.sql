-- Who has looked at events and said so. One row may stand for many events; what a detector makes of events
-- (an incident) is to refer to the same rows.
CREATE TABLE acknowledgement(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL,                -- seconds since 1970 UTC
	administrator TEXT NOT NULL,        -- the caller, as the audit log names it
	note TEXT NOT NULL
);
ALTER TABLE event ADD COLUMN acknowledgement INTEGER REFERENCES acknowledgement(id);
CREATE INDEX event_acknowledgement ON event(acknowledgement) WHERE acknowledgement IS NOT NULL;
