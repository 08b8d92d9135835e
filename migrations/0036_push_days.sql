-- 0036 push days: what became of pushes to devices, for metrics. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE push_days (
  day     INTEGER NOT NULL, -- Unix days
  outcome TEXT    NOT NULL,
  counted INTEGER NOT NULL,
  PRIMARY KEY (day, outcome)
) STRICT, WITHOUT ROWID;
