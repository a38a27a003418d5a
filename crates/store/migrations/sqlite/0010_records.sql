-- What is recorded of each server, and every step that led there. The ledger has these steps too.

CREATE TABLE server_records (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    server TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('candidate', 'in-review', 'approved', 'suspended', 'retired')),
    facts TEXT NOT NULL,
    approved_at INTEGER,
    approved_by TEXT,
    until INTEGER,
    wiring TEXT,
    approved_version TEXT,
    version INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    because TEXT,
    PRIMARY KEY (tenant, environment, server),
    CHECK (state <> 'approved' OR (approved_at IS NOT NULL AND approved_by IS NOT NULL AND until IS NOT NULL AND wiring IS NOT NULL))
) STRICT;

CREATE TABLE server_steps (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    server TEXT NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    by_whom TEXT NOT NULL,
    step TEXT NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    until INTEGER,
    because TEXT,
    facts TEXT NOT NULL,
    PRIMARY KEY (tenant, environment, server, version)
) STRICT;
