-- 0023 recordings of shells and commands, what an organisation asks of them, and the command log's detected lines. Forward only; additive; safe
-- while the previous Worker serves.
CREATE TABLE shell_oversight (
  org_id         TEXT    PRIMARY KEY REFERENCES orgs (id),
  is_strict      INTEGER NOT NULL, -- 1: what cannot be recorded ends
  records_input  INTEGER NOT NULL,
  is_open        INTEGER NOT NULL, -- 1: every member may watch recordings and read the log
  retention_days INTEGER NOT NULL,
  needs_watcher  INTEGER NOT NULL,
  updated_at     INTEGER NOT NULL
) STRICT;

-- Rows outlive host, shell and person until their retention is over; the bytes are objects in R2 under `recordings/<org>/<id>/`.
CREATE TABLE recordings (
  id          TEXT    PRIMARY KEY, -- that of the shell or command
  org_id      TEXT    NOT NULL REFERENCES orgs (id),
  host_id     TEXT    NOT NULL,
  user_id     TEXT    REFERENCES users (id), -- NULL once they are erased
  kind        TEXT    NOT NULL CHECK (kind IN ('pty', 'exec')),
  columns     INTEGER NOT NULL,
  rows        INTEGER NOT NULL,
  bytes       INTEGER NOT NULL DEFAULT 0,
  chunks      INTEGER NOT NULL DEFAULT 0,
  gaps        INTEGER NOT NULL DEFAULT 0,
  duration_ms INTEGER NOT NULL DEFAULT 0,
  started_at  INTEGER NOT NULL,
  ended_at    INTEGER,             -- set with the signed statement
  hash        TEXT,                -- of the last chunk
  signed      TEXT                 -- JWS over all of it
) STRICT;
CREATE INDEX recordings_by_org_id ON recordings (org_id, id);
CREATE INDEX recordings_by_host_id ON recordings (host_id, id);
CREATE INDEX recordings_by_user_id ON recordings (user_id, id);
CREATE INDEX recordings_by_started_at ON recordings (org_id, started_at);

-- The time index of a recording, and each chunk's place in its chain.
CREATE TABLE recording_chunks (
  recording_id TEXT    NOT NULL REFERENCES recordings (id),
  seq          INTEGER NOT NULL,
  at_ms        INTEGER NOT NULL, -- since the start
  first_offset INTEGER NOT NULL,
  bytes        INTEGER NOT NULL,
  prev_hash    TEXT    NOT NULL,
  hash         TEXT    NOT NULL, -- SHA-256 of the object
  mac          TEXT    NOT NULL, -- under the root secret, so that a writer of the database cannot forge it
  PRIMARY KEY (recording_id, seq)
) STRICT, WITHOUT ROWID;

-- Lines that a terminal showed when Enter was typed stand beside the commands that were run: `shell_id` says in which shell.
ALTER TABLE shell_commands ADD COLUMN kind TEXT NOT NULL DEFAULT 'exec' CHECK (kind IN ('exec', 'pty'));
ALTER TABLE shell_commands ADD COLUMN shell_id TEXT;
ALTER TABLE shell_commands ADD COLUMN recording_ms INTEGER; -- where in the recording of that shell
CREATE INDEX shell_commands_by_started_at ON shell_commands (org_id, started_at, id);
