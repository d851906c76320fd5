-- Users, their inline policies as they were given, and whose an access key is: user_id NULL is the account's root user.
-- Names are unique in an account without regard to case (IAM API Reference, CreateUser).
CREATE TABLE user (
    user_id    TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL REFERENCES account (account_id),
    name       TEXT NOT NULL COLLATE NOCASE,
    path       TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    UNIQUE (account_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE user_policy (
    user_id  TEXT NOT NULL REFERENCES user (user_id),
    name     TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (user_id, name)
) STRICT, WITHOUT ROWID;

ALTER TABLE access_key ADD COLUMN user_id TEXT REFERENCES user (user_id);
CREATE INDEX access_key_by_user ON access_key (user_id);
