-- 0008 what a signed-in device is, and how a forgotten password is replaced. Forward only; additive; safe while the previous Worker serves.
ALTER TABLE users ADD COLUMN password_version INTEGER NOT NULL DEFAULT 0; -- grows when the password is replaced, not when it is hashed anew

ALTER TABLE sessions ADD COLUMN name TEXT;    -- as the user or the app calls the device
ALTER TABLE sessions ADD COLUMN browser TEXT; -- both from the user agent at sign-in
ALTER TABLE sessions ADD COLUMN system TEXT;
ALTER TABLE sessions ADD COLUMN country TEXT; -- ISO 3166-1 alpha-2, where last seen; addresses are never kept
ALTER TABLE sessions ADD COLUMN city TEXT;
CREATE INDEX sessions_open_by_user_id ON sessions (user_id, refreshed_at) WHERE ended_at IS NULL;

-- A request to reset a password; only the client that asked knows its id.
CREATE TABLE password_resets (
  id         TEXT    PRIMARY KEY,
  email      TEXT    NOT NULL,
  user_id    TEXT    REFERENCES users (id), -- NULL when the address is nobody's
  code_mac   TEXT,                          -- keyed hash; NULL when it was one too many and so no code was mailed
  tries      INTEGER NOT NULL DEFAULT 0,
  claim      TEXT,                          -- set once, by the right code
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX password_resets_by_email ON password_resets (email, created_at);
CREATE INDEX password_resets_by_user_id ON password_resets (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX password_resets_by_expires_at ON password_resets (expires_at);
