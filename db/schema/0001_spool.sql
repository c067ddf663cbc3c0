-- What outlives the broker: sessions with what they wait for, and retained messages. The records are those of
-- daemon/ipc/messages.def. Times are milliseconds since 1970 UTC. There are no foreign keys: the thread that writes
-- counts in memory who refers to a message, and takes a session away with all that is its own.

CREATE TABLE session(
	sid INTEGER PRIMARY KEY,
	device_id INTEGER NOT NULL,         -- of the registry, 0 anonymous
	expiry INTEGER NOT NULL,            -- seconds
	disconnected_ms INTEGER NOT NULL,   -- 0: connected
	will_due_ms INTEGER NOT NULL,       -- 0: not yet
	client_id BLOB NOT NULL,
	will BLOB NOT NULL,
	more BLOB NOT NULL
);
CREATE TABLE subscription(
	sid INTEGER NOT NULL,
	filter BLOB NOT NULL,
	options INTEGER NOT NULL,
	identifier INTEGER NOT NULL,
	PRIMARY KEY(sid, filter)
) WITHOUT ROWID;
CREATE TABLE received(                      -- QoS 2 from the client, until PUBREL
	sid INTEGER NOT NULL,
	packet_id INTEGER NOT NULL,
	workers INTEGER NOT NULL,           -- bits: those that have dealt with it
	PRIMARY KEY(sid, packet_id)
) WITHOUT ROWID;
CREATE TABLE message(
	mid INTEGER PRIMARY KEY,
	qos INTEGER NOT NULL,
	retain INTEGER NOT NULL,
	expires_ms INTEGER NOT NULL,        -- 0: never
	origin INTEGER NOT NULL,            -- sid of the publisher, 0: not kept
	topic BLOB NOT NULL,
	properties BLOB NOT NULL,
	payload BLOB NOT NULL
);
CREATE TABLE queue(
	sid INTEGER NOT NULL,
	place INTEGER NOT NULL,             -- in the order of the session
	mid INTEGER NOT NULL,
	queued_ms INTEGER NOT NULL,
	qos INTEGER NOT NULL,
	retain INTEGER NOT NULL,
	share BLOB,                         -- NULL: not by a shared subscription
	ids BLOB,                           -- subscription identifiers, NULL: none
	packet_id INTEGER,                  -- NULL: not sent
	state INTEGER,                      -- of the broker
	PRIMARY KEY(sid, place)
) WITHOUT ROWID;
CREATE TABLE retain(
	topic BLOB PRIMARY KEY,
	mid INTEGER,                        -- NULL: gone; kept a while against older versions that come late
	version INTEGER NOT NULL,
	gone_at INTEGER                     -- seconds since 1970 UTC
) WITHOUT ROWID;
CREATE INDEX retain_gone ON retain(gone_at) WHERE gone_at IS NOT NULL;

-- The last batch of each worker of the broker that is in the tables above, and those before it that were refused.
CREATE TABLE applied(
	worker INTEGER PRIMARY KEY,
	epoch INTEGER NOT NULL,             -- of the start of the broker, 64 bits
	seq INTEGER NOT NULL,
	refused BLOB                        -- ranges: first and last, 64 bits little-endian each
);
