-- 0034 known devices: what an account has been signed in on, by a token that the device keeps. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE known_devices (
  user_id      TEXT    NOT NULL REFERENCES users (id),
  token_hash   TEXT    NOT NULL,
  session_id   TEXT    NOT NULL, -- the session that was started on it last
  created_at   INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  PRIMARY KEY (user_id, token_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_devices_by_expires_at ON known_devices (expires_at);
