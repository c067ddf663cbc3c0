-- Authorities follow one another: a generation is a root with what it certified. Where the private key
-- is: on this machine, away from it, or here but locked with a passphrase.
ALTER TABLE ca ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;
ALTER TABLE ca ADD COLUMN key TEXT NOT NULL DEFAULT 'here' CHECK(key IN ('away', 'here', 'locked'));
