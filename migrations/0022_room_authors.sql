-- 0022 who has written messages in which room, also after they left it. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE room_authors (
  room_id TEXT NOT NULL REFERENCES rooms (id),
  user_id TEXT NOT NULL REFERENCES users (id),
  PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX room_authors_by_user_id ON room_authors (user_id, room_id);
