-- 0028 hosts that are reached without SSH. Forward only; additive; safe while the previous Worker serves.
-- A host that is no SSH host has no user, no keys and, in the place of a credential, an envelope that holds none.
ALTER TABLE hosts ADD COLUMN kind TEXT NOT NULL DEFAULT 'ssh' CHECK (kind IN ('ssh', 'telnet'));
