-- 0009 how and when a session was authenticated. Forward only; additive; safe while the previous Worker serves.
ALTER TABLE sessions ADD COLUMN amr TEXT NOT NULL DEFAULT 'pwd';               -- RFC 8176 values, apart by spaces
ALTER TABLE sessions ADD COLUMN authenticated_at INTEGER NOT NULL DEFAULT 0; -- when its user last proved who they are
UPDATE sessions SET authenticated_at = created_at;
