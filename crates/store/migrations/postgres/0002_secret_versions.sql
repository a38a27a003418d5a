-- When its value should be a new one; nothing stops working then.
ALTER TABLE secrets ADD COLUMN rotate_by BIGINT;

-- Values that a newer one has replaced, until nothing uses them any more.
CREATE TABLE retired_secrets (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    user_name TEXT NOT NULL,
    server TEXT,
    version BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    retired_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, environment, name, user_name, version)
);
