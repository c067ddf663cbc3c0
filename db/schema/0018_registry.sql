-- Networks that may not come, until a time. They are told to the broker and the faces of HTTPS.
CREATE TABLE ban(
	network TEXT PRIMARY KEY,           -- CIDR, as cidr_format writes it
	reason TEXT NOT NULL,
	created INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	until INTEGER NOT NULL
);
