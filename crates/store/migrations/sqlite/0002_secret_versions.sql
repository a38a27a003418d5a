-- When its value should be a new one; nothing stops working then.
ALTER TABLE secrets ADD COLUMN rotate_by INTEGER;

-- Values that a newer one has replaced, until nothing uses them any more.
CREATE TABLE retired_secrets (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    user_name TEXT NOT NULL,
    server TEXT,
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    retired_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, environment, name, user_name, version)
) STRICT;
