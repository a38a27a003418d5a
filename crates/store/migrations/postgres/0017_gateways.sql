-- The root over so many first entries of the log, as whoever filled the index had it: by that a copy of the log that went
-- another way is known.
ALTER TABLE indexed ADD COLUMN root_at BIGINT;
ALTER TABLE indexed ADD COLUMN root BYTEA;

-- Which rules each gateway on this database goes by, and when it was last there.
CREATE TABLE gateways (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    log_id TEXT NOT NULL,
    policy BYTEA NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, environment, log_id)
);
