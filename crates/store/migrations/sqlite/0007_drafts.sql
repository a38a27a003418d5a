-- Calls that were prepared and not made. `sealed` is the arguments; `deed` is set when it was submitted, once.
CREATE TABLE drafts (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    id TEXT NOT NULL,
    owner BLOB NOT NULL,
    server TEXT NOT NULL,
    tool TEXT NOT NULL,
    definition BLOB NOT NULL,
    sealed BLOB NOT NULL,
    made_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    deed TEXT,
    PRIMARY KEY (tenant, environment, id)
) STRICT;
CREATE INDEX drafts_owner ON drafts (tenant, environment, owner, made_at);
