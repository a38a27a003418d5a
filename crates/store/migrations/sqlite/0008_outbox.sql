-- What is to be told to addresses outside, each thing once for each address, until it was taken or given up.
CREATE TABLE deliveries (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    hook TEXT NOT NULL,
    subject TEXT NOT NULL,
    event TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'dead')),
    error TEXT,
    PRIMARY KEY (tenant, environment, hook, subject, event)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (tenant, environment, state, next_at);

-- Callbacks that were taken, so that none is taken twice.
CREATE TABLE callbacks (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    hook TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant, environment, hook, id)
) STRICT;
CREATE INDEX callbacks_at ON callbacks (tenant, environment, at);
