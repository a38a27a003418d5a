-- What an item was shown as since somebody accepted it, instead of what was accepted: the worst first, a few of each item.
CREATE TABLE departures (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    server TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    grade INTEGER NOT NULL CHECK (grade BETWEEN 0 AND 4),
    times INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    seen_by TEXT,
    PRIMARY KEY (tenant, environment, server, kind, name, digest)
) STRICT;
CREATE INDEX departures_digest ON departures (tenant, environment, digest);

-- How bad the last one was is not known any more, but whether somebody has to look.
INSERT INTO departures (tenant, environment, server, kind, name, digest, grade, times, first_at, last_at, seen_by)
    SELECT tenant, environment, server, kind, name, left_digest, CASE left_held WHEN 0 THEN 0 ELSE 3 END,
        1, left_at, left_at, left_seen_by FROM pins WHERE left_digest IS NOT NULL AND left_at IS NOT NULL;
