-- 0038 what a transfer carried: bytes and SHA-256, beside its line in the command log. Forward only; additive; safe while the previous Worker serves.
ALTER TABLE shell_commands ADD COLUMN file_bytes INTEGER; -- of a file read or written, as far as it went
ALTER TABLE shell_commands ADD COLUMN file_sha256 TEXT;   -- of those bytes, lower-case hex
