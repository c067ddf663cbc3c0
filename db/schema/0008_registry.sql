-- What was told of a certificate that ends: how much of its life had passed (66, 80, 95, 100 percent), when last.
CREATE TABLE notice(
	cert_id INTEGER PRIMARY KEY REFERENCES cert(id) ON DELETE CASCADE,
	stage INTEGER NOT NULL,
	at INTEGER NOT NULL
);
