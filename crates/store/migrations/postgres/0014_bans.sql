-- An agent that was disabled and then removed: its name stays refused until somebody enables it.
ALTER TABLE agents ADD COLUMN removed_at BIGINT;
