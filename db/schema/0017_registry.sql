-- The rules of one subject, and those for everyone (all three NULL), without a look at all the others.
CREATE INDEX rule_subject ON rule(device_id, grp_id, role_id);
