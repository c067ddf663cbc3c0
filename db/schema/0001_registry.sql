-- The registry: devices and what they may do, certificates, people, and who changed what.
-- Times are seconds since 1970 UTC. A released migration is never edited.
-- Foreign keys are on. An AUTOINCREMENT number is never given twice, not even after a removal:
-- events and the audit log keep pointing at what they meant.

CREATE TABLE meta(
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;
-- registry-seq: number of the last change sent to the broker. time-floor: a time that has passed.
INSERT INTO meta VALUES('registry-seq', 0), ('time-floor', 0);

CREATE TABLE device(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE,
	uuid TEXT NOT NULL UNIQUE,
	kind TEXT NOT NULL DEFAULT 'device',
	enabled INTEGER NOT NULL DEFAULT 1 CHECK(enabled IN (0, 1)),
	note TEXT NOT NULL DEFAULT '',
	verifier TEXT,                      -- of its password, as crypt(5) writes it
	created INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	changed INTEGER NOT NULL
);

CREATE TABLE grp(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE
);
CREATE TABLE device_grp(
	device_id INTEGER NOT NULL REFERENCES device(id) ON DELETE CASCADE,
	grp_id INTEGER NOT NULL REFERENCES grp(id) ON DELETE CASCADE,
	PRIMARY KEY(device_id, grp_id)
) WITHOUT ROWID;
CREATE INDEX device_grp_back ON device_grp(grp_id, device_id);

CREATE TABLE role(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE,
	note TEXT NOT NULL DEFAULT '',
	created INTEGER NOT NULL,
	created_by TEXT NOT NULL
);
CREATE TABLE device_role(
	device_id INTEGER NOT NULL REFERENCES device(id) ON DELETE CASCADE,
	role_id INTEGER NOT NULL REFERENCES role(id) ON DELETE CASCADE,
	PRIMARY KEY(device_id, role_id)
) WITHOUT ROWID;
CREATE INDEX device_role_back ON device_role(role_id, device_id);

-- One access rule. Its subject is everyone, or exactly one of the three.
CREATE TABLE rule(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	device_id INTEGER REFERENCES device(id) ON DELETE CASCADE,
	grp_id INTEGER REFERENCES grp(id) ON DELETE CASCADE,
	role_id INTEGER REFERENCES role(id) ON DELETE CASCADE,
	allow INTEGER NOT NULL CHECK(allow IN (0, 1)),
	actions INTEGER NOT NULL CHECK(actions BETWEEN 1 AND 7),  -- 1 publish, 2 subscribe, 4 receive
	filter TEXT NOT NULL,
	priority INTEGER NOT NULL DEFAULT 0 CHECK(priority BETWEEN -1000 AND 1000),
	created INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	CHECK((device_id IS NOT NULL) + (grp_id IS NOT NULL) + (role_id IS NOT NULL) <= 1)
);
CREATE INDEX rule_device ON rule(device_id) WHERE device_id IS NOT NULL;
CREATE INDEX rule_grp ON rule(grp_id) WHERE grp_id IS NOT NULL;
CREATE INDEX rule_role ON rule(role_id) WHERE role_id IS NOT NULL;

CREATE TABLE ca(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	fp BLOB NOT NULL UNIQUE,            -- SHA-256 of the DER
	kind TEXT NOT NULL CHECK(kind IN ('root', 'issuing', 'cross', 'external')),
	name TEXT NOT NULL,
	subject TEXT NOT NULL,
	der BLOB NOT NULL,
	state TEXT NOT NULL CHECK(state IN ('next', 'active', 'retiring', 'retired', 'compromised')),
	not_before INTEGER NOT NULL,
	not_after INTEGER NOT NULL
);

-- The index of what the vault issued; the vault's journal is the authority. A row outlives its device.
CREATE TABLE cert(
	id INTEGER PRIMARY KEY AUTOINCREMENT,   -- in the order of issue: the cursor of lists
	fp BLOB NOT NULL UNIQUE,            -- SHA-256 of the DER
	serial BLOB NOT NULL,
	ca_id INTEGER REFERENCES ca(id),
	device_id INTEGER REFERENCES device(id) ON DELETE SET NULL,
	name TEXT NOT NULL,                 -- common name of the subject; purpose of a server certificate
	spki BLOB NOT NULL,
	der BLOB NOT NULL,
	profile TEXT NOT NULL CHECK(profile IN ('device', 'server')),
	not_before INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	issued_at INTEGER NOT NULL,
	issued_by TEXT NOT NULL,
	via TEXT NOT NULL,
	status INTEGER NOT NULL,            -- 0 good 1 revoked 2 hold 3 superseded 4 pending
	revoked_at INTEGER,
	reason INTEGER,                     -- CRLReason of RFC 5280, 5.3.1
	UNIQUE(ca_id, serial)
);
CREATE INDEX cert_device ON cert(device_id, status);
CREATE INDEX cert_expiry ON cert(not_after) WHERE status = 0;
CREATE INDEX cert_spki ON cert(spki);
CREATE INDEX cert_serial ON cert(serial);
CREATE INDEX cert_figures ON cert(profile, status, not_after); -- counts of the status page

-- Keys that were compromised: refused for ever, under any name.
CREATE TABLE blocked_key(
	spki BLOB PRIMARY KEY,
	why TEXT NOT NULL,
	at INTEGER NOT NULL
) WITHOUT ROWID;

-- Enrolment codes. Only the hash of a code is kept.
CREATE TABLE code(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	hash BLOB NOT NULL UNIQUE,
	device_id INTEGER REFERENCES device(id) ON DELETE CASCADE,
	name_pattern TEXT,
	uses_left INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	cidr TEXT,
	label TEXT NOT NULL DEFAULT '',
	last_used INTEGER
);

CREATE TABLE administrator(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE,
	level INTEGER NOT NULL CHECK(level BETWEEN 0 AND 2),  -- viewer, operator, admin
	verifier TEXT NOT NULL,
	totp BLOB,
	enabled INTEGER NOT NULL DEFAULT 1,
	created INTEGER NOT NULL,
	created_by TEXT NOT NULL
);
-- The code that opens the first visit of the interface; at most one is valid.
CREATE TABLE setup_code(
	hash BLOB PRIMARY KEY,
	expires INTEGER NOT NULL,
	tries_left INTEGER NOT NULL,
	created INTEGER NOT NULL,
	created_by TEXT NOT NULL
) WITHOUT ROWID;

-- Every attempt to change something.
CREATE TABLE audit(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL,
	actor TEXT NOT NULL,
	source TEXT NOT NULL,
	operation TEXT NOT NULL,
	target TEXT NOT NULL,
	outcome TEXT NOT NULL,              -- "ok", "denied", "invalid" ...
	why TEXT NOT NULL DEFAULT ''
);
-- What an object was before and after a change, as the records that operations answer (ipc/rec.h).
CREATE TABLE revision(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	audit_id INTEGER NOT NULL REFERENCES audit(id),
	kind TEXT NOT NULL,                 -- device, role, rule, cert
	object TEXT NOT NULL,
	before BLOB,                        -- NULL: it was made
	after BLOB                          -- NULL: it was removed
);
CREATE INDEX revision_object ON revision(kind, object);
