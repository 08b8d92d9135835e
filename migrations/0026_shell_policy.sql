-- 0026 who may do what on hosts, and access for a time. Forward only; additive; safe while the previous Worker serves.
CREATE TABLE shell_policies (
  org_id     TEXT    PRIMARY KEY REFERENCES orgs (id),
  uses       TEXT    NOT NULL, -- JSON: words
  step_up    INTEGER NOT NULL CHECK (step_up IN (0, 1)),
  reach      TEXT,             -- JSON: rules, each { to, tags }; NULL: everybody reaches every host
  allow      TEXT,             -- JSON: lists of words, here and below; NULL: everything may run
  deny       TEXT    NOT NULL,
  alerts     TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  file_roots TEXT              -- JSON: absolute paths; NULL: wherever the user of the host may
) STRICT;

CREATE TABLE access_requests (
  id         TEXT    PRIMARY KEY,
  org_id     TEXT    NOT NULL REFERENCES orgs (id),
  host_id    TEXT    NOT NULL,
  user_id    TEXT    NOT NULL REFERENCES users (id),
  reason     TEXT    NOT NULL,
  seconds    INTEGER NOT NULL,
  state      TEXT    NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'ended')),
  decided_by TEXT    REFERENCES users (id),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL -- of a pending one: until when it can be decided
) STRICT;
CREATE INDEX access_requests_by_org_id ON access_requests (org_id, id);
CREATE INDEX access_requests_by_user_id ON access_requests (user_id, host_id, state);
