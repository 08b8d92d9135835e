-- 0019 the key by which push services know this deployment. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE push_keys (
  id             INTEGER PRIMARY KEY CHECK (id = 1),
  public_key     TEXT    NOT NULL, -- P-256, uncompressed, base64url
  sealed_private TEXT    NOT NULL, -- PKCS #8, sealed with SECRET_KEYS
  created_at     INTEGER NOT NULL
) STRICT;
