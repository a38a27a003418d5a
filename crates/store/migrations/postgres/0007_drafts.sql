-- Calls that were prepared and not made. `sealed` is the arguments; `deed` is set when it was submitted, once.
CREATE TABLE drafts (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    id TEXT NOT NULL,
    owner BYTEA NOT NULL,
    server TEXT NOT NULL,
    tool TEXT NOT NULL,
    definition BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    made_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    deed TEXT,
    PRIMARY KEY (tenant, environment, id)
);
CREATE INDEX drafts_owner ON drafts (tenant, environment, owner, made_at);
