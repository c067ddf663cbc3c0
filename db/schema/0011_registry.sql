-- A newer code for the same device took its place: when.
ALTER TABLE code ADD COLUMN replaced INTEGER;
-- A code more is looked up by its device or name: 100,000 of a table must not be looked through each time.
CREATE INDEX code_device ON code(device_id) WHERE device_id IS NOT NULL;
CREATE INDEX code_name ON code(name) WHERE name IS NOT NULL;
