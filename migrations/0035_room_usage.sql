-- 0035 room usage: how rooms stand, as each tells every few minutes, and what they did, for metrics. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE room_standings (
  room_id            TEXT    PRIMARY KEY REFERENCES rooms (id) ON DELETE CASCADE,
  told_at            INTEGER NOT NULL,
  y_sockets          INTEGER NOT NULL,
  hocuspocus_sockets INTEGER NOT NULL,
  live_sockets       INTEGER NOT NULL,
  leaves             INTEGER NOT NULL,
  bytes              INTEGER NOT NULL -- that its object stores
) STRICT, WITHOUT ROWID;
CREATE INDEX room_standings_by_told_at ON room_standings (told_at);
-- What all rooms store together, so that nobody has to add it up.
CREATE TABLE room_storage (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  bytes INTEGER NOT NULL
) STRICT;
INSERT INTO room_storage (id, bytes) VALUES (1, 0);
CREATE TRIGGER room_standings_insert AFTER INSERT ON room_standings BEGIN
  UPDATE room_storage SET bytes = bytes + NEW.bytes;
END;
CREATE TRIGGER room_standings_update AFTER UPDATE OF bytes ON room_standings BEGIN
  UPDATE room_storage SET bytes = bytes + NEW.bytes - OLD.bytes;
END;
CREATE TRIGGER room_standings_delete AFTER DELETE ON room_standings BEGIN
  UPDATE room_storage SET bytes = bytes - OLD.bytes;
END;
CREATE TABLE room_days (
  day     INTEGER NOT NULL, -- Unix days
  measure TEXT    NOT NULL,
  label   TEXT    NOT NULL, -- a framing, an outcome or a problem; empty where there is none
  counted INTEGER NOT NULL,
  PRIMARY KEY (day, measure, label)
) STRICT, WITHOUT ROWID;
