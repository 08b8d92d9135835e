-- 0001 the audit record and the outbox. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE audit_entries (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  at       INTEGER NOT NULL, -- Unix ms
  org_id   TEXT,
  actor_id TEXT    NOT NULL,
  action   TEXT    NOT NULL,
  subject  TEXT    NOT NULL,
  cause    TEXT,
  trace_id TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_entries_by_org_id ON audit_entries (org_id, id);
CREATE INDEX audit_entries_by_actor_id ON audit_entries (actor_id, id);
CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries BEGIN
  SELECT RAISE(ABORT, 'audit entries are append-only');
END;
CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries BEGIN
  SELECT RAISE(ABORT, 'audit entries are append-only');
END;
-- REPLACE removes the old row without asking the DELETE trigger.
CREATE TRIGGER audit_entries_no_replace BEFORE INSERT ON audit_entries WHEN EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id) BEGIN
  SELECT RAISE(ABORT, 'audit entries are append-only');
END;

CREATE TABLE outbox_events (
  id              TEXT    PRIMARY KEY,
  topic           TEXT    NOT NULL,
  payload         TEXT,             -- sealed JSON; NULL once done
  traceparent     TEXT    NOT NULL,
  created_at      INTEGER NOT NULL,
  attempts        INTEGER NOT NULL DEFAULT 0,
  next_attempt_at INTEGER NOT NULL,
  last_error      TEXT,
  done_at         INTEGER,
  dead_at         INTEGER
) STRICT;
CREATE INDEX outbox_events_by_next_attempt_at ON outbox_events (next_attempt_at) WHERE done_at IS NULL AND dead_at IS NULL;
CREATE INDEX outbox_events_by_done_at ON outbox_events (done_at) WHERE done_at IS NOT NULL;
