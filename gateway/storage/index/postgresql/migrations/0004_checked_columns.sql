-- Nothing here that a changed bit would go unnoticed in: what no seal covers is said twice, or in a form that few values
-- have (see `self_check.py`).

-- How far before the place that its time gives it a version stands: 0, unless a clock went back. So
-- vsort = 2^63 - 1 - modified_us - ahead_us.
ALTER TABLE object_version ADD COLUMN ahead_us BIGINT NOT NULL DEFAULT 0;
UPDATE object_version SET ahead_us = 9223372036854775807 - modified_us - vsort
    WHERE vsort != 9223372036854775807 - modified_us;

-- upload_id itself once the newest version of the upload's key became another one since the upload was created, for
-- which conditional completions are refused; NULL before.
ALTER TABLE multipart_upload ADD COLUMN key_changed BYTEA;
UPDATE multipart_upload SET key_changed = upload_id WHERE is_key_changed;
ALTER TABLE multipart_upload DROP COLUMN is_key_changed;

-- See `checked_times.py`.
UPDATE key_epoch SET created_us = created_us - created_us % 1009;
UPDATE blob SET condemned_us = condemned_us - condemned_us % 1009 WHERE condemned_us IS NOT NULL;
