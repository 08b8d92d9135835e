-- 0020 platform roles, not-before rules, API keys. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE platform_roles (
  user_id    TEXT    NOT NULL REFERENCES users (id),
  role       TEXT    NOT NULL CHECK (role IN ('admin', 'moderator')),
  granted_by TEXT    NOT NULL, -- a user, or 'operator' for the one-time command
  granted_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX platform_roles_by_role ON platform_roles (role, user_id);

-- What began at or before this moment is over, whatever its own row says.
CREATE TABLE not_befores (
  user_id TEXT    PRIMARY KEY, -- '' holds for everybody
  at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
  id           TEXT    PRIMARY KEY,
  user_id      TEXT    NOT NULL REFERENCES users (id),
  token_hash   TEXT    NOT NULL UNIQUE, -- SHA-256 of 260 random bits
  hint         TEXT    NOT NULL,        -- its first characters, to tell keys apart
  name         TEXT    NOT NULL,
  scopes       TEXT    NOT NULL,        -- JSON
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  last_used_at INTEGER,
  ended_at     INTEGER
) STRICT;
CREATE INDEX api_keys_by_user_id ON api_keys (user_id, id);
CREATE INDEX api_keys_by_expires_at ON api_keys (expires_at);
