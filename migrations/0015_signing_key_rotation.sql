-- A key is published for a while before it signs, so that no verifier meets a key it cannot have heard of;
-- `retired_at` is when it stops signing, and may lie ahead.
ALTER TABLE signing_keys ADD COLUMN signs_from INTEGER NOT NULL DEFAULT 0;
