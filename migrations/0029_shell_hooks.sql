-- 0029 hooks: whom an organisation asks or tells about its shells. Forward only; additive; safe while the previous Worker serves.
-- A webhook that is gone stays named: a hook that cannot be asked has failed, and its fail mode decides.
CREATE TABLE shell_hooks (
  org_id      TEXT    NOT NULL REFERENCES orgs (id),
  point       TEXT    NOT NULL CHECK (point IN ('before-connect', 'after-connect', 'before-exec', 'on-close', 'on-alert')),
  webhook_id  TEXT,
  module      TEXT,
  deadline_ms INTEGER, -- of points that decide, as is fail_mode
  fail_mode   TEXT    CHECK (fail_mode IN ('open', 'closed')),
  updated_at  INTEGER NOT NULL,
  PRIMARY KEY (org_id, point),
  CHECK ((webhook_id IS NULL) <> (module IS NULL))
) STRICT, WITHOUT ROWID;
