-- A multi-Region key has one row in each of its regions, all with one key id; their material is shared. Tables are
-- made anew, because SQLite changes neither constraints nor references in place.
CREATE TABLE kms_key_2 (
    sequence             INTEGER PRIMARY KEY AUTOINCREMENT,
    key_id               TEXT NOT NULL,
    account_id           TEXT NOT NULL,
    region               TEXT NOT NULL,
    created_us           INTEGER NOT NULL,
    state                TEXT NOT NULL,
    deletion_us          INTEGER,
    destroyed_us         INTEGER,
    description          TEXT NOT NULL,
    manager              TEXT NOT NULL,
    key_spec             TEXT NOT NULL,
    key_usage            TEXT NOT NULL,
    origin               TEXT NOT NULL,
    multi_region         INTEGER NOT NULL,
    tags                 TEXT NOT NULL,
    current_version      INTEGER NOT NULL,
    -- The key policy as it was put; empty: the default one of the account.
    policy               TEXT NOT NULL DEFAULT '',
    -- software: unwrapped in kmsd for a lease; hsm: used inside the token only.
    protection           TEXT NOT NULL DEFAULT 'software',
    -- Of a multi-Region key: where its primary is.
    primary_region       TEXT,
    pending_window_days  INTEGER,
    -- NULL: no automatic rotation.
    rotation_period_days INTEGER,
    next_rotation_us     INTEGER,
    UNIQUE (key_id, region)
) STRICT;

INSERT INTO kms_key_2 (
    sequence, key_id, account_id, region, created_us, state, deletion_us, destroyed_us, description, manager, key_spec,
    key_usage, origin, multi_region, tags, current_version
)
SELECT
    sequence, key_id, account_id, region, created_us, state, deletion_us, destroyed_us, description, manager, key_spec,
    key_usage, origin, multi_region, tags, current_version
FROM kms_key;

-- `record` is NULL for imported material that expired or was deleted. A version above the key's current one waits for
-- its rotation. `rotated_us` and `rotation_type` (AUTOMATIC, ON_DEMAND) say how the version became current; the first
-- one has neither. `material_check` recognises the same material when it is imported again, without telling it.
CREATE TABLE kms_key_version_2 (
    key_id         TEXT NOT NULL,
    version        INTEGER NOT NULL,
    material_id    TEXT NOT NULL,
    record         BLOB,
    created_us     INTEGER NOT NULL,
    rotated_us     INTEGER,
    rotation_type  TEXT,
    valid_to_us    INTEGER,
    description    TEXT,
    material_check BLOB,
    PRIMARY KEY (key_id, version)
) STRICT, WITHOUT ROWID;

INSERT INTO kms_key_version_2 (key_id, version, material_id, record, created_us)
SELECT key_id, version, material_id, record, created_us FROM kms_key_version;

CREATE TABLE kms_alias_2 (
    account_id TEXT NOT NULL,
    region     TEXT NOT NULL,
    name       TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    PRIMARY KEY (account_id, region, name),
    FOREIGN KEY (key_id, region) REFERENCES kms_key_2 (key_id, region)
) STRICT, WITHOUT ROWID;

INSERT INTO kms_alias_2 SELECT * FROM kms_alias;

DROP VIEW kms_key_row;
DROP TABLE kms_alias;
DROP TABLE kms_key_version;
DROP TABLE kms_key;
ALTER TABLE kms_key_2 RENAME TO kms_key;
ALTER TABLE kms_key_version_2 RENAME TO kms_key_version;
ALTER TABLE kms_alias_2 RENAME TO kms_alias;

CREATE INDEX kms_key_by_account ON kms_key (account_id, region, sequence) WHERE destroyed_us IS NULL;
CREATE INDEX kms_key_by_deletion ON kms_key (deletion_us) WHERE deletion_us IS NOT NULL AND destroyed_us IS NULL;
CREATE INDEX kms_key_by_rotation ON kms_key (next_rotation_us)
    WHERE next_rotation_us IS NOT NULL AND destroyed_us IS NULL;
CREATE INDEX kms_alias_by_key ON kms_alias (key_id, region, name);
CREATE INDEX kms_key_version_by_end ON kms_key_version (valid_to_us)
    WHERE valid_to_us IS NOT NULL AND record IS NOT NULL;

-- A key as it is read: with its current material, and the other regions of a multi-Region key.
CREATE VIEW kms_key_row AS
SELECT
    k.sequence, k.key_id, k.account_id, k.region, k.created_us, k.state, k.deletion_us, k.destroyed_us, k.description,
    k.manager, k.key_spec, k.key_usage, k.origin, k.multi_region, k.tags, k.current_version, v.material_id,
    k.policy, k.protection, k.primary_region, k.pending_window_days, k.rotation_period_days, k.next_rotation_us,
    v.valid_to_us,
    CASE WHEN k.multi_region THEN (
        SELECT json_group_array(r.region) FROM kms_key r
        WHERE r.key_id = k.key_id AND r.region <> k.primary_region AND r.destroyed_us IS NULL
    ) END AS replica_regions,
    coalesce((SELECT max(n.version) FROM kms_key_version n WHERE n.key_id = k.key_id), 0) AS newest_version,
    -- Of imported material: when the first of the versions in use expires, and whether one of them is missing.
    (
        SELECT min(e.valid_to_us) FROM kms_key_version e
        WHERE e.key_id = k.key_id AND e.version <= k.current_version AND e.record IS NOT NULL
    ) AS material_ends_us,
    k.origin = 'EXTERNAL' AND (v.record IS NULL OR EXISTS (
        SELECT 1 FROM kms_key_version m WHERE m.key_id = k.key_id AND m.version < k.current_version AND m.record IS NULL
    )) AS lacks_material
FROM kms_key k
LEFT JOIN kms_key_version v ON v.key_id = k.key_id AND v.version = k.current_version;

-- Grants in order of creation. `operations` is a JSON list, `constraints` a JSON object; `token_key` authenticates the
-- grant's tokens, which prove nothing but that they were given out here.
CREATE TABLE kms_grant (
    sequence           INTEGER PRIMARY KEY AUTOINCREMENT,
    grant_id           TEXT NOT NULL UNIQUE,
    key_id             TEXT NOT NULL,
    region             TEXT NOT NULL,
    grantee_principal  TEXT NOT NULL,
    retiring_principal TEXT,
    issuing_account_id TEXT NOT NULL,
    name               TEXT NOT NULL,
    operations         TEXT NOT NULL,
    constraints        TEXT NOT NULL,
    created_us         INTEGER NOT NULL,
    token_key          BLOB NOT NULL,
    FOREIGN KEY (key_id, region) REFERENCES kms_key (key_id, region)
) STRICT;

CREATE INDEX kms_grant_by_key ON kms_grant (key_id, region, grantee_principal, sequence);
CREATE INDEX kms_grant_by_retiring ON kms_grant (region, retiring_principal, sequence)
    WHERE retiring_principal IS NOT NULL;
