-- What authenticates each row that says something of a key: docs/formats/key-store-row.md. NULL is authentic nowhere:
-- rows of an earlier release get theirs once the root is there (kms/service/row_seals.py).
ALTER TABLE kms_key ADD COLUMN seal BLOB;
ALTER TABLE kms_key_version ADD COLUMN seal BLOB;
ALTER TABLE kms_alias ADD COLUMN seal BLOB;
ALTER TABLE kms_grant ADD COLUMN seal BLOB;

-- Rows are read by views of each connection's own, which look at the seals (kms/store/sqlite/seals.py).
DROP VIEW kms_key_row;
