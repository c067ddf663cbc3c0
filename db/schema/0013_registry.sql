-- The changes of an audit row are looked up by it: to show them, and when the row is forgotten.
CREATE INDEX revision_audit ON revision(audit_id);
