-- How far a background job has come: written by whoever has its lease, read by whoever goes on with it.
ALTER TABLE job ADD COLUMN note BLOB;

-- Blobs whose bytes are not what was written, as the scrub found them. They stay where they are until nothing names them.
CREATE TABLE bad_blob (
    blob_id   BLOB NOT NULL PRIMARY KEY REFERENCES blob (blob_id) ON DELETE CASCADE,
    problem   TEXT NOT NULL,
    found_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
