-- 0027 rooms: rooms for an audience. Forward only; additive; safe while the previous Worker serves, to which they are rooms like any other.
ALTER TABLE rooms ADD COLUMN is_broadcast INTEGER NOT NULL DEFAULT 0 CHECK (is_broadcast IN (0, 1)); -- 1: only owners and editors speak
