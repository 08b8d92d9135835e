-- 0004 organisations and who belongs to them. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE orgs (
  id         TEXT    PRIMARY KEY,
  name       TEXT    NOT NULL,
  founder_id TEXT    REFERENCES users (id), -- whose quota the organisation uses while they own it; NULL once they are erased
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX orgs_by_founder_id ON orgs (founder_id);

CREATE TABLE org_members (
  org_id   TEXT    NOT NULL REFERENCES orgs (id),
  user_id  TEXT    NOT NULL REFERENCES users (id),
  role     TEXT    NOT NULL CHECK (role IN ('owner', 'operator', 'reader')),
  added_at INTEGER NOT NULL,
  PRIMARY KEY (org_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX org_members_by_user_id ON org_members (user_id, org_id);
