-- Managed policies with their versions; which users they are attached to, and whose permissions boundary they are. Both
-- by ARN, which never changes and which AWS's own policies have as well, that lie in the program and not here.
CREATE TABLE policy (
    policy_id       TEXT PRIMARY KEY NOT NULL,
    account_id      TEXT NOT NULL REFERENCES account (account_id),
    name            TEXT NOT NULL COLLATE NOCASE,
    path            TEXT NOT NULL,
    description     TEXT NOT NULL,
    created_us      INTEGER NOT NULL,
    updated_us      INTEGER NOT NULL,
    default_version INTEGER NOT NULL,
    last_version    INTEGER NOT NULL,
    tags            TEXT NOT NULL,
    UNIQUE (account_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE policy_version (
    policy_id  TEXT NOT NULL REFERENCES policy (policy_id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    document   TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (policy_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE user_attachment (
    user_id    TEXT NOT NULL REFERENCES user (user_id),
    policy_arn TEXT NOT NULL,
    PRIMARY KEY (user_id, policy_arn)
) STRICT, WITHOUT ROWID;

CREATE INDEX user_attachment_by_policy ON user_attachment (policy_arn);

ALTER TABLE user ADD COLUMN boundary_arn TEXT;
CREATE INDEX user_by_boundary ON user (boundary_arn) WHERE boundary_arn IS NOT NULL;
