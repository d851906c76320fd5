-- The first schema. Never edited after release: changes are a new file with the next number.
-- What is compared as bytes by S3 is BYTEA, or TEXT of the collation of bytes. Ids begin with their time of creation.

-- Rows that are locked, never written: who changes the versions of a key holds the row of its slot, a hash of bucket
-- and key (`locks.py`). So keys that have no row yet can be locked, and any number of them at once.
CREATE TABLE key_lock (
    slot  INTEGER NOT NULL PRIMARY KEY
);

INSERT INTO key_lock SELECT generate_series(0, 65535);

CREATE TABLE bucket (
    bucket_id   BYTEA NOT NULL PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL UNIQUE,
    region      TEXT NOT NULL,
    created_us  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    sealed      BYTEA NOT NULL
);

CREATE INDEX bucket_by_account ON bucket (account_id, name);

-- vsort is 2^63 - 1 - time: the newest version of a key comes first. is_current marks the newest version of a key if
-- that is an object, so that current objects are one contiguous range of an index, however many old versions there are.
-- blob_id is the only blob of a plain body. If has_parts, object_parts has the list of blobs instead: it may be 160 kB
-- long, and most readers of a row do not want it.
CREATE TABLE object_version (
    bucket_id    BYTEA NOT NULL REFERENCES bucket,
    key          BYTEA NOT NULL,
    vsort        BIGINT NOT NULL,
    is_current   BOOLEAN NOT NULL,
    version_no   BIGINT GENERATED ALWAYS AS IDENTITY,
    row_uid      BYTEA NOT NULL,
    version_id   TEXT NOT NULL,
    kind         SMALLINT NOT NULL,
    size         BIGINT NOT NULL,
    modified_us  BIGINT NOT NULL,
    mode         SMALLINT NOT NULL,
    wrapped      BYTEA NOT NULL,
    key_arn      TEXT COLLATE "C",
    key_version  BIGINT,
    blob_id      BYTEA,
    manifest_id  BYTEA,
    part_count   INTEGER NOT NULL,
    revision     BIGINT NOT NULL,
    blob_count   INTEGER NOT NULL,
    has_parts    BOOLEAN NOT NULL,
    sealed       BYTEA NOT NULL,
    PRIMARY KEY (bucket_id, key, vsort)
);

CREATE UNIQUE INDEX object_version_current ON object_version (bucket_id, key) WHERE is_current;

-- The null version among the older ones of a key: a write while versioning is suspended replaces it.
CREATE INDEX object_version_null ON object_version (bucket_id, key) WHERE NOT is_current AND version_id = 'null';

-- What a KMS key opens.
CREATE INDEX object_version_by_kms_key ON object_version (key_arn, key_version, version_no) WHERE key_arn IS NOT NULL;

-- blob_ids: 16 bytes each, in part order.
CREATE TABLE object_parts (
    row_uid       BYTEA NOT NULL PRIMARY KEY,
    blob_ids      BYTEA NOT NULL,
    sealed_parts  BYTEA
);

-- refs counts the object versions and parts that name the blob; at 0 condemned_us says since when, and the sweeper
-- removes first the bytes, then the row.
CREATE TABLE blob (
    blob_id       BYTEA NOT NULL PRIMARY KEY,
    stored_bytes  BIGINT NOT NULL,
    is_inline     BOOLEAN NOT NULL,
    refs          BIGINT NOT NULL,
    condemned_us  BIGINT
);

CREATE INDEX blob_condemned ON blob (is_inline, condemned_us) WHERE condemned_us IS NOT NULL;

CREATE TABLE inline_blob (
    blob_id  BYTEA NOT NULL PRIMARY KEY REFERENCES blob ON DELETE CASCADE,
    data     BYTEA NOT NULL
);

-- is_key_changed: whether the newest version of the key became another one since the upload was created; a conditional
-- CompleteMultipartUpload is refused then. Not in the sealed column: it can make a completion fail, nothing else.
CREATE TABLE multipart_upload (
    upload_id       BYTEA NOT NULL PRIMARY KEY,
    bucket_id       BYTEA NOT NULL REFERENCES bucket,
    key             BYTEA NOT NULL,
    row_uid         BYTEA NOT NULL,
    initiated_us    BIGINT NOT NULL,
    mode            SMALLINT NOT NULL,
    wrapped         BYTEA NOT NULL,
    key_arn         TEXT COLLATE "C",
    key_version     BIGINT,
    revision        BIGINT NOT NULL,
    sealed          BYTEA NOT NULL,
    is_key_changed  BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE INDEX multipart_upload_by_key ON multipart_upload (bucket_id, key, upload_id);

CREATE INDEX multipart_upload_by_kms_key ON multipart_upload (key_arn, upload_id) WHERE key_arn IS NOT NULL;

CREATE TABLE multipart_part (
    upload_id    BYTEA NOT NULL REFERENCES multipart_upload ON DELETE CASCADE,
    part_number  BIGINT NOT NULL,
    blob_id      BYTEA NOT NULL,
    size         BIGINT NOT NULL,
    modified_us  BIGINT NOT NULL,
    revision     BIGINT NOT NULL,
    sealed       BYTEA NOT NULL,
    PRIMARY KEY (upload_id, part_number)
);

CREATE TABLE key_epoch (
    purpose     TEXT COLLATE "C" NOT NULL,
    epoch       BIGINT NOT NULL,
    wrapped     BYTEA NOT NULL,
    created_us  BIGINT NOT NULL,
    PRIMARY KEY (purpose, epoch)
);

-- Background work. owner is NULL when nobody has the lease; then until_us is the time from which it is due.
CREATE TABLE job (
    name      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner     TEXT,
    until_us  BIGINT NOT NULL
);

-- Tokens by which clients repeat a request that they lost the answer of. request is a digest of its parameters.
CREATE TABLE client_token (
    bucket_id  BYTEA NOT NULL,
    token      TEXT COLLATE "C" NOT NULL,
    request    BYTEA NOT NULL,
    used_us    BIGINT NOT NULL,
    PRIMARY KEY (bucket_id, token)
);

CREATE INDEX client_token_by_time ON client_token (used_us);

-- The bucket keys that are being written with: one for each requester (a digest), shared by the workers. Whatever was
-- written under one holds it, wrapped, itself, so that rows here may go at any time.
CREATE TABLE bucket_key (
    bucket_id    BYTEA NOT NULL,
    requester    BYTEA NOT NULL,
    key_arn      TEXT COLLATE "C" NOT NULL,
    key_version  BIGINT NOT NULL,
    wrapped      BYTEA NOT NULL,
    created_us   BIGINT NOT NULL,
    sealed       BYTEA NOT NULL,
    PRIMARY KEY (bucket_id, requester)
);

CREATE INDEX bucket_key_by_time ON bucket_key (created_us);

CREATE INDEX bucket_key_by_kms_key ON bucket_key (key_arn);
