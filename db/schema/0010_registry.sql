-- Counts of the status page and of ca.show, without looking at every row.
CREATE INDEX cert_authority ON cert(ca_id, status, profile, not_after, device_id);
CREATE INDEX device_disabled ON device(id) WHERE enabled = 0;
CREATE INDEX device_password ON device(id) WHERE enabled AND verifier IS NOT NULL;
