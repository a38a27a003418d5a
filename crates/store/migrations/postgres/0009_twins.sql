-- Keys under which a deed is done once. `key` is a digest of who asks, of which tool and of the key itself; `asks` of the arguments.
-- `former` is how it stood before this call, so that what never left is as it was. `sealed` is the answer.
CREATE TABLE twins (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    key BYTEA NOT NULL,
    owner BYTEA NOT NULL,
    asks BYTEA NOT NULL,
    call TEXT NOT NULL,
    deed TEXT NOT NULL,
    leg BIGINT NOT NULL,
    log TEXT NOT NULL,
    standing TEXT NOT NULL CHECK (standing IN ('sent', 'waits', 'answered', 'unknown')),
    former TEXT NOT NULL CHECK (former IN ('new', 'waits', 'unknown')),
    window_us BIGINT NOT NULL,
    until BIGINT NOT NULL,
    sealed BYTEA,
    PRIMARY KEY (tenant, environment, key)
);
CREATE INDEX twins_call ON twins (tenant, environment, call);
CREATE INDEX twins_sent ON twins (tenant, environment, log, call) WHERE standing = 'sent';
CREATE INDEX twins_kept ON twins (tenant, environment, owner, until, key) WHERE sealed IS NOT NULL;
CREATE INDEX twins_until ON twins (until);
