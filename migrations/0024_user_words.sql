-- Users are found by the beginning of their address, or of any part of it behind a sign: kept by triggers, so that no write can forget it.
CREATE TABLE user_words (
  word    TEXT NOT NULL,            -- the address from the beginning of one of its parts on
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  PRIMARY KEY (word, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_words_by_user ON user_words (user_id);

-- The parts of each address, in order: signs become the borders of a JSON list.
CREATE VIEW user_parts AS
SELECT u.id AS user_id, u.email AS email, part.key AS nth, part.value AS text
FROM users AS u, json_each('["' || replace(replace(replace(replace(replace(
  replace(replace(u.email, '\', '\\'), '"', '\"'),
  '@', '","'), '.', '","'), '-', '","'), '_', '","'), '+', '","') || '"]') AS part;

CREATE TRIGGER user_words_insert AFTER INSERT ON users BEGIN
  INSERT OR IGNORE INTO user_words (word, user_id)
  SELECT substr(part.email, 1 + (SELECT coalesce(sum(length(earlier.text) + 1), 0) FROM user_parts AS earlier
    WHERE earlier.user_id = NEW.id AND earlier.nth < part.nth)), part.user_id
  FROM user_parts AS part WHERE part.user_id = NEW.id AND (part.text <> '' OR part.nth = 0);
END;
CREATE TRIGGER user_words_update AFTER UPDATE OF email ON users WHEN NEW.email <> OLD.email BEGIN
  DELETE FROM user_words WHERE user_id = NEW.id;
  INSERT OR IGNORE INTO user_words (word, user_id)
  SELECT substr(part.email, 1 + (SELECT coalesce(sum(length(earlier.text) + 1), 0) FROM user_parts AS earlier
    WHERE earlier.user_id = NEW.id AND earlier.nth < part.nth)), part.user_id
  FROM user_parts AS part WHERE part.user_id = NEW.id AND (part.text <> '' OR part.nth = 0);
END;

INSERT OR IGNORE INTO user_words (word, user_id)
SELECT substr(part.email, 1 + (SELECT coalesce(sum(length(earlier.text) + 1), 0) FROM user_parts AS earlier
  WHERE earlier.user_id = part.user_id AND earlier.nth < part.nth)), part.user_id
FROM user_parts AS part WHERE part.text <> '' OR part.nth = 0;
