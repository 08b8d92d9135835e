-- 0002 people and their sessions. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE users (
  id            TEXT    PRIMARY KEY,
  email         TEXT    NOT NULL UNIQUE, -- lower case, proven
  password_hash TEXT    NOT NULL,        -- PHC string
  locale        TEXT    NOT NULL CHECK (locale IN ('en', 'fr')),
  disabled_at   INTEGER,
  created_at    INTEGER NOT NULL
) STRICT;

-- An account is born when its address is proven; until then only this row exists, and only its client knows its id.
CREATE TABLE registrations (
  id            TEXT    PRIMARY KEY,
  email         TEXT    NOT NULL,
  password_hash TEXT    NOT NULL,
  locale        TEXT    NOT NULL,
  code_mac      TEXT    NOT NULL,        -- keyed hash; no code matches the row of a taken address
  tries         INTEGER NOT NULL DEFAULT 0,
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL,
  user_id       TEXT                     -- set once, by the right code
) STRICT;
CREATE INDEX registrations_by_email ON registrations (email, created_at);
CREATE INDEX registrations_by_expires_at ON registrations (expires_at);

CREATE TABLE sessions (
  id              TEXT    PRIMARY KEY,
  user_id         TEXT    NOT NULL REFERENCES users (id),
  mode            TEXT    NOT NULL CHECK (mode IN ('bearer', 'cookie')),
  counter         INTEGER NOT NULL DEFAULT 0, -- generation of the one current refresh token
  created_at      INTEGER NOT NULL,
  refreshed_at    INTEGER NOT NULL,
  idle_expires_at INTEGER NOT NULL,
  expires_at      INTEGER NOT NULL,
  ended_at        INTEGER,
  end_cause       TEXT
) STRICT;
CREATE INDEX sessions_by_user_id ON sessions (user_id, id);

CREATE TABLE signing_keys (
  kid         TEXT    PRIMARY KEY,
  alg         TEXT    NOT NULL,
  public_jwk  TEXT    NOT NULL,
  private_jwk TEXT    NOT NULL, -- sealed
  created_at  INTEGER NOT NULL,
  retired_at  INTEGER
) STRICT;
-- One current key per algorithm: of two isolates that generate at once, one wins.
CREATE UNIQUE INDEX signing_keys_current ON signing_keys (alg) WHERE retired_at IS NULL;
