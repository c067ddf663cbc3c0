-- When a device was last connected, and the state by which lists are ordered and narrowed (seen.h).
ALTER TABLE device ADD COLUMN seen INTEGER NOT NULL DEFAULT 0; -- 0: never; 9223372036854775807: it is connected
ALTER TABLE device ADD COLUMN seen_address TEXT;    -- of its newest connection, without port
ALTER TABLE device ADD COLUMN seen_listener TEXT;
ALTER TABLE device ADD COLUMN seen_protocol TEXT;
ALTER TABLE device ADD COLUMN seen_tls TEXT;        -- NULL: without
ALTER TABLE device ADD COLUMN state INTEGER NOT NULL DEFAULT 3; -- 0 connected, 1 away, 2 never seen, 3 barred, 4 disabled

-- seen-alive: when somebody was certainly connected: where a crash leaves devices connected, they were last seen then.
-- state-cutoff: certificates that ended until then did not count when states were last settled.
INSERT INTO meta VALUES('seen-alive', 0), ('state-cutoff', 0);

-- The state is kept by triggers: whatever changes a device, its certificates or their authority, it follows. That a
-- certificate ends is no change: seen_settle() touches its device.
CREATE TRIGGER device_state_added AFTER INSERT ON device BEGIN
	UPDATE device SET seen = seen WHERE id = NEW.id;
END;
CREATE TRIGGER device_state_changed AFTER UPDATE OF enabled, verifier, certificate_end, seen ON device BEGIN
	UPDATE device SET state = CASE
		WHEN NEW.enabled = 0 THEN 4
		WHEN NEW.seen = 9223372036854775807 THEN 0
		WHEN NEW.verifier IS NULL AND NOT EXISTS(SELECT 1 FROM cert WHERE device_id = NEW.id AND status = 0
			AND not_after > (SELECT value FROM meta WHERE name = 'state-cutoff') AND NOT EXISTS(SELECT 1 FROM ca
			WHERE ca.id = ca_id AND ca.state IN ('retired', 'compromised'))) THEN 3
		WHEN NEW.seen = 0 THEN 2
		ELSE 1 END WHERE id = NEW.id;
END;
CREATE TRIGGER device_state_authority AFTER UPDATE OF state ON ca WHEN NEW.state IS NOT OLD.state BEGIN
	UPDATE device SET seen = seen WHERE id IN (SELECT device_id FROM cert WHERE ca_id = NEW.id);
END;
UPDATE device SET seen = seen;

CREATE INDEX device_seen ON device(seen, name);
CREATE INDEX device_state ON device(state, name);
CREATE INDEX device_state_seen ON device(state, seen, name);
