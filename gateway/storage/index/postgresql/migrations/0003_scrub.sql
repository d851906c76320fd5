-- How far a background job has come: written by whoever has its lease, read by whoever goes on with it.
ALTER TABLE job ADD COLUMN note BYTEA;

-- Blobs whose bytes are not what was written, as the scrub found them. They stay where they are until nothing names them.
CREATE TABLE bad_blob (
    blob_id   BYTEA NOT NULL PRIMARY KEY REFERENCES blob ON DELETE CASCADE,
    problem   TEXT NOT NULL,
    found_us  BIGINT NOT NULL
);
