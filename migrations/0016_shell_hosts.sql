-- 0016 hosts: tags, algorithms, timeouts, jump hosts, two more ways to log in, and the SSH authorities. Forward only; additive; safe while the
-- previous Worker serves.
ALTER TABLE hosts ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'; -- JSON: sorted words
ALTER TABLE hosts ADD COLUMN algorithms TEXT NOT NULL DEFAULT 'modern' CHECK (algorithms IN ('modern', 'legacy'));
ALTER TABLE hosts ADD COLUMN keepalive_seconds INTEGER NOT NULL DEFAULT 30;
ALTER TABLE hosts ADD COLUMN idle_timeout_seconds INTEGER;
ALTER TABLE hosts ADD COLUMN max_duration_seconds INTEGER;
ALTER TABLE hosts ADD COLUMN jump_host_id TEXT REFERENCES hosts (id);
-- The way to log in where `credential_kind`, whose check is older, cannot name it: then that one says what it is closest to.
ALTER TABLE hosts ADD COLUMN login TEXT CHECK (login IN ('keyboard-interactive', 'certificate'));
ALTER TABLE hosts ADD COLUMN secret_version INTEGER NOT NULL DEFAULT 0; -- of the root secret around the data key; 0 is not known
ALTER TABLE hosts ADD COLUMN secret_fault INTEGER;                      -- the newest root secret when the credential could not be opened
CREATE INDEX hosts_by_jump_host_id ON hosts (jump_host_id) WHERE jump_host_id IS NOT NULL;
CREATE INDEX hosts_by_secret_version ON hosts (secret_version, id);

-- The oldest key of an organisation signs; a second one waits until every host trusts it.
CREATE TABLE ssh_ca_keys (
  id             TEXT    PRIMARY KEY,
  org_id         TEXT    NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
  public_key     TEXT    NOT NULL, -- base64 blob, as in TrustedUserCAKeys
  private_key    TEXT    NOT NULL, -- PKCS #8 in a box of the keyring
  secret_version INTEGER NOT NULL,
  secret_fault   INTEGER,
  created_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX ssh_ca_keys_by_org_id ON ssh_ca_keys (org_id, id);
CREATE INDEX ssh_ca_keys_by_secret_version ON ssh_ca_keys (secret_version, id);
