-- What a no is about, by which one is found whatever its terms were otherwise.
ALTER TABLE approvals ADD COLUMN refusal BLOB;
CREATE INDEX approvals_refusal ON approvals (tenant, environment, refusal) WHERE state = 'denied';
