-- 0003 rooms and who has a seat in them. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE rooms (
  id            TEXT    PRIMARY KEY,
  name          TEXT    NOT NULL,
  creator_id    TEXT    REFERENCES users (id), -- whose quota the room uses while they own it; NULL once they are erased
  seats_version INTEGER NOT NULL DEFAULT 0,    -- grows with every change of a seat
  created_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX rooms_by_creator_id ON rooms (creator_id);

CREATE TABLE room_members (
  room_id  TEXT    NOT NULL REFERENCES rooms (id),
  user_id  TEXT    NOT NULL REFERENCES users (id),
  role     TEXT    NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
  added_at INTEGER NOT NULL,
  PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX room_members_by_user_id ON room_members (user_id, room_id);
