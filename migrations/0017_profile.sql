-- 0017 how a user is called. Forward only; additive; safe while the previous Worker serves.
ALTER TABLE users ADD COLUMN display_name TEXT;
