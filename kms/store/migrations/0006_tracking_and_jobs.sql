-- With a key, as all rows have that nodes share.
ALTER TABLE kms_usage_tracking RENAME TO kms_usage_tracking_2;

CREATE TABLE kms_usage_tracking (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    since_us INTEGER NOT NULL
) STRICT;

INSERT INTO kms_usage_tracking SELECT 1, min(since_us) FROM kms_usage_tracking_2;
DROP TABLE kms_usage_tracking_2;

-- Who does what is to be done once, and until when it is left to them.
CREATE TABLE kms_job (
    name     TEXT PRIMARY KEY,
    holder   TEXT NOT NULL,
    until_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
