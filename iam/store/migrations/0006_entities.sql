-- Users, groups and roles in one table, with one for inline policies and one for attachments: what they have in common
-- is done alike. Access keys refer to the new table, so that they, and their uses, are written anew.
CREATE TABLE entity (
    entity_id    TEXT PRIMARY KEY NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('user', 'group', 'role')),
    account_id   TEXT NOT NULL REFERENCES account (account_id),
    name         TEXT NOT NULL COLLATE NOCASE,
    path         TEXT NOT NULL,
    created_us   INTEGER NOT NULL,
    tags         TEXT NOT NULL,
    boundary_arn TEXT,
    UNIQUE (account_id, kind, name)
) STRICT, WITHOUT ROWID;

INSERT INTO entity
    SELECT user_id, 'user', account_id, name, path, created_us, tags, boundary_arn FROM user;

CREATE INDEX entity_by_boundary ON entity (boundary_arn) WHERE boundary_arn IS NOT NULL;

-- What roles alone have. used_us and used_region tell of the last use, NULL before the first.
CREATE TABLE role (
    role_id             TEXT PRIMARY KEY NOT NULL REFERENCES entity (entity_id) ON DELETE CASCADE,
    trust_policy        TEXT NOT NULL,
    description         TEXT NOT NULL,
    max_session_seconds INTEGER NOT NULL,
    used_us             INTEGER,
    used_region         TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE membership (
    group_id TEXT NOT NULL REFERENCES entity (entity_id),
    user_id  TEXT NOT NULL REFERENCES entity (entity_id),
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX membership_by_user ON membership (user_id);

CREATE TABLE inline_policy (
    entity_id TEXT NOT NULL REFERENCES entity (entity_id),
    name      TEXT NOT NULL,
    document  TEXT NOT NULL,
    PRIMARY KEY (entity_id, name)
) STRICT, WITHOUT ROWID;

INSERT INTO inline_policy SELECT user_id, name, document FROM user_policy;

CREATE TABLE attachment (
    entity_id  TEXT NOT NULL REFERENCES entity (entity_id),
    policy_arn TEXT NOT NULL,
    PRIMARY KEY (entity_id, policy_arn)
) STRICT, WITHOUT ROWID;

INSERT INTO attachment SELECT user_id, policy_arn FROM user_attachment;

CREATE INDEX attachment_by_policy ON attachment (policy_arn);

CREATE TABLE new_access_key (
    access_key_id TEXT PRIMARY KEY NOT NULL,
    account_id    TEXT NOT NULL REFERENCES account (account_id),
    sealed_secret BLOB NOT NULL,
    is_active     INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    created_us    INTEGER NOT NULL,
    user_id       TEXT REFERENCES entity (entity_id),
    is_configured INTEGER NOT NULL DEFAULT 0 CHECK (is_configured IN (0, 1))
) STRICT, WITHOUT ROWID;

INSERT INTO new_access_key
    SELECT access_key_id, account_id, sealed_secret, is_active, created_us, user_id, is_configured FROM access_key;

CREATE TABLE new_access_key_use (
    access_key_id TEXT PRIMARY KEY NOT NULL REFERENCES new_access_key (access_key_id) ON DELETE CASCADE,
    used_us       INTEGER NOT NULL,
    service       TEXT NOT NULL,
    region        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO new_access_key_use SELECT access_key_id, used_us, service, region FROM access_key_use;

-- Those that refer to others first: a table that is dropped takes with it what refers to its rows.
DROP TABLE access_key_use;
DROP TABLE access_key;
DROP TABLE user_policy;
DROP TABLE user_attachment;
DROP TABLE user;

ALTER TABLE new_access_key RENAME TO access_key;
ALTER TABLE new_access_key_use RENAME TO access_key_use;

CREATE INDEX access_key_by_account ON access_key (account_id, created_us, access_key_id);
CREATE INDEX access_key_by_user ON access_key (user_id);
