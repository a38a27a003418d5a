-- Whose counters there are: one row for each, which is also the lock that makes those who count on it wait for each other.
CREATE TABLE budget_subjects (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    subject BYTEA NOT NULL,
    budget TEXT NOT NULL,
    whose TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (tenant, environment, subject)
);
CREATE INDEX budget_subjects_until ON budget_subjects (until);

-- What was used, by stretch of time, and by value where different values are counted (else it is empty).
CREATE TABLE budget_uses (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    subject BYTEA NOT NULL,
    bucket BIGINT NOT NULL,
    value BYTEA NOT NULL,
    used BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (tenant, environment, subject, bucket, value)
);
CREATE INDEX budget_uses_value ON budget_uses (tenant, environment, subject, value, bucket);
CREATE INDEX budget_uses_until ON budget_uses (until);

-- What of that belongs to calls that are not over: it is given back if nothing of them left.
CREATE TABLE budget_reservations (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    call TEXT NOT NULL,
    subject BYTEA NOT NULL,
    value BYTEA NOT NULL,
    bucket BIGINT NOT NULL,
    used BIGINT NOT NULL,
    deed TEXT NOT NULL,
    log TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (tenant, environment, call, subject, value)
);
CREATE INDEX budget_reservations_deed ON budget_reservations (tenant, environment, deed);
CREATE INDEX budget_reservations_until ON budget_reservations (until);
