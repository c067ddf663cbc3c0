-- What lists of devices can be ordered by, with the name behind it, so that a page is read from an index.
-- certificate_end is kept by triggers: whatever changes a certificate, it follows.
ALTER TABLE device ADD COLUMN certificate_end INTEGER NOT NULL DEFAULT 9223372036854775807; -- of its good one that ends last; so far off: it has none

UPDATE device SET certificate_end = (SELECT max(not_after) FROM cert WHERE device_id = device.id AND status = 0)
	WHERE EXISTS(SELECT 1 FROM cert WHERE device_id = device.id AND status = 0);

CREATE TRIGGER device_end_added AFTER INSERT ON cert WHEN NEW.device_id IS NOT NULL AND NEW.status = 0 BEGIN
	UPDATE device SET certificate_end = coalesce((SELECT max(not_after) FROM cert WHERE device_id = NEW.device_id
		AND status = 0), 9223372036854775807) WHERE id = NEW.device_id;
END;
CREATE TRIGGER device_end_changed AFTER UPDATE OF status, device_id, not_after ON cert
	WHEN NEW.device_id IS NOT NULL BEGIN
	UPDATE device SET certificate_end = coalesce((SELECT max(not_after) FROM cert WHERE device_id = NEW.device_id
		AND status = 0), 9223372036854775807) WHERE id = NEW.device_id;
END;

CREATE INDEX device_end ON device(certificate_end, name);
CREATE INDEX device_created ON device(created, name);
CREATE INDEX device_kind ON device(kind, name);
