-- The first schema. Never edited after release: changes are a new file with the next number.
-- Ids begin with their time of creation, so that inserts of a busy minute land on the same few pages.

CREATE TABLE bucket (
    bucket_id   BLOB NOT NULL PRIMARY KEY,
    account_id  TEXT NOT NULL,
    name        TEXT NOT NULL UNIQUE,
    region      TEXT NOT NULL,
    created_us  INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    sealed      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX bucket_by_account ON bucket (account_id, name);

-- history is 0 for the current version of a key if that is an object, 1 for everything else (older versions, delete
-- markers). A listing of current objects is thus one contiguous range of the key, however many old versions there are.
-- vsort is 2^63 - 1 - time: the newest version of a key comes first.
-- blob_id is the only blob of a plain body. If has_parts is 1, object_parts has the list of blobs instead: it may be
-- 160 kB long, and most readers of a row do not want it.
CREATE TABLE object_version (
    bucket_id    BLOB NOT NULL REFERENCES bucket,
    history      INTEGER NOT NULL,
    key          BLOB NOT NULL,
    vsort        INTEGER NOT NULL,
    row_uid      BLOB NOT NULL,
    version_id   TEXT NOT NULL,
    kind         INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    modified_us  INTEGER NOT NULL,
    mode         INTEGER NOT NULL,
    wrapped      BLOB NOT NULL,
    key_arn      TEXT,
    key_version  INTEGER,
    blob_id      BLOB,
    manifest_id  BLOB,
    part_count   INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    blob_count   INTEGER NOT NULL,
    has_parts    INTEGER NOT NULL,
    sealed       BLOB NOT NULL,
    PRIMARY KEY (bucket_id, history, key, vsort)
) STRICT;

-- blob_ids: 16 bytes each, in part order.
CREATE TABLE object_parts (
    row_uid       BLOB NOT NULL PRIMARY KEY,
    blob_ids      BLOB NOT NULL,
    sealed_parts  BLOB
) STRICT;

-- refs counts the object versions and parts that name the blob; at 0 condemned_us says since when, and the sweeper
-- removes first the bytes, then the row.
CREATE TABLE blob (
    blob_no       INTEGER PRIMARY KEY,
    blob_id       BLOB NOT NULL UNIQUE,
    stored_bytes  INTEGER NOT NULL,
    is_inline     INTEGER NOT NULL,
    refs          INTEGER NOT NULL,
    condemned_us  INTEGER
) STRICT;

CREATE INDEX blob_condemned ON blob (is_inline, condemned_us) WHERE condemned_us IS NOT NULL;

CREATE TABLE inline_blob (
    blob_no  INTEGER PRIMARY KEY REFERENCES blob ON DELETE CASCADE,
    data     BLOB NOT NULL
) STRICT;

CREATE TABLE multipart_upload (
    upload_id     BLOB NOT NULL PRIMARY KEY,
    bucket_id     BLOB NOT NULL REFERENCES bucket,
    key           BLOB NOT NULL,
    row_uid       BLOB NOT NULL,
    initiated_us  INTEGER NOT NULL,
    mode          INTEGER NOT NULL,
    wrapped       BLOB NOT NULL,
    key_arn       TEXT,
    key_version   INTEGER,
    revision      INTEGER NOT NULL,
    sealed        BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX multipart_upload_by_key ON multipart_upload (bucket_id, key, upload_id);

CREATE TABLE multipart_part (
    upload_id    BLOB NOT NULL REFERENCES multipart_upload ON DELETE CASCADE,
    part_number  INTEGER NOT NULL,
    blob_id      BLOB NOT NULL,
    size         INTEGER NOT NULL,
    modified_us  INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    sealed       BLOB NOT NULL,
    PRIMARY KEY (upload_id, part_number)
) STRICT, WITHOUT ROWID;

CREATE TABLE key_epoch (
    purpose     TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    wrapped     BLOB NOT NULL,
    created_us  INTEGER NOT NULL,
    PRIMARY KEY (purpose, epoch)
) STRICT, WITHOUT ROWID;

-- Background work. owner is NULL when nobody has the lease; then until_us is the time from which it is due.
CREATE TABLE job (
    name      TEXT NOT NULL PRIMARY KEY,
    owner     TEXT,
    until_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
