-- 0025 commands on many hosts. Forward only; additive; safe while the previous Worker serves.
-- What each host said lies in the run's own object.
CREATE TABLE runs (
  id              TEXT    PRIMARY KEY,
  org_id          TEXT    NOT NULL REFERENCES orgs (id),
  user_id         TEXT    REFERENCES users (id), -- NULL once they are erased
  command         TEXT    NOT NULL,
  parallel        INTEGER NOT NULL,
  stop_on_failure INTEGER NOT NULL CHECK (stop_on_failure IN (0, 1)),
  state           TEXT    NOT NULL CHECK (state IN ('running', 'done', 'stopped', 'cancelled')),
  hosts           INTEGER NOT NULL,
  succeeded       INTEGER NOT NULL,
  failed          INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  ended_at        INTEGER
) STRICT;
CREATE INDEX runs_by_org_id ON runs (org_id, id);
CREATE INDEX runs_by_user_id ON runs (user_id, id);
CREATE INDEX runs_live_by_user_id ON runs (user_id) WHERE ended_at IS NULL;
