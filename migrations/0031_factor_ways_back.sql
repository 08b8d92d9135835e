-- 0031 ways back: from a first factor, which whoever stole a password may have added. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE factor_ways_back (
  restore_hash TEXT    PRIMARY KEY, -- of the mailed link; once it was used, the claim of the call that used it
  user_id      TEXT    NOT NULL REFERENCES users (id),
  email        TEXT    NOT NULL, -- the address that the account had then
  added_at     INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  restored_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX factor_ways_back_by_user_id ON factor_ways_back (user_id);
CREATE INDEX factor_ways_back_by_expires_at ON factor_ways_back (expires_at);
