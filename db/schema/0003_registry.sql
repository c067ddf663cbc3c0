-- Conditions of access rules, and rules that are compared byte for byte (daemon/acl).

ALTER TABLE rule ADD COLUMN literal INTEGER NOT NULL DEFAULT 0 CHECK(literal IN (0, 1));
ALTER TABLE rule ADD COLUMN qos INTEGER NOT NULL DEFAULT 0 CHECK(qos BETWEEN 0 AND 7);      -- 1 << QoS; 0: any
ALTER TABLE rule ADD COLUMN retain INTEGER NOT NULL DEFAULT 0 CHECK(retain BETWEEN 0 AND 2); -- 0 any 1 no 2 yes
ALTER TABLE rule ADD COLUMN networks TEXT NOT NULL DEFAULT '';  -- CIDR, separated by spaces; '': any
