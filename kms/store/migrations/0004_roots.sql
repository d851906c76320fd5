-- The roots that wrapped the records of this store; empty until the first rotation, while the configuration names the
-- only one. `settings` is JSON and says how a root is reached (no secret); `check_value` is NULL while its keys are
-- being made. States: preparing, current (one), older (records may need it still), retired (never again).
CREATE TABLE kms_root (
    root_id     BLOB PRIMARY KEY,
    label       TEXT NOT NULL,
    settings    TEXT NOT NULL,
    check_value BLOB,
    state       TEXT NOT NULL,
    created_us  INTEGER NOT NULL,
    changed_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX kms_root_current ON kms_root (state) WHERE state IN ('current', 'preparing');

-- Which root a record names: docs/formats/cmk-record.md, formats 1 and 2.
CREATE VIEW kms_record_root AS
SELECT key_id, version, record,
    CASE substr(record, 1, 1) WHEN x'01' THEN substr(record, 7, 16) ELSE substr(record, 8, 16) END AS root_id,
    CASE substr(record, 1, 1) WHEN x'01' THEN x'01' ELSE substr(record, 7, 1) END AS protection
FROM kms_key_version
WHERE record IS NOT NULL;

-- The keys of a retired root are destroyed: a record that came late must not be kept, for nobody could ever open it.
CREATE TRIGGER kms_key_version_inserted_under_retired_root BEFORE INSERT ON kms_key_version
WHEN EXISTS (
    SELECT 1 FROM kms_root WHERE state = 'retired' AND root_id =
        CASE substr(NEW.record, 1, 1) WHEN x'01' THEN substr(NEW.record, 7, 16) ELSE substr(NEW.record, 8, 16) END
)
BEGIN
    SELECT RAISE(ABORT, 'the record names a retired root');
END;

CREATE TRIGGER kms_key_version_updated_under_retired_root BEFORE UPDATE OF record ON kms_key_version
WHEN EXISTS (
    SELECT 1 FROM kms_root WHERE state = 'retired' AND root_id =
        CASE substr(NEW.record, 1, 1) WHEN x'01' THEN substr(NEW.record, 7, 16) ELSE substr(NEW.record, 8, 16) END
)
BEGIN
    SELECT RAISE(ABORT, 'the record names a retired root');
END;
