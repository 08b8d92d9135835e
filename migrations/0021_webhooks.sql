-- 0021 webhooks, what they are told and how that went. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE webhooks (
  id              TEXT    PRIMARY KEY,
  org_id          TEXT    REFERENCES orgs (id),  -- whose rooms it hears of
  user_id         TEXT    REFERENCES users (id), -- or whose own
  url             TEXT    NOT NULL,
  kinds           TEXT    NOT NULL,              -- JSON
  secret          TEXT    NOT NULL,              -- 32 bytes, sealed with SECRET_KEYS
  previous_secret TEXT,                          -- signs too until previous_until
  previous_until  INTEGER,
  created_at      INTEGER NOT NULL,
  succeeded_at    INTEGER,
  failing_since   INTEGER,
  disabled_at     INTEGER,
  disabled_for    TEXT    CHECK (disabled_for IN ('request', 'failures', 'gone')),
  CHECK ((org_id IS NULL) <> (user_id IS NULL))
) STRICT;
CREATE INDEX webhooks_by_org_id ON webhooks (org_id, id) WHERE org_id IS NOT NULL;
CREATE INDEX webhooks_by_user_id ON webhooks (user_id, id) WHERE user_id IS NOT NULL;

-- An event is kept only when some webhook hears of it.
CREATE TABLE webhook_events (
  id         TEXT    PRIMARY KEY,
  kind       TEXT    NOT NULL,
  body       TEXT    NOT NULL, -- as it is sent: it names things and holds no text of theirs
  actor_id   TEXT,             -- who did it
  user_id    TEXT,             -- whom it is about
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_events_by_created_at ON webhook_events (created_at);
CREATE INDEX webhook_events_by_actor_id ON webhook_events (actor_id) WHERE actor_id IS NOT NULL;
CREATE INDEX webhook_events_by_user_id ON webhook_events (user_id) WHERE user_id IS NOT NULL;

CREATE TABLE webhook_deliveries (
  webhook_id   TEXT    NOT NULL REFERENCES webhooks (id),
  event_id     TEXT    NOT NULL REFERENCES webhook_events (id),
  state        TEXT    NOT NULL CHECK (state IN ('waiting', 'queued', 'done', 'dead')),
  attempts     INTEGER NOT NULL DEFAULT 0,
  status       INTEGER,
  failure      TEXT,
  attempted_at INTEGER,
  PRIMARY KEY (webhook_id, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (webhook_id, state, event_id);
CREATE INDEX webhook_deliveries_by_event_id ON webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (event_id) WHERE state = 'waiting';
