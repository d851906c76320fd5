-- Keys in order of creation. A destroyed key keeps its row, so that its id is never handed out or taken as unknown.
CREATE TABLE kms_key (
    sequence        INTEGER PRIMARY KEY AUTOINCREMENT,
    key_id          TEXT NOT NULL UNIQUE,
    account_id      TEXT NOT NULL,
    region          TEXT NOT NULL,
    created_us      INTEGER NOT NULL,
    state           TEXT NOT NULL,
    deletion_us     INTEGER,
    destroyed_us    INTEGER,
    description     TEXT NOT NULL,
    manager         TEXT NOT NULL,
    key_spec        TEXT NOT NULL,
    key_usage       TEXT NOT NULL,
    origin          TEXT NOT NULL,
    multi_region    INTEGER NOT NULL,
    tags            TEXT NOT NULL,
    current_version INTEGER NOT NULL
) STRICT;

CREATE INDEX kms_key_by_account ON kms_key (account_id, region, sequence) WHERE destroyed_us IS NULL;

CREATE INDEX kms_key_by_deletion ON kms_key (deletion_us) WHERE deletion_us IS NOT NULL AND destroyed_us IS NULL;

-- Wrapped material; the record authenticates itself under the root (docs/formats/cmk-record.md).
CREATE TABLE kms_key_version (
    key_id      TEXT NOT NULL REFERENCES kms_key (key_id),
    version     INTEGER NOT NULL,
    material_id TEXT NOT NULL,
    record      BLOB NOT NULL,
    created_us  INTEGER NOT NULL,
    PRIMARY KEY (key_id, version)
) STRICT, WITHOUT ROWID;

-- A key as it is read: with the id of its current material, NULL once that was destroyed.
CREATE VIEW kms_key_row AS
SELECT
    k.sequence, k.key_id, k.account_id, k.region, k.created_us, k.state, k.deletion_us, k.destroyed_us, k.description,
    k.manager, k.key_spec, k.key_usage, k.origin, k.multi_region, k.tags, k.current_version, v.material_id
FROM kms_key k
LEFT JOIN kms_key_version v ON v.key_id = k.key_id AND v.version = k.current_version;

CREATE TABLE kms_alias (
    account_id TEXT NOT NULL,
    region     TEXT NOT NULL,
    name       TEXT NOT NULL,
    key_id     TEXT NOT NULL REFERENCES kms_key (key_id),
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    PRIMARY KEY (account_id, region, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX kms_alias_by_key ON kms_alias (key_id, name);

-- What the store knows about its root and about itself; never secret.
CREATE TABLE kms_meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
