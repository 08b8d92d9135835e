-- 0032 root secrets: what needs an older one is found by its version, without reading all. The expressions are those of platform/root-secrets.ts
-- and identity/secrets.ts. Forward only; additive; safe while the previous Worker serves.
CREATE INDEX users_by_pepper ON users (substr(password_hash, instr(password_hash, ',keyid=') + 7, instr(substr(password_hash, instr(password_hash, ',keyid=') + 7), '$') - 1));
CREATE INDEX recovery_codes_by_secret ON recovery_codes (substr(code_mac, 1, instr(code_mac, '.') - 1));
CREATE INDEX totp_factors_by_secret ON totp_factors (substr(secret, 1, instr(secret, '.') - 1));
CREATE INDEX webhooks_by_secret ON webhooks (substr(secret, 1, instr(secret, '.') - 1));
CREATE INDEX webhooks_by_previous_secret ON webhooks (substr(previous_secret, 1, instr(previous_secret, '.') - 1));
