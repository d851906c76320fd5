-- Tags of users, a JSON list of pairs in the order in which they were set; and when an access key was last used, which
-- is written down now and then.
ALTER TABLE user ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';

CREATE TABLE access_key_use (
    access_key_id TEXT PRIMARY KEY NOT NULL REFERENCES access_key (access_key_id) ON DELETE CASCADE,
    used_us       INTEGER NOT NULL,
    service       TEXT NOT NULL,
    region        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
