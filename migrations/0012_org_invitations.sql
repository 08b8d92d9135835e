-- 0012 invitations into organisations, and organisations that are gone. Forward only; additive; safe while the previous Worker serves.
ALTER TABLE orgs ADD COLUMN deleted_at INTEGER; -- the row stays without a name or member, for the record that points at it

CREATE INDEX shells_by_org_id ON shells (org_id);

CREATE TABLE org_invitations (
  id         TEXT    PRIMARY KEY,
  org_id     TEXT    NOT NULL REFERENCES orgs (id),
  email      TEXT    NOT NULL,
  role       TEXT    NOT NULL CHECK (role IN ('owner', 'operator', 'reader')),
  inviter_id TEXT    REFERENCES users (id),  -- NULL once they are erased
  token_hash TEXT    NOT NULL UNIQUE,        -- of the newest mailed link
  mails      INTEGER NOT NULL DEFAULT 1,     -- how often it was mailed
  mailed_at  INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX org_invitations_by_org_id ON org_invitations (org_id, email);
CREATE INDEX org_invitations_by_email ON org_invitations (email, mailed_at);
CREATE INDEX org_invitations_by_inviter_id ON org_invitations (inviter_id);
CREATE INDEX org_invitations_by_expires_at ON org_invitations (expires_at);
