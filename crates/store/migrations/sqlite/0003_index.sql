-- The index of the ledger is made anew: it is filled from the files at the next start.
DROP TABLE entries;
ALTER TABLE indexed RENAME TO indexed_before;

-- How many entries of each log are in the index, from the first on and without a gap, and how many once were: a log
-- that has fewer has lost its end.
CREATE TABLE indexed (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    log_id TEXT NOT NULL UNIQUE,
    up_to INTEGER NOT NULL,
    known INTEGER NOT NULL
) STRICT;

INSERT INTO indexed (tenant, environment, log_id, up_to, known)
    SELECT tenant, environment, log_id, 0, up_to FROM indexed_before ORDER BY log_id;
DROP TABLE indexed_before;

-- What people search entries by. `seq` is the log's number times 2^40, and the entry's index in it.
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('intent', 'decision', 'event')),
    at INTEGER NOT NULL,
    call_id TEXT,
    deed_id TEXT,
    leg INTEGER,
    interaction TEXT,
    direction TEXT,
    errand INTEGER,
    actor_kind TEXT,
    actor_name TEXT,
    user_name TEXT,
    host TEXT,
    model TEXT,
    workflow TEXT,
    transport TEXT,
    era TEXT,
    revision TEXT,
    entrance TEXT,
    method TEXT,
    server TEXT,
    item_kind TEXT,
    item_name TEXT,
    definition BLOB,
    policy BLOB,
    ending TEXT,
    code TEXT,
    dispatched INTEGER,
    event TEXT,
    duration_us INTEGER,
    shown BLOB,
    -- the decision, in the row of its intent
    closed INTEGER
) STRICT;
CREATE INDEX entries_call ON entries (call_id, tenant, environment) WHERE call_id IS NOT NULL;
CREATE INDEX entries_at ON entries (tenant, environment, at, seq) WHERE kind = 'intent';
CREATE INDEX entries_actor ON entries (tenant, environment, actor_name, at, seq) WHERE kind = 'intent';
CREATE INDEX entries_server ON entries (tenant, environment, server, at, seq) WHERE kind = 'intent';
CREATE INDEX entries_code ON entries (tenant, environment, code, at, seq) WHERE kind = 'intent' AND code IS NOT NULL;
