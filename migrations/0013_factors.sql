-- 0013 second factors. Forward only; additive; safe while the previous Worker serves.
ALTER TABLE users ADD COLUMN password_is_short INTEGER NOT NULL DEFAULT 0; -- long enough only beside a second factor

CREATE TABLE totp_factors (
  user_id      TEXT    PRIMARY KEY REFERENCES users (id),
  secret       TEXT    NOT NULL, -- sealed
  session_id   TEXT    NOT NULL, -- where it was asked for, and may be confirmed
  last_step    INTEGER NOT NULL DEFAULT 0, -- of the newest code that was accepted: none works twice
  claim        TEXT,             -- set once, by the call that confirms
  created_at   INTEGER NOT NULL,
  confirmed_at INTEGER           -- NULL: asked for, and counts for nothing
) STRICT;

CREATE TABLE recovery_codes (
  user_id    TEXT    NOT NULL REFERENCES users (id),
  code_mac   TEXT    NOT NULL, -- keyed hash; the row goes when the code is used
  created_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, code_mac)
) STRICT, WITHOUT ROWID;

-- A first factor is proven and a second one is waited for; only the client that signs in knows the id.
CREATE TABLE pending_sign_ins (
  id               TEXT    PRIMARY KEY,
  user_id          TEXT    NOT NULL REFERENCES users (id),
  password_version INTEGER NOT NULL,
  amr              TEXT    NOT NULL, -- what is proven so far
  mode             TEXT    NOT NULL CHECK (mode IN ('bearer', 'cookie')),
  place            TEXT,             -- keyed hash of an address prefix
  name             TEXT,
  browser          TEXT,
  system           TEXT,
  country          TEXT,
  city             TEXT,
  tries            INTEGER NOT NULL DEFAULT 0,
  session_id       TEXT,             -- set once, by the call that finishes
  created_at       INTEGER NOT NULL,
  expires_at       INTEGER NOT NULL
) STRICT;
CREATE INDEX pending_sign_ins_by_user_id ON pending_sign_ins (user_id);
CREATE INDEX pending_sign_ins_by_expires_at ON pending_sign_ins (expires_at);

CREATE TABLE trusted_devices (
  id           TEXT    PRIMARY KEY,
  user_id      TEXT    NOT NULL REFERENCES users (id),
  token_hash   TEXT    NOT NULL UNIQUE, -- SHA-256 of 256 random bits
  session_id   TEXT    NOT NULL,        -- the newest session that was started with it
  browser      TEXT,
  system       TEXT,
  country      TEXT,
  city         TEXT,
  created_at   INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX trusted_devices_by_user_id ON trusted_devices (user_id, id);
CREATE INDEX trusted_devices_by_expires_at ON trusted_devices (expires_at);

CREATE TABLE passkeys (
  id                 TEXT    PRIMARY KEY,
  user_id            TEXT    NOT NULL REFERENCES users (id),
  credential_id      TEXT    NOT NULL UNIQUE, -- base64url
  public_key         TEXT    NOT NULL,        -- COSE_Key, base64url
  counter            INTEGER NOT NULL,
  transports         TEXT    NOT NULL,        -- JSON
  is_backup_eligible INTEGER NOT NULL,
  name               TEXT    NOT NULL,
  created_at         INTEGER NOT NULL,
  last_used_at       INTEGER
) STRICT;
CREATE INDEX passkeys_by_user_id ON passkeys (user_id, id);

-- One ceremony each: the statement that reads a challenge deletes it.
CREATE TABLE passkey_challenges (
  challenge  TEXT    PRIMARY KEY,
  ceremony   TEXT    NOT NULL CHECK (ceremony IN ('create', 'login', 'factor', 'step-up')),
  binding    TEXT    NOT NULL, -- the session or the pending sign-in it is for; '' where there is none yet
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX passkey_challenges_by_expires_at ON passkey_challenges (expires_at);
