-- Versions lie in the order in which they are listed, whatever the order in which they were written, and begin with what
-- a listing tells: a page of a thousand reads a few neighbouring pages of the file, and not one for each of its keys.
CREATE TABLE version_by_key (
    bucket_id    BLOB NOT NULL REFERENCES bucket,
    history      INTEGER NOT NULL,
    key          BLOB NOT NULL,
    vsort        INTEGER NOT NULL,
    row_uid      BLOB NOT NULL,
    version_id   TEXT NOT NULL,
    kind         INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    modified_us  INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    sealed       BLOB NOT NULL,
    mode         INTEGER NOT NULL,
    wrapped      BLOB NOT NULL,
    key_arn      TEXT,
    key_version  INTEGER,
    blob_id      BLOB,
    manifest_id  BLOB,
    part_count   INTEGER NOT NULL,
    blob_count   INTEGER NOT NULL,
    has_parts    INTEGER NOT NULL,
    ahead_us     INTEGER NOT NULL,
    PRIMARY KEY (bucket_id, history, key, vsort)
) STRICT, WITHOUT ROWID;

INSERT INTO version_by_key
    SELECT bucket_id, history, key, vsort, row_uid, version_id, kind, size, modified_us, revision, sealed, mode, wrapped,
        key_arn, key_version, blob_id, manifest_id, part_count, blob_count, has_parts, ahead_us
    FROM object_version ORDER BY bucket_id, history, key, vsort;
DROP TABLE object_version;
ALTER TABLE version_by_key RENAME TO object_version;

-- See 0002_versions.sql.
CREATE INDEX object_version_null ON object_version (bucket_id, key) WHERE history = 1 AND version_id = 'null';

-- What a KMS key opens. Uids begin with a time, so that entries of one version of a key mostly come at the end.
CREATE INDEX object_version_by_kms_key ON object_version (key_arn, key_version, row_uid) WHERE key_arn IS NOT NULL;
