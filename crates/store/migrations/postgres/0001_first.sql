-- Times are microseconds since the Unix epoch. JSON is TEXT. Digests and hashes are 32 raw bytes.
-- Every table carries tenant and environment; '*' is a row that belongs to the installation as a whole.

-- Bumped in the transaction of every change a gateway keeps in memory, so that it can notice.
CREATE TABLE revisions (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (tenant, environment)
);

CREATE TABLE users (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    group_names TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, environment, name)
);

CREATE TABLE agents (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('agent', 'workload')),
    group_names TEXT NOT NULL,
    user_name TEXT,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,
    PRIMARY KEY (tenant, environment, name),
    FOREIGN KEY (tenant, environment, user_name) REFERENCES users (tenant, environment, name)
);

-- A token outlives its agent as a revoked row, so that the record of what it did can be explained.
CREATE TABLE tokens (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    token_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    last_used_at BIGINT,
    PRIMARY KEY (token_id)
);
CREATE INDEX tokens_agent ON tokens (tenant, environment, agent);

CREATE TABLE servers (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    server TEXT NOT NULL,
    pinned_at BIGINT,
    seen_at BIGINT,
    era TEXT,
    revision TEXT,
    detected_at BIGINT,
    info BYTEA,
    capabilities BYTEA,
    PRIMARY KEY (tenant, environment, server)
);

-- Raw definitions by digest. Those never approved and no longer pending are removed again.
CREATE TABLE definitions (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    digest BYTEA NOT NULL,
    raw BYTEA NOT NULL,
    stored_at BIGINT NOT NULL,
    approved_at BIGINT,
    PRIMARY KEY (tenant, environment, digest)
);
CREATE INDEX definitions_orphaned ON definitions (tenant, environment, approved_at, stored_at);

CREATE TABLE pins (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    server TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('approved', 'changed', 'new', 'gone')),
    approved_digest BYTEA,
    approved_at BIGINT,
    approved_by TEXT,
    seen_digest BYTEA NOT NULL,
    seen_at BIGINT NOT NULL,
    rejected_digest BYTEA,
    rejected_at BIGINT,
    rejected_by TEXT,
    PRIMARY KEY (tenant, environment, server, kind, name),
    CHECK (state <> 'approved' OR (approved_digest IS NOT NULL AND approved_digest = seen_digest)),
    CHECK (state <> 'changed' OR (approved_digest IS NOT NULL AND approved_digest <> seen_digest)),
    CHECK (state <> 'new' OR approved_digest IS NULL)
);
CREATE INDEX pins_seen ON pins (tenant, environment, seen_digest);
CREATE INDEX pins_rejected ON pins (tenant, environment, rejected_digest);

-- user_name is '' for a shared secret; server, where set, is the only one that may be given it.
CREATE TABLE secrets (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    user_name TEXT NOT NULL,
    server TEXT,
    version BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (tenant, environment, name, user_name)
);

-- The search index over the ledger. The ledger's files are the truth; this can be rebuilt from them.
-- An intent's row is completed from its decision, whose place is closed_log and closed_idx: one row is one call.
CREATE TABLE entries (
    log_id TEXT NOT NULL,
    idx BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('intent', 'decision', 'event')),
    at BIGINT NOT NULL,
    call_id TEXT,
    deed_id TEXT,
    leg BIGINT,
    interaction TEXT,
    direction TEXT,
    errand BIGINT,
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
    definition BYTEA,
    policy BYTEA,
    ending TEXT,
    code TEXT,
    dispatched BIGINT,
    event TEXT,
    duration_us BIGINT,
    shown BYTEA,
    closed_log TEXT,
    closed_idx BIGINT,
    PRIMARY KEY (log_id, idx)
);
CREATE INDEX entries_at ON entries (tenant, environment, kind, at, log_id, idx);
CREATE INDEX entries_call ON entries (call_id, tenant, environment, kind);
CREATE INDEX entries_actor ON entries (tenant, environment, kind, actor_name, at, log_id, idx);
CREATE INDEX entries_server ON entries (tenant, environment, kind, server, at, log_id, idx);
CREATE INDEX entries_code ON entries (tenant, environment, kind, code, at, log_id, idx);

-- How many entries of each log are in the index, from the first on and without a gap.
CREATE TABLE indexed (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    log_id TEXT NOT NULL,
    up_to BIGINT NOT NULL,
    PRIMARY KEY (log_id)
);

-- The exact lists that were shown to somebody, by the digest their decision names.
CREATE TABLE shown_lists (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    digest BYTEA NOT NULL,
    raw BYTEA NOT NULL,
    stored_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, environment, digest)
);
