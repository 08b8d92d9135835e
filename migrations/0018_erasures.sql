-- 0018 accounts that are being erased. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE erasures (
  id              TEXT    PRIMARY KEY,
  user_id         TEXT    NOT NULL UNIQUE, -- no foreign key: the row goes after its user
  requested_at    INTEGER NOT NULL,
  next_attempt_at INTEGER NOT NULL
) STRICT;
CREATE INDEX erasures_by_next_attempt_at ON erasures (next_attempt_at);
