-- Nothing here that a changed bit would go unnoticed in: what no seal covers is said twice, or in a form that few values
-- have (see `self_check.py`).

-- How far before the place that its time gives it a version stands: 0, unless a clock went back. So
-- vsort = 2^63 - 1 - modified_us - ahead_us.
ALTER TABLE object_version ADD COLUMN ahead_us INTEGER NOT NULL DEFAULT 0;
UPDATE object_version SET ahead_us = 9223372036854775807 - modified_us - vsort
    WHERE vsort != 9223372036854775807 - modified_us;

-- upload_id itself once the newest version of the upload's key became another one since the upload was created, for
-- which conditional completions are refused; NULL before.
ALTER TABLE multipart_upload ADD COLUMN key_changed BLOB;
UPDATE multipart_upload SET key_changed = upload_id WHERE is_key_changed;
ALTER TABLE multipart_upload DROP COLUMN is_key_changed;

-- See `checked_times.py`.
UPDATE key_epoch SET created_us = created_us - created_us % 1009;

-- Blobs by their ids alone: there was a number beside, which meant nothing for a blob that lies elsewhere.
CREATE TABLE blob_by_id (
    blob_id       BLOB NOT NULL PRIMARY KEY,
    stored_bytes  INTEGER NOT NULL,
    is_inline     INTEGER NOT NULL,
    refs          INTEGER NOT NULL,
    condemned_us  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE inline_by_id (
    blob_id  BLOB NOT NULL PRIMARY KEY REFERENCES blob_by_id ON DELETE CASCADE,
    data     BLOB NOT NULL
) STRICT;

CREATE TABLE bad_by_id (
    blob_id   BLOB NOT NULL PRIMARY KEY REFERENCES blob_by_id ON DELETE CASCADE,
    problem   TEXT NOT NULL,
    found_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO blob_by_id
    SELECT blob_id, stored_bytes, is_inline, refs, condemned_us - condemned_us % 1009 FROM blob ORDER BY blob_id;
INSERT INTO inline_by_id SELECT blob_id, data FROM blob CROSS JOIN inline_blob USING (blob_no) ORDER BY blob_id;
INSERT INTO bad_by_id SELECT blob_id, problem, found_us FROM bad_blob ORDER BY blob_id;
DROP TABLE bad_blob;
DROP TABLE inline_blob;
DROP TABLE blob;
ALTER TABLE blob_by_id RENAME TO blob;
ALTER TABLE inline_by_id RENAME TO inline_blob;
ALTER TABLE bad_by_id RENAME TO bad_blob;
CREATE INDEX blob_condemned ON blob (is_inline, condemned_us) WHERE condemned_us IS NOT NULL;
