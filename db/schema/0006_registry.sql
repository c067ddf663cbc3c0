-- What others may ask about the gateway's certificates: revocation lists.

-- The newest list of each authority. stale counts the changes since it was asked for: the trigger sees
-- every way in which a certificate becomes good or revoked.
CREATE TABLE crl(
	ca_id INTEGER PRIMARY KEY REFERENCES ca(id) ON DELETE CASCADE,
	number INTEGER NOT NULL,
	entries INTEGER NOT NULL,
	this_update INTEGER NOT NULL,
	next_update INTEGER NOT NULL,
	stale INTEGER NOT NULL DEFAULT 0,
	der BLOB NOT NULL
);
CREATE TRIGGER crl_stale AFTER UPDATE OF status, reason ON cert BEGIN
	UPDATE crl SET stale = stale + 1 WHERE ca_id = NEW.ca_id;
END;
CREATE INDEX cert_revoked ON cert(ca_id, not_after) WHERE status IN (1, 2, 3);
