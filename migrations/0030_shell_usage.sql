-- 0030 what shells use in a month, and what hooks answered in a day. Forward only; additive; safe while the previous Worker serves.
-- A shell, a command or a transfer counts in the month in which it ends.
CREATE TABLE shell_usage (
  org_id  TEXT    NOT NULL REFERENCES orgs (id),
  month   INTEGER NOT NULL, -- as 202611, UTC
  seconds INTEGER NOT NULL,
  bytes   INTEGER NOT NULL, -- that hosts sent
  PRIMARY KEY (org_id, month)
) STRICT, WITHOUT ROWID;
CREATE INDEX shell_commands_running_by_org_id ON shell_commands (org_id, id) WHERE ended_at IS NULL;

CREATE TABLE shell_hook_days (
  day     INTEGER NOT NULL, -- Unix days, UTC
  point   TEXT    NOT NULL,
  outcome TEXT    NOT NULL, -- allow, refuse, or how it failed
  asked   INTEGER NOT NULL,
  PRIMARY KEY (day, point, outcome)
) STRICT, WITHOUT ROWID;
