-- 0005 hosts, shells on them and the command log. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE hosts (
  id              TEXT    PRIMARY KEY,
  org_id          TEXT    NOT NULL REFERENCES orgs (id),
  name            TEXT    NOT NULL,
  address         TEXT    NOT NULL,
  port            INTEGER NOT NULL,
  user            TEXT    NOT NULL,
  keys            TEXT    NOT NULL, -- JSON: accepted host keys with their fingerprints
  credential_kind TEXT    NOT NULL CHECK (credential_kind IN ('password', 'private-key')),
  credential      TEXT    NOT NULL, -- JSON envelope: a data key under the key-encryption secret, and the ciphertext
  created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX hosts_by_org_id ON hosts (org_id, id);

-- Rows outlive their host: what happened on it stays on record.
CREATE TABLE shells (
  id         TEXT    PRIMARY KEY,
  org_id     TEXT    NOT NULL REFERENCES orgs (id),
  host_id    TEXT    NOT NULL,
  user_id    TEXT    NOT NULL REFERENCES users (id),
  state      TEXT    NOT NULL CHECK (state IN ('connecting', 'open', 'detached', 'closed', 'failed')),
  reason     TEXT,
  version    INTEGER NOT NULL DEFAULT 0, -- of the object's own record; an older one never overwrites a newer one
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  closed_at  INTEGER                     -- set exactly when the state is final
) STRICT;
CREATE INDEX shells_by_user_id ON shells (user_id, id);
CREATE INDEX shells_live_by_user_id ON shells (user_id) WHERE closed_at IS NULL;
CREATE INDEX shells_live_by_host_id ON shells (host_id) WHERE closed_at IS NULL;
CREATE INDEX shells_live_by_org_id ON shells (org_id, id) WHERE closed_at IS NULL;
CREATE INDEX shells_live_by_updated_at ON shells (updated_at) WHERE closed_at IS NULL;

CREATE TABLE shell_commands (
  id              TEXT    PRIMARY KEY, -- that of the shell that ran it
  org_id          TEXT    NOT NULL REFERENCES orgs (id),
  host_id         TEXT    NOT NULL,
  user_id         TEXT    REFERENCES users (id), -- NULL once they are erased
  command         TEXT    NOT NULL,
  state           TEXT    NOT NULL CHECK (state IN ('running', 'done', 'timed-out', 'failed', 'unknown')),
  problem         TEXT,
  exit_code       INTEGER,
  signal          TEXT,
  killed          TEXT    CHECK (killed IN ('confirmed', 'unconfirmed')),
  stdout_bytes    INTEGER,
  stderr_bytes    INTEGER,
  duration_ms     INTEGER,
  timeout_seconds INTEGER NOT NULL,
  started_at      INTEGER NOT NULL,
  ended_at        INTEGER
) STRICT;
CREATE INDEX shell_commands_by_org_id ON shell_commands (org_id, id);
CREATE INDEX shell_commands_by_user_id ON shell_commands (user_id, id);
CREATE INDEX shell_commands_running_by_user_id ON shell_commands (user_id) WHERE ended_at IS NULL;
CREATE INDEX shell_commands_running_by_started_at ON shell_commands (started_at) WHERE ended_at IS NULL;
