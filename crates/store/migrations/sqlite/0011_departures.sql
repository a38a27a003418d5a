-- A server may show something else than what was accepted and then what was accepted again. That is remembered until
-- somebody decides: how often, when last, what it was, and whose eyes saw it if not the gateway's own.
ALTER TABLE pins RENAME TO pins_before;

CREATE TABLE pins (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    server TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('approved', 'changed', 'returned', 'new', 'gone')),
    approved_digest BLOB,
    approved_at INTEGER,
    approved_by TEXT,
    seen_digest BLOB NOT NULL,
    seen_at INTEGER NOT NULL,
    rejected_digest BLOB,
    rejected_at INTEGER,
    rejected_by TEXT,
    left_times INTEGER NOT NULL DEFAULT 0,
    left_at INTEGER,
    left_digest BLOB,
    left_seen_by TEXT,
    left_held INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, environment, server, kind, name),
    CHECK (state <> 'approved' OR (approved_digest IS NOT NULL AND approved_digest = seen_digest)),
    CHECK (state <> 'changed' OR (approved_digest IS NOT NULL AND approved_digest <> seen_digest)),
    CHECK (state <> 'returned' OR (approved_digest IS NOT NULL AND approved_digest = seen_digest)),
    CHECK (state <> 'new' OR approved_digest IS NULL),
    CHECK (left_times = 0 OR (left_at IS NOT NULL AND left_digest IS NOT NULL))
) STRICT;

INSERT INTO pins (tenant, environment, server, kind, name, state, approved_digest, approved_at, approved_by,
        seen_digest, seen_at, rejected_digest, rejected_at, rejected_by, left_times, left_at, left_digest)
    SELECT tenant, environment, server, kind, name, state, approved_digest, approved_at, approved_by,
        seen_digest, seen_at, rejected_digest, rejected_at, rejected_by,
        CASE state WHEN 'changed' THEN 1 ELSE 0 END,
        CASE state WHEN 'changed' THEN seen_at END,
        CASE state WHEN 'changed' THEN seen_digest END FROM pins_before;
DROP TABLE pins_before;
CREATE INDEX pins_seen ON pins (tenant, environment, seen_digest);
CREATE INDEX pins_rejected ON pins (tenant, environment, rejected_digest);
CREATE INDEX pins_left ON pins (tenant, environment, left_digest);
