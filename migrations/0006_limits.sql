-- 0006 where people sign in, and counters of attempts. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE sign_in_places (
  user_id      TEXT    NOT NULL REFERENCES users (id),
  place        TEXT    NOT NULL, -- keyed hash of an address prefix; addresses are never kept
  signed_in_at INTEGER NOT NULL, -- the last time
  PRIMARY KEY (user_id, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_places_by_signed_in_at ON sign_in_places (signed_in_at);

-- Failures of an account over all places, and every budget while its object is out of reach.
CREATE TABLE limits (
  key           TEXT    PRIMARY KEY, -- keyed hash of the budget and of what it is for
  count         INTEGER NOT NULL,
  blocked_until INTEGER NOT NULL,
  forget_at     INTEGER NOT NULL,
  charged_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX limits_by_forget_at ON limits (forget_at);
