-- Enrolment: how a device comes by its certificate and renews it.

-- How certificates are issued. Also the labels of EST.
CREATE TABLE profile(
	name TEXT PRIMARY KEY,
	lifetime INTEGER NOT NULL,          -- seconds; 0: as long as the issuer
	grace INTEGER NOT NULL,             -- seconds after its end in which a certificate still renews itself
	overlap INTEGER NOT NULL,           -- seconds in which old and new both hold, until the new one is seen
	note TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO profile VALUES
	('device', 7776000, 2592000, 604800, 'devices that renew their certificate themselves'),
	('manual', 0, 0, 604800, 'certificates that a person carries to the device');

ALTER TABLE cert ADD COLUMN issued_as TEXT;         -- profile; NULL: manual
ALTER TABLE cert ADD COLUMN csr_hash BLOB;          -- SHA-256 of the request it answers
ALTER TABLE cert ADD COLUMN renews INTEGER;         -- the certificate that it replaces
ALTER TABLE cert ADD COLUMN seen INTEGER;           -- of a renewed one: when it was first used
ALTER TABLE cert ADD COLUMN retire_at INTEGER;      -- of a replaced one: it opens nothing from then on
CREATE INDEX cert_renews ON cert(renews) WHERE renews IS NOT NULL;
CREATE INDEX cert_retire ON cert(retire_at) WHERE retire_at IS NOT NULL AND status = 0;

-- A code is for a device (device_id), for a name that is no device yet (name), or for new names (name_pattern).
ALTER TABLE code ADD COLUMN name TEXT;
ALTER TABLE code ADD COLUMN uses INTEGER NOT NULL DEFAULT 1;
ALTER TABLE code ADD COLUMN profile TEXT NOT NULL DEFAULT 'device';
ALTER TABLE code ADD COLUMN kind TEXT NOT NULL DEFAULT 'device';
ALTER TABLE code ADD COLUMN members BLOB;           -- groups and roles of devices it adds, as a record
ALTER TABLE code ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
ALTER TABLE code ADD COLUMN last_source TEXT;

-- Keys that wait for a person.
CREATE TABLE request(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	csr_hash BLOB NOT NULL UNIQUE,
	spki BLOB NOT NULL,
	name TEXT NOT NULL,
	profile TEXT NOT NULL,
	via TEXT NOT NULL,
	source TEXT NOT NULL,
	claim TEXT,                         -- name of the claim it came by
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	state TEXT NOT NULL CHECK(state IN ('pending', 'approved', 'denied', 'issued')),
	decided_by TEXT,
	decided INTEGER,
	why TEXT NOT NULL DEFAULT '',
	kind TEXT NOT NULL DEFAULT 'device',
	members BLOB,
	existing INTEGER NOT NULL DEFAULT 0, -- approved for a device that is there already
	cert_id INTEGER
);
CREATE INDEX request_state ON request(state, expires);
CREATE INDEX request_source ON request(source) WHERE state = 'pending';

-- Authorities whose certificates may enrol: of a factory, of an older PKI.
CREATE TABLE claim(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE,
	der BLOB NOT NULL,
	subject BLOB NOT NULL UNIQUE,       -- Name, DER
	pattern TEXT NOT NULL,              -- of the names that it may give
	name_from TEXT NOT NULL CHECK(name_from IN ('csr', 'cn', 'serial')),
	approval INTEGER NOT NULL,          -- 1: a person decides
	quota INTEGER NOT NULL,             -- devices an hour
	profile TEXT NOT NULL,
	kind TEXT NOT NULL,
	members BLOB,
	created INTEGER NOT NULL,
	created_by TEXT NOT NULL
);
CREATE TABLE claim_name(
	claim_id INTEGER NOT NULL REFERENCES claim(id) ON DELETE CASCADE,
	name TEXT NOT NULL,
	PRIMARY KEY(claim_id, name)
) WITHOUT ROWID;
CREATE TABLE claim_use(
	claim_id INTEGER NOT NULL REFERENCES claim(id) ON DELETE CASCADE,
	at INTEGER NOT NULL
);
CREATE INDEX claim_use_at ON claim_use(claim_id, at);
