-- The last cryptographic use of each key that succeeded, written down in batches.
CREATE TABLE kms_key_usage (
    key_id     TEXT NOT NULL,
    region     TEXT NOT NULL,
    operation  TEXT NOT NULL,
    used_us    INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    PRIMARY KEY (key_id, region)
) STRICT, WITHOUT ROWID;

-- Since when uses are noted at all.
CREATE TABLE kms_usage_tracking (
    since_us INTEGER NOT NULL
) STRICT;

INSERT INTO kms_usage_tracking VALUES (CAST(strftime('%s', 'now') AS INTEGER) * 1000000);
