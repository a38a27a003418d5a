-- Events of what was decided: written in its transaction, and kept until the ledger has them.
CREATE TABLE untold (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    writer TEXT NOT NULL,
    deed TEXT NOT NULL,
    n BIGINT NOT NULL,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (tenant, environment, writer, deed, n)
);
