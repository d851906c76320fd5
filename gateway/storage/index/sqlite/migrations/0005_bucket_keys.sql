-- The bucket keys that are being written with: one for each requester (a digest), shared by the workers. Whatever was
-- written under one holds it, wrapped, itself, so that rows here may go at any time.
CREATE TABLE bucket_key (
    bucket_id    BLOB NOT NULL,
    requester    BLOB NOT NULL,
    key_arn      TEXT NOT NULL,
    key_version  INTEGER NOT NULL,
    wrapped      BLOB NOT NULL,
    created_us   INTEGER NOT NULL,
    sealed       BLOB NOT NULL,
    PRIMARY KEY (bucket_id, requester)
) STRICT, WITHOUT ROWID;

CREATE INDEX bucket_key_by_time ON bucket_key (created_us);
