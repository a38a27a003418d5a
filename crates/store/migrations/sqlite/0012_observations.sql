-- What the answer of a tool that is taken for a read said that its call did: the first call of each kind.
CREATE TABLE observations (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    server TEXT NOT NULL,
    name TEXT NOT NULL,
    did TEXT NOT NULL CHECK (did IN ('created', 'changed', 'deleted', 'sent')),
    how TEXT NOT NULL,
    call TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant, environment, server, name, did)
) STRICT;
