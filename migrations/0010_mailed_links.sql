-- 0010 links beside codes, sign-in by mail, change of address. Forward only; additive; safe while the previous Worker serves.
ALTER TABLE registrations ADD COLUMN token_hash TEXT;                  -- of the link; no link matches the row of a taken address
ALTER TABLE registrations ADD COLUMN sealed_mail TEXT;                 -- what was mailed, so that a copy is the very same
ALTER TABLE registrations ADD COLUMN mails INTEGER NOT NULL DEFAULT 1; -- how often it was mailed
CREATE UNIQUE INDEX registrations_by_token_hash ON registrations (token_hash) WHERE token_hash IS NOT NULL;

ALTER TABLE password_resets ADD COLUMN token_hash TEXT; -- NULL whenever code_mac is
CREATE UNIQUE INDEX password_resets_by_token_hash ON password_resets (token_hash) WHERE token_hash IS NOT NULL;

-- A request to sign in by mail; only the client that asked knows its id.
CREATE TABLE magic_links (
  id         TEXT    PRIMARY KEY,
  email      TEXT    NOT NULL,
  user_id    TEXT    REFERENCES users (id), -- NULL when the address is nobody's
  code_mac   TEXT,                          -- keyed hash; NULL when it was one too many and so nothing was mailed
  token_hash TEXT,                          -- of the link; NULL whenever code_mac is
  tries      INTEGER NOT NULL DEFAULT 0,
  claim      TEXT,                          -- set once, by the right code or link
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX magic_links_by_email ON magic_links (email, created_at);
CREATE INDEX magic_links_by_user_id ON magic_links (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX magic_links_by_expires_at ON magic_links (expires_at);
CREATE UNIQUE INDEX magic_links_by_token_hash ON magic_links (token_hash) WHERE token_hash IS NOT NULL;

-- A change of address: pending until the new mailbox proves itself, then kept while the old one may take it back.
CREATE TABLE email_changes (
  id                 TEXT    PRIMARY KEY,
  user_id            TEXT    NOT NULL REFERENCES users (id),
  email              TEXT    NOT NULL,  -- the new address
  old_email          TEXT,              -- the address it replaced, once it has
  code_mac           TEXT,              -- keyed hash; no code matches the row of a taken address; NULL as in password_resets
  token_hash         TEXT,
  tries              INTEGER NOT NULL DEFAULT 0,
  claim              TEXT,              -- set once, by the right code or link
  created_at         INTEGER NOT NULL,
  expires_at         INTEGER NOT NULL,
  changed_at         INTEGER,
  restore_hash       TEXT,              -- of the way back that the old address was mailed
  restore_expires_at INTEGER,
  restored_at        INTEGER
) STRICT;
CREATE INDEX email_changes_by_email ON email_changes (email, created_at);
CREATE INDEX email_changes_by_user_id ON email_changes (user_id, created_at);
CREATE INDEX email_changes_by_expires_at ON email_changes (expires_at);
CREATE UNIQUE INDEX email_changes_by_token_hash ON email_changes (token_hash) WHERE token_hash IS NOT NULL;
CREATE UNIQUE INDEX email_changes_by_restore_hash ON email_changes (restore_hash) WHERE restore_hash IS NOT NULL;
