-- Findings of the security check that somebody has accepted, and why.
CREATE TABLE muted(
	finding TEXT PRIMARY KEY,
	reason TEXT NOT NULL,
	at INTEGER NOT NULL,
	by TEXT NOT NULL
) WITHOUT ROWID;
