-- 0007 where an act came from, and the chains that seal the record. Forward only; additive; safe while the previous Worker serves.
ALTER TABLE audit_entries ADD COLUMN session_id TEXT;
ALTER TABLE audit_entries ADD COLUMN country TEXT; -- ISO 3166-1 alpha-2; addresses are never kept
CREATE INDEX audit_entries_by_subject ON audit_entries (subject, id);

-- One per entry, written right after it: the entry's place in its chain, sealed. No foreign key: an entry that is gone is for a check to name.
CREATE TABLE audit_links (
  chain     TEXT    NOT NULL, -- organisation id, or 'platform'
  seq       INTEGER NOT NULL, -- 1, 2, 3 ...
  entry_id  INTEGER NOT NULL UNIQUE,
  prev_hash TEXT    NOT NULL,
  hash      TEXT    NOT NULL, -- SHA-256 over all of the above and the entry
  mac       TEXT    NOT NULL, -- of the hash, keyed: whoever only writes the database cannot seal
  PRIMARY KEY (chain, seq)
) STRICT, WITHOUT ROWID;
-- A link continues its chain and takes no entry of another; so REPLACE, which asks no DELETE trigger, has nothing to replace.
CREATE TRIGGER audit_links_continue BEFORE INSERT ON audit_links
WHEN NEW.seq <> 1 + coalesce((SELECT max(seq) FROM audit_links WHERE chain = NEW.chain), 0)
  OR NEW.prev_hash <> coalesce(
    (SELECT hash FROM audit_links WHERE chain = NEW.chain ORDER BY seq DESC LIMIT 1),
    '0000000000000000000000000000000000000000000000000000000000000000'
  )
  OR EXISTS (SELECT 1 FROM audit_links WHERE entry_id = NEW.entry_id)
BEGIN
  SELECT RAISE(ABORT, 'audit links are append-only');
END;
CREATE TRIGGER audit_links_no_update BEFORE UPDATE ON audit_links BEGIN
  SELECT RAISE(ABORT, 'audit links are append-only');
END;
CREATE TRIGGER audit_links_no_delete BEFORE DELETE ON audit_links BEGIN
  SELECT RAISE(ABORT, 'audit links are append-only');
END;

-- What a chain was at a time, signed.
CREATE TABLE audit_checkpoints (
  chain  TEXT    NOT NULL,
  seq    INTEGER NOT NULL,
  kid    TEXT    NOT NULL,
  hash   TEXT    NOT NULL,
  at     INTEGER NOT NULL,
  signed TEXT    NOT NULL, -- compact JWS
  PRIMARY KEY (chain, seq, kid)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_checkpoints_no_update BEFORE UPDATE ON audit_checkpoints BEGIN
  SELECT RAISE(ABORT, 'audit checkpoints are append-only');
END;
CREATE TRIGGER audit_checkpoints_no_delete BEFORE DELETE ON audit_checkpoints BEGIN
  SELECT RAISE(ABORT, 'audit checkpoints are append-only');
END;
CREATE TRIGGER audit_checkpoints_no_replace BEFORE INSERT ON audit_checkpoints
WHEN EXISTS (SELECT 1 FROM audit_checkpoints WHERE chain = NEW.chain AND seq = NEW.seq AND kid = NEW.kid)
BEGIN
  SELECT RAISE(ABORT, 'audit checkpoints are append-only');
END;

-- The diary of the checkpoints, not evidence: losing it delays one and changes no verdict.
CREATE TABLE audit_chains (
  chain  TEXT PRIMARY KEY,
  due_at INTEGER, -- of the next checkpoint; NULL while nothing is new
  kid    TEXT,    -- key of the newest one
  fault  TEXT     -- JSON: the broken link that the last check met
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_chains_by_due_at ON audit_chains (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX audit_chains_by_kid ON audit_chains (kid);
CREATE INDEX audit_chains_faulty ON audit_chains (chain) WHERE fault IS NOT NULL;
