-- The index of the ledger is made anew, and filled from the files at the next start: what repeats from call to call is
-- said once, by the entry that said it first, and others name that entry.
DROP TABLE entries;
UPDATE indexed SET known = CASE WHEN up_to > known THEN up_to ELSE known END, up_to = 0;
-- How often the log's part of the index was emptied: what somebody remembers of it is gone then.
ALTER TABLE indexed ADD COLUMN wiped INTEGER NOT NULL DEFAULT 0;

-- Small numbers for whose an entry is. Few, and never removed.
CREATE TABLE scopes (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    UNIQUE (tenant, environment)
) STRICT;

-- What people search calls by, but for what is a call's own. `seq` everywhere is the log's number times 2^40, and the
-- entry's index in it.
CREATE TABLE circumstances (
    seq INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    direction TEXT NOT NULL,
    errand INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_name TEXT,
    user_name TEXT,
    host TEXT,
    model TEXT,
    workflow TEXT,
    transport TEXT NOT NULL,
    era TEXT,
    revision TEXT,
    entrance TEXT NOT NULL,
    method TEXT,
    server TEXT,
    item_kind TEXT,
    item_name TEXT,
    definition BLOB,
    policy BLOB
) STRICT;

-- Nothing is said to be there in what follows: SQLite would keep every page that a statement of many rows touches, to
-- take it back.
CREATE TABLE interactions (
    seq INTEGER PRIMARY KEY,
    scope INTEGER,
    name TEXT
) STRICT;

-- A call: its intent, and its decision once there is one.
CREATE TABLE calls (
    seq INTEGER PRIMARY KEY,
    scope INTEGER,
    at INTEGER,
    -- ids as two numbers, which cost half of what their text does
    call_high INTEGER,
    call_low INTEGER,
    deed_high INTEGER,
    deed_low INTEGER,
    leg INTEGER,
    circumstances INTEGER,
    -- empty where it is named after the call
    interaction INTEGER,
    -- numbers made from names, for the indexes only: two names may have the same
    agent INTEGER,
    server INTEGER,
    ended INTEGER,
    code TEXT,
    dispatched INTEGER,
    duration_us INTEGER,
    shown BLOB,
    -- the decision's `seq`, less that of the intent
    closed INTEGER
) STRICT;
-- `seq` is at the end of each of them by itself
CREATE INDEX calls_at ON calls (scope, at);
CREATE INDEX calls_agent ON calls (agent, scope, at) WHERE agent IS NOT NULL;
CREATE INDEX calls_server ON calls (server, scope, at) WHERE server IS NOT NULL;
CREATE INDEX calls_code ON calls (code, scope, at) WHERE code IS NOT NULL;
-- A call is found by the milliseconds in its id, which are those of its time. Where they are not, by this.
CREATE INDEX calls_odd ON calls (call_high) WHERE call_high / 65536 <> at / 1000;

-- Events, and decisions whose intent is not indexed.
CREATE TABLE other_entries (
    seq INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('decision', 'event')),
    at INTEGER NOT NULL,
    call_high INTEGER,
    call_low INTEGER,
    name TEXT,
    server TEXT
) STRICT;
CREATE INDEX other_entries_call ON other_entries (call_high, call_low) WHERE call_high IS NOT NULL;
