-- Keys for SCRAM-SHA-256 logins, beside the verifier of the same password: 32-bit iterations
-- (little-endian), salt of 16 bytes, StoredKey and ServerKey of 32 (RFC 5802). NULL: the password is
-- older than this, or there is none.
ALTER TABLE device ADD COLUMN scram BLOB;

-- Secrets of this gateway. scram-salt: names that are not there get salts made with it, always the
-- same ones, so that nobody learns which names there are.
CREATE TABLE secret(
	name TEXT PRIMARY KEY,
	value BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO secret VALUES('scram-salt', randomblob(32));
