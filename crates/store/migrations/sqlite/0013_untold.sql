-- Events of what was decided: written in its transaction, and kept until the ledger has them.
CREATE TABLE untold (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    writer TEXT NOT NULL,
    deed TEXT NOT NULL,
    n INTEGER NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (tenant, environment, writer, deed, n)
) STRICT;
