-- 0014 rooms: commenters, organisations, the archive, invite links. Forward only; additive; safe while the previous Worker serves.
-- A commenter is a viewer who may send messages: the previous Worker, which knows no commenters, lets them read.
ALTER TABLE room_members ADD COLUMN may_comment INTEGER NOT NULL DEFAULT 0 CHECK (may_comment IN (0, 1));

ALTER TABLE rooms ADD COLUMN org_id TEXT REFERENCES orgs (id); -- NULL for a room of people
ALTER TABLE rooms ADD COLUMN archived_at INTEGER;              -- since when nobody may write
CREATE INDEX rooms_by_org_id ON rooms (org_id, id) WHERE org_id IS NOT NULL;

CREATE TABLE room_invites (
  id         TEXT    PRIMARY KEY,
  room_id    TEXT    NOT NULL REFERENCES rooms (id),
  role       TEXT    NOT NULL CHECK (role IN ('editor', 'commenter', 'viewer')),
  token_hash TEXT    NOT NULL UNIQUE,             -- SHA-256 of the link's token, which is kept nowhere
  creator_id TEXT    REFERENCES users (id),       -- NULL once they are erased
  uses       INTEGER NOT NULL DEFAULT 0,
  uses_max   INTEGER NOT NULL CHECK (uses_max > 0),
  expires_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  CHECK (uses <= uses_max)
) STRICT;
CREATE INDEX room_invites_by_room_id ON room_invites (room_id, id);
CREATE INDEX room_invites_by_creator_id ON room_invites (creator_id);
