-- Sessions of administrators, API tokens, recovery codes. Only hashes (SHA-256) of secrets are kept.
ALTER TABLE administrator ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE administrator ADD COLUMN seen INTEGER;              -- last login
ALTER TABLE administrator ADD COLUMN totp_pending BLOB;         -- a secret that was not confirmed yet
ALTER TABLE administrator ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0; -- the last step that was used

CREATE TABLE session(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	hash BLOB NOT NULL UNIQUE,
	administrator_id INTEGER NOT NULL REFERENCES administrator(id) ON DELETE CASCADE,
	source TEXT NOT NULL,
	agent TEXT NOT NULL DEFAULT '',     -- the browser, as it says
	created INTEGER NOT NULL,
	seen INTEGER NOT NULL,
	expires INTEGER NOT NULL
);
CREATE INDEX session_administrator ON session(administrator_id);

CREATE TABLE recovery_code(
	administrator_id INTEGER NOT NULL REFERENCES administrator(id) ON DELETE CASCADE,
	hash BLOB NOT NULL,
	PRIMARY KEY(administrator_id, hash)
) WITHOUT ROWID;

CREATE TABLE token(
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE,
	hash BLOB NOT NULL UNIQUE,
	level INTEGER NOT NULL CHECK(level BETWEEN 0 AND 2),
	operations TEXT NOT NULL DEFAULT '', -- names and beginnings, separated by blanks; '' = all of its level
	created INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	expires INTEGER NOT NULL,
	seen INTEGER
);
CREATE INDEX audit_operation ON audit(operation);
