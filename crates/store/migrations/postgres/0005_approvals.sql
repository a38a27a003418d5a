-- People's yes to one exact deed. `body` is the whole of it as JSON; the columns are what it is found by. `version` counts
-- the steps, so that two who take one at the same time notice. `sealed` is the call itself, where it must be sent later.
CREATE TABLE approvals (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    id TEXT NOT NULL,
    subject BYTEA NOT NULL,
    deed TEXT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    proposed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    sealed BYTEA,
    PRIMARY KEY (tenant, environment, id)
);
CREATE UNIQUE INDEX approvals_open ON approvals (tenant, environment, subject)
    WHERE state = 'proposed' OR state = 'approved';
CREATE INDEX approvals_deed ON approvals (tenant, environment, deed) WHERE state = 'executing';
CREATE INDEX approvals_queue ON approvals (tenant, environment, state, proposed_at, id);
CREATE INDEX approvals_history ON approvals (tenant, environment, changed_at, id);

-- Who may decide for a group of somebody else's, and until when.
CREATE TABLE delegations (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    lender TEXT NOT NULL,
    borrower TEXT NOT NULL,
    group_name TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (tenant, environment, borrower, lender, group_name)
);
