-- 0011 what each way out for mail carries a day. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE mail_days (
  way           TEXT    NOT NULL, -- as in MAIL_TRANSPORT
  day           INTEGER NOT NULL, -- whole days since 1970, UTC
  sent          INTEGER NOT NULL,
  failed        INTEGER NOT NULL DEFAULT 0,
  failed_in_row INTEGER NOT NULL DEFAULT 0,
  rests_until   INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (way, day)
) STRICT, WITHOUT ROWID;
